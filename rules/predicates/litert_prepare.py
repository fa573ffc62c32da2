"""What LiteRT's interpreter knows before any delegate is asked: which tensors it computes while it prepares
the operators, and which have a size that it learns only when it runs.

Read from ``Prepare`` of each kernel in ``tflite/kernels`` and from ``Subgraph::PrepareOpsStartingAt``
(google-ai-edge/LiteRT, commit f67457790c9c): preparation stops at the first operator with an output of
unknown size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from ...analyzer.ir.graph import Graph, Operator, Tensor
from ..conditions import Context, Outcome
from ..subjects import constant_values
from . import holds_if, predicate

SHAPED_BY: Mapping[str, tuple[int, ...]] = {
    "ARG_MAX": (1,),
    "ARG_MIN": (1,),
    "BATCH_TO_SPACE_ND": (1, 2),
    "BROADCAST_TO": (1,),
    "CONV_3D_TRANSPOSE": (0,),
    "DILATE": (1,),
    "EXPAND_DIMS": (1,),
    "FILL": (0,),
    "MEAN": (1,),
    "MIRROR_PAD": (1,),
    "MULTINOMIAL": (0, 1),
    "NON_MAX_SUPPRESSION_V4": (2,),
    "NON_MAX_SUPPRESSION_V5": (2,),
    "ONE_HOT": (1,),
    "PAD": (1,),
    "PADV2": (1,),
    "RANDOM_STANDARD_NORMAL": (0,),
    "RANDOM_UNIFORM": (0,),
    "RANGE": (0, 1, 2),
    "REDUCE_ALL": (1,),
    "REDUCE_ANY": (1,),
    "REDUCE_MAX": (1,),
    "REDUCE_MIN": (1,),
    "REDUCE_PROD": (1,),
    "RESHAPE": (1,),
    "RESIZE_BILINEAR": (1,),
    "RESIZE_NEAREST_NEIGHBOR": (1,),
    "RFFT2D": (1,),
    "SCATTER_ND": (2,),
    "SEGMENT_SUM": (0, 1),
    "SLICE": (1, 2),
    "SPACE_TO_BATCH_ND": (1, 2),
    "SPARSE_TO_DENSE": (1,),
    "SPLIT": (0,),
    "SPLIT_V": (1, 2),
    "STRIDED_SLICE": (1, 2, 3),
    "SUM": (1,),
    "TILE": (1,),
    "TOPK_V2": (1,),
    "TRANSPOSE": (1,),
    "TRANSPOSE_CONV": (0,),
    "UNSORTED_SEGMENT_MAX": (1, 2),
    "UNSORTED_SEGMENT_MIN": (1, 2),
    "UNSORTED_SEGMENT_PROD": (1, 2),
    "UNSORTED_SEGMENT_SUM": (1, 2),
    "WHERE": (0,),
}
"""Operators whose output shape is read from the values of these inputs."""
_NEEDS_STORED = frozenset({"DILATE", "TRANSPOSE_CONV"})
"""Of these, the ones that accept only values stored in the file, not those computed while preparing."""
_NEVER_KNOWN = frozenset({"EMBEDDING_LOOKUP_SPARSE", "HASHTABLE", "UNIQUE"})
_ALWAYS_KNOWN = frozenset({"SHAPE", "RANK"})
_COMPUTED_FROM: Mapping[str, tuple[int, ...] | None] = {
    "BROADCAST_ARGS": None,
    "CONCATENATION": None,
    "GATHER": None,
    "MEAN": None,
    "MUL": None,
    "RANGE": None,
    "REDUCE_ALL": None,
    "REDUCE_ANY": None,
    "REDUCE_MAX": None,
    "REDUCE_MIN": None,
    "REDUCE_PROD": None,
    "RESHAPE": None,
    "STRIDED_SLICE": (0, 1, 2),
    "SUM": None,
    "TILE": None,
}
"""Operators computed while preparing when these inputs are known (None: all of them)."""
_UNSIZED = frozenset({"string", "variant"})


@dataclass(frozen=True)
class Prepared:
    """What preparing tells.

    Attributes:
        computed: tensors with a value before the first run.
        first_dynamic: id of the first operator with an output of unknown size.
    """

    computed: frozenset[str]
    first_dynamic: str | None


_KNOWN: WeakKeyDictionary[Graph, tuple[int, Prepared]] = WeakKeyDictionary()


def prepared(graph: Graph) -> Prepared:
    """What preparing the operators of a TFLite graph tells; remembered for each graph."""
    found = _KNOWN.get(graph)
    if found is None or found[0] != len(graph):
        found = _KNOWN[graph] = (len(graph), _prepare(graph))
    return found[1]


def _prepare(graph: Graph) -> Prepared:
    computed: set[str] = set()
    for op in graph.ops():
        if _sizes_unknown(graph, op, computed):
            return Prepared(frozenset(computed), op.id)
        if op.type in _ALWAYS_KNOWN or _is_computed(graph, op, computed):
            computed.update(name for name in op.outputs if name)
    return Prepared(frozenset(computed), None)


def _known(graph: Graph, op: Operator, index: int, computed: set[str]) -> bool:
    name = op.inputs[index] if index < len(op.inputs) else None
    return name is None or name in computed or graph.constant(name) is not None


def _is_computed(graph: Graph, op: Operator, computed: set[str]) -> bool:
    if op.type not in _COMPUTED_FROM or op.domain:
        return False
    indexes = _COMPUTED_FROM[op.type]
    return all(
        _known(graph, op, index, computed)
        for index in (range(len(op.inputs)) if indexes is None else indexes)
    )


def _sizes_unknown(graph: Graph, op: Operator, computed: set[str]) -> bool:
    if any(tensor is not None and tensor.dtype in _UNSIZED for tensor in graph.output_tensors(op)):
        return True
    if op.domain:
        return False
    if op.type in _NEVER_KNOWN or (op.type == "READ_VARIABLE" and _output_rank(graph, op) == 0):
        return True
    if op.graphs:
        return _bodies_dynamic(graph, op)
    if op.type in ("PAD", "PADV2") and _input_rank(graph, op) == 0:
        return True
    if op.type == "SLICE" and _output_rank(graph, op) and not _unspecified(graph.output_tensors(op)[0]):
        return False
    if op.type in ("SLICE", "TOPK_V2") and _unspecified(graph.input_tensors(op)[0]):
        return True
    indexes = SHAPED_BY.get(op.type, ())
    if op.type == "STRIDED_SLICE" and op.attrs.get("offset"):
        indexes = (3,)
    stored: set[str] = set() if op.type in _NEEDS_STORED else computed
    return not all(_known(graph, op, index, stored) for index in indexes)


def _input_rank(graph: Graph, op: Operator) -> int | None:
    tensor = graph.input_tensors(op)[0] if op.inputs else None
    return None if tensor is None else tensor.rank


def _output_rank(graph: Graph, op: Operator) -> int | None:
    tensor = graph.output_tensors(op)[0] if op.outputs else None
    return None if tensor is None else (tensor.rank or 0)


def _unspecified(tensor: Tensor | None) -> bool:
    return tensor is not None and min(tensor.attrs.get("shape_signature", ()), default=0) < 0


def _bodies_dynamic(graph: Graph, op: Operator) -> bool:
    """IF, WHILE and composites: a body with a tensor of unknown size, or results that change shape."""
    bodies = list(op.graphs.values())
    if any(prepared(body).first_dynamic is not None for body in bodies):
        return True
    if op.type == "WHILE":
        body = op.graphs.get("body")
        return body is not None and _shapes(body, body.inputs) != _shapes(body, body.outputs)
    if op.type == "IF" and len(bodies) == 2:
        return _shapes(bodies[0], bodies[0].outputs) != _shapes(bodies[1], bodies[1].outputs)
    return False


def _shapes(graph: Graph, names: tuple[str, ...]) -> list[tuple[int, ...]]:
    """Stored shapes, a single element written as a scalar."""
    shapes = []
    for name in names:
        tensor = graph.tensor(name)
        shape = tensor.attrs.get("stored_shape", tensor.shape) or ()
        shapes.append(() if shape == (1,) else tuple(shape))
    return shapes


@predicate("litert_sizes_known")
def litert_sizes_known(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The interpreter knows the size of every output before the first run; only the first operator that
    breaks this is told.
    """
    return holds_if(
        prepared(graph).first_dynamic != op.id,
        f"{op.label} has a size known only at run time",
        "static-sized tensors",
    )


