"""Groups of float32 that the compiler of the HTP cannot finish for Hexagon v68 (1002): halves and full floats
that meet.

v68 computes some types in float16 only, some in whichever of the two widths their input has, and converts at
the edge of a group but not within. What is known of a tensor inside of a group: it is ``HALF``, it is
``FULL``, it is ``FREE``, which comes from the edge through operators that compute in both, or it is ``SOFT``,
which is computed from halves and becomes full where an operator that keeps halves from being handed on
(``Softmax``) reads it. Derived from some 1500 groups of two to five operators, each type between one that
needs halves (LeakyRelu) and one that makes full floats of what is free (Sqrt), asked of onnxruntime-qnn 2.7.0
with ``htp_arch`` 68.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set

from ...ir.graph import Graph, Operator
from .. import Dropped
from ..onnxruntime.units import units

FREE, HALF, SOFT, FULL = "free", "half", "soft", "full"
_NEEDS_HALF = frozenset(
    (
        "BatchNormalization",
        "Conv",
        "ConvTranspose",
        "Einsum",
        "Expand",
        "Floor",
        "FusedMatMul",
        "Gemm",
        "GlobalMaxPool",
        "LRN",
        "LeakyRelu",
        "LpPool",
        "MatMul",
        "MaxPool",
        "Mul",
        "PRelu",
        "ReduceL2",
        "Sign",
        "Softplus",
    )
)
"""Reads halves or what is free, and makes halves."""
_TO_HALF = frozenset(("AveragePool", "GlobalAveragePool", "TopK"))
"""Reads all, and makes halves."""
_TO_FULL = frozenset((
    "Div", "Exp", "LogSoftmax", "Max", "Mean", "Min", "Pow", "Reciprocal", "ReduceSum", "Sqrt", "Sub",
))  # fmt: skip
"""Makes what is soft of halves, and full floats of all else."""
_FREES_HALF = frozenset(("Log", "Softmax"))
"""Makes something free of halves, and hands on all else."""
_FREES = frozenset(
    ("ConstantOfShape", "DequantizeLinear", "LayerNormalization", "QuantizeLinear", "Shape", "SpaceToDepth")
)
"""Reads all, and makes something free."""
_APART = frozenset(("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"))
"""Makes something free of halves, and full floats of all else: their bool, cast to float32."""
_REDUCES = ("ReduceMax", "ReduceMean", "ReduceMin")
_FLOATS = ("float32", "float64")
_MEETS = Dropped(
    "ACL703",
    "full-floats-meet-halves",
    "Hexagon v68 computes this operator in float16 and what it reads in float32, and does not "
    "convert inside of a group: the graph "
    "is not finalized (1002) and the session stops; quantize the model",
)


def meeting(graph: Graph, group: Sequence[str]) -> Dropped | None:
    """Whether an operator of the group needs halves where full floats are computed."""
    integers = {id for id, unit in units(graph).items() if unit.target.id in group}
    return _MEETS if _first(graph, group, integers) is not None else None


def _first(graph: Graph, group: Sequence[str], integers: Set[str]) -> str | None:
    """The first operator whose operands cannot be had in the width that it needs."""
    kinds: dict[str, str] = {}
    roots: dict[str, frozenset[str]] = {}
    needed: dict[str, str] = {}
    kept: set[str] = set()
    for id in group:
        op = graph.op(id)
        if id in integers:
            continue
        names = list(_data(graph, op))
        kind, read = _class(graph, op), [kinds.get(name, FREE) for name in names]
        made = _made(graph, op, kind, read, set(group))
        if made is None:
            return id
        soft = frozenset().union(*(roots.get(name, frozenset()) for name in names))
        if kind in ("frees", "free"):
            kept |= soft
        elif kind == "needs" or HALF in read:
            needed.update(dict.fromkeys(soft, id))
        if made == SOFT and kind == "widens":
            soft |= {id}
        kinds.update((name, made) for name in op.outputs if name)
        roots.update((name, soft) for name in op.outputs if name and made == SOFT)
    return next((needed[root] for root in needed if root in kept), None)


_SECOND_ONLY = (
    "Clip",
    "Expand",
    "Pad",
    "Reshape",
    "Resize",
    "Slice",
    "Split",
    "Squeeze",
    "Tile",
    "TopK",
    "Unsqueeze",
    "Upsample",
)


def _data(graph: Graph, op: Operator) -> Iterator[str]:
    """The operands whose width counts."""
    for name in op.inputs[: 1 if op.type in _SECOND_ONLY or op.type.startswith("Reduce") else None]:
        if name:
            yield name


def _made(graph: Graph, op: Operator, kind: str, read: Sequence[str], inside: Set[str]) -> str | None:
    """What an operator makes of operands of these kinds; None where it cannot be compiled.

    Integers have no width here but for Mod: of int32 it is not compiled, and of int64 nothing that is
    compared with it goes to And.
    """
    if op.type == "Mod" and _dtype(graph, op) in ("int32", "int64"):
        return FULL if _dtype(graph, op) == "int64" else None
    if op.type == "And" and FULL in read:
        return None
    if not _of_floats(graph, op) and op.type not in _HANDS_ON:
        return FREE if _dtype(graph, op) != "float16" else HALF
    if kind == "needs":
        return None if FULL in read else FREE if op.type == "ConvTranspose" else HALF
    if kind in ("half", "free"):
        return HALF if kind == "half" else FREE
    if kind == "full":
        return FULL
    joined = op.type == "Concat" and not _last(graph, op) and not _read_within(graph, op, inside)
    if HALF in read or SOFT in read:
        return None if FULL in read and HALF in read and not joined else _of_halves(graph, op, kind, read)
    if op.type == "Concat" and FULL in read and FREE in read and not joined:
        return None
    return FULL if FULL in read or kind in ("widens", "apart") else FREE


_HANDS_ON = (*_APART, "Cast", "Not")


def _of_halves(graph: Graph, op: Operator, kind: str, read: Sequence[str]) -> str:
    """What is made where an operand is in halves, or can be."""
    if kind in ("frees", "apart"):
        return FREE if HALF in read or _read_alone(graph, op) else FULL
    if HALF in read:
        return SOFT if kind == "widens" else HALF
    free = [
        name
        for name, kind in zip(_data(graph, op), read, strict=True)
        if kind == FREE and graph.constant(name) is None
    ]
    return FULL if FULL in read or (op.type != "Concat" and free) else SOFT


def _read_alone(graph: Graph, op: Operator) -> bool:
    """Whether the result goes to one operator, which needs halves and reads constants beside it."""
    readers = graph.consumers(op.outputs[0])
    if len(readers) != 1 or _class(graph, readers[0]) != "needs":
        return False
    return all(
        name == op.outputs[0] or graph.constant(name) is not None for name in readers[0].inputs if name
    )


def _class(graph: Graph, op: Operator) -> str:
    """How an operator treats the width of its operands."""
    if op.type in _REDUCES:
        return _reduces(graph, op)
    if op.type == "Pow" and _number(graph, op.inputs[1]) == _SQUARE:
        return "needs"
    if op.type == "Slice":
        return "passes" if _sizes(graph, op.inputs[0]) == _sizes(graph, op.outputs[0]) else "frees"
    if op.type == "Split":
        return "frees" if len(op.outputs) > 1 else "passes"
    if op.type in ("Resize", "Upsample") and op.attrs.get("mode", "nearest") != "nearest":
        return "half"
    if op.type == "Cast":
        return (
            "frees"
            if any(tensor and tensor.dtype not in _FLOATS for tensor in graph.input_tensors(op))
            else "passes"
        )
    if op.type in _APART and all(
        tensor is None or tensor.dtype not in _FLOATS for tensor in graph.input_tensors(op)
    ):
        return "passes"
    for types, name in _CLASSES:
        if op.type in types:
            return name
    return "passes"


_SQUARE = 2.0
_CLASSES = (
    (_NEEDS_HALF, "needs"),
    (_TO_HALF, "half"),
    (_TO_FULL, "widens"),
    (_FREES_HALF, "frees"),
    (_FREES, "free"),
    (_APART, "apart"),
    (("Pad",), "full"),
)


def _of_floats(graph: Graph, op: Operator) -> bool:
    """Whether its first result is float32: integers and stored halves are computed as they are."""
    return _dtype(graph, op) in _FLOATS


def _dtype(graph: Graph, op: Operator) -> str:
    tensor = graph.find(op.outputs[0] or "")
    return tensor.dtype if tensor is not None else ""


def _reduces(graph: Graph, op: Operator) -> str:
    """Axes of one are nothing to reduce, and the mean of the last two is another operator than that of
    one.
    """
    sizes = _sizes(graph, op.inputs[0])
    axes = op.attrs.get("axes")
    stored = graph.constant(op.inputs[1]) if len(op.inputs) > 1 else None
    if stored is not None:
        axes = stored.read().tolist()
    if sizes is None:
        return "half"
    found = (
        {axis % len(sizes) for axis in (axes if axes is not None else range(len(sizes)))} if sizes else set()
    )
    if all(sizes[axis] == 1 for axis in found):
        return "passes"
    return "apart" if op.type == "ReduceMean" and {len(sizes) - 1, len(sizes) - 2} <= found else "half"


def _number(graph: Graph, name: str | None) -> float | None:
    stored = graph.constant(name)
    if stored is None:
        return None
    values = stored.read()
    return float(values.reshape(-1)[0]) if values.size == 1 else None


def _sizes(graph: Graph, name: str | None) -> Sequence[object] | None:
    tensor = graph.find(name or "")
    return None if tensor is None else tensor.shape


def _last(graph: Graph, op: Operator) -> bool:
    """Whether tensors are joined along their last axis."""
    sizes = _sizes(graph, op.outputs[0])
    axis = op.attrs.get("axis", 0)
    return axis == -1 or (sizes is not None and axis == len(sizes) - 1)


def _read_within(graph: Graph, op: Operator, inside: Set[str]) -> bool:
    return any(reader.id in inside for name in op.outputs if name for reader in graph.consumers(name))