@predicate("litert_window_fits")
def litert_window_fits(graph: Graph, op: Operator, context: Context, *, least: int) -> Outcome:
    """Without padding, the window leaves at least so many results along height and width of the input in its
    stored size, a 1 for each unknown dimension: in that size the model is loaded and prepared. Holds behind
    the first operator with an output of unknown size, where nothing is prepared.
    """
    wanted = f"a result of {least} or more"
    if op.attrs.get("padding") != "VALID" or not _is_prepared(graph, op):
        return holds_if(True, "", wanted)
    found = [
        (size, window, int((size + stride - window) / stride))
        for size, window, stride in _windows(graph, op)
        if stride > 0
    ]
    small = [f"a window of {window} over {size}" for size, window, left in found if left < least]
    return holds_if(not small, ", ".join(small), wanted)


def _is_prepared(graph: Graph, op: Operator) -> bool:
    last = prepared(graph).first_dynamic
    for item in graph.ops() if last is not None else ():
        if item.id == last:
            return False
        if item.id == op.id:
            return True
    return True


def _windows(graph: Graph, op: Operator) -> list[tuple[int, int, int]]:
    """Input size, size of the window with its gaps, and stride, of height and width."""
    tensors = graph.input_tensors(op)
    stored = [
        tuple(item.attrs.get("stored_shape", item.shape) or ()) if item is not None else ()
        for item in tensors
    ]
    kernel = stored[1] if len(stored) > 1 else ()
    found = []
    for axis, name in ((1, "h"), (2, "w")):
        size = stored[0][axis] if stored and len(stored[0]) == 4 else None
        long = "height" if name == "h" else "width"
        window = kernel[axis] if len(kernel) == 4 else op.attrs.get(f"filter_{long}")
        if isinstance(size, int) and isinstance(window, int):
            gaps = int(op.attrs.get(f"dilation_{name}_factor", 1) or 1)
            found.append((size, (window - 1) * gaps + 1, int(op.attrs.get(f"stride_{name}", 1))))
    return found


@predicate("litert_permutation_as_int32")
def litert_permutation_as_int32(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Is the permutation still one when its bytes are read as int32, as XNNPACK reads them?"""
    stored = graph.constant(op.inputs[1]) if len(op.inputs) == 2 and op.inputs[1] else None
    if stored is None or stored.dtype != "int64":
        return holds_if(True, "int32", "int32")
    values = constant_values(stored)
    words = [word for value in values for word in (value, 0)][: len(values)]
    return holds_if(sorted(words) == list(range(len(values))), f"int64 {values} read as {words}", "int32")
