"""The subjects of the vocabulary: what of an operator a condition looks at.

A subject gives the values found, one or several; ``UNKNOWN`` stands for a value that the graph
does not tell and ``ABSENT`` for an attribute, input or output that is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from ..analyzer.errors import PackError
from ..analyzer.ir.graph import Constant, Graph, Operator, Tensor
from .magnitudes import known_magnitude


class _Mark:
    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


class Reach(IntEnum):
    """How far from an operator a condition looks: what decides which operators it cannot tell apart."""

    LOCAL = 0
    """Its own attributes, and its tensors' dtypes, shapes, constness and quantization schemes."""
    QUANTIZED = 1
    """Beside those, the numbers of quantized tensors: local to an operator that has none."""
    WIDE = 2
    """Values, neighbours, the graph."""


UNKNOWN: Final = _Mark("unknown")
ABSENT: Final = _Mark("absent")

Values = list[Any]
Reader = Callable[[Graph, Operator], Values]

MOST_VALUES = 65_536
"""Elements of a constant that a condition reads; a larger constant's value is unknown to it."""


def _dtype(graph: Graph, tensor: Tensor) -> Values:
    return [UNKNOWN if tensor.dtype == "unknown" else tensor.dtype]


def _rank(graph: Graph, tensor: Tensor) -> Values:
    return [UNKNOWN if tensor.shape is None else len(tensor.shape)]


def _static(graph: Graph, tensor: Tensor) -> Values:
    return [UNKNOWN if tensor.shape is None else tensor.static]


def _shape(graph: Graph, tensor: Tensor) -> Values:
    if tensor.shape is None:
        return [UNKNOWN]
    return [dim if isinstance(dim, int) else UNKNOWN for dim in tensor.shape]


def _known_dims(graph: Graph, tensor: Tensor) -> Values:
    """The sizes that are known: what a runtime that passes over open ones looks at."""
    return [] if tensor.shape is None else [dim for dim in tensor.shape if isinstance(dim, int)]


def _known_rank(graph: Graph, tensor: Tensor) -> Values:
    """The rank where it is known: what a runtime that passes over tensors without a shape looks at."""
    return [] if tensor.shape is None else [len(tensor.shape)]


def _count(value: int | None) -> Values:
    return [UNKNOWN if value is None else value]


def _producer(graph: Graph, tensor: Tensor) -> Values:
    if graph.constant(tensor.name) is not None:
        return ["constant"]
    writer = graph.producer(tensor.name)
    if writer is not None:
        return [operator_key(writer)]
    return ["input" if tensor.name in graph.inputs else "outer"]


def constant_values(constant: Constant) -> Values:
    """The elements of a constant in row-major order, as Python numbers; ``[UNKNOWN]`` when it is too large to
    read.
    """
    if constant.elements > MOST_VALUES or constant.dtype in ("string", "unknown"):
        return [UNKNOWN]
    return constant.numbers()


def _value(graph: Graph, tensor: Tensor) -> Values:
    constant = graph.constant(tensor.name)
    return [UNKNOWN] if constant is None else constant_values(constant)


def _known_magnitude(graph: Graph, tensor: Tensor) -> Values:
    """A bound of the absolute values where it is known: of stored values of any size, and what follows."""
    bound = known_magnitude(graph, tensor)
    return [] if bound is None else [bound]


def _unbounded(graph: Graph, tensor: Tensor) -> Values:
    """Whether a flexible input has a dimension without an upper bound."""
    return [any(upper < 0 for _, upper in tensor.attrs.get("bounds", ()))]


def _passed_on(graph: Graph, op: Operator) -> int:
    """Inputs that a function gives as its outputs, told at its first operator."""
    if graph.outer is not None or op.id != graph.ops()[0].id:
        return 0
    return len(set(graph.inputs) & set(graph.outputs))


TENSOR_FACTS: Mapping[str, Callable[[Graph, Tensor], Values]] = {
    "dtype": _dtype,
    "rank": _rank,
    "shape": _shape,
    "dim": _shape,
    "known_dim": _known_dims,
    "known_rank": _known_rank,
    "static": _static,
    "const": lambda graph, tensor: [graph.constant(tensor.name) is not None],
    "value": _value,
    "elements": lambda graph, tensor: _count(tensor.elements),
    "bytes": lambda graph, tensor: _count(tensor.nbytes),
    "quant": lambda graph, tensor: ["none" if tensor.quant is None else tensor.quant.scheme],
    "scale": lambda graph, tensor: [] if tensor.quant is None else list(tensor.quant.scale),
    "zero_point": lambda graph, tensor: [] if tensor.quant is None else list(tensor.quant.zero_point),
    "quant_axis": lambda graph, tensor: [
        UNKNOWN if tensor.quant is None or tensor.quant.axis is None else tensor.quant.axis
    ],
    "producer": _producer,
    "graph_input": lambda graph, tensor: [tensor.name in graph.inputs],
    "graph_output": lambda graph, tensor: [tensor.name in graph.outputs],
    "consumers": lambda graph, tensor: [len(graph.consumers(tensor.name))],
    "used": lambda graph, tensor: [tensor.name in graph.outputs or bool(graph.consumers(tensor.name))],
    "variable": lambda graph, tensor: [bool(tensor.attrs.get("is_variable"))],
    "sparse": lambda graph, tensor: [bool(tensor.attrs.get("sparsity"))],
    "known_magnitude": _known_magnitude,
    "flexible": lambda graph, tensor: [tensor.attrs.get("flexible", "none")],
    "unbounded": _unbounded,
}

OPERATOR_FACTS: Mapping[str, Callable[[Graph, Operator], Any]] = {
    "type": lambda graph, op: op.type,
    "domain": lambda graph, op: op.domain,
    "version": lambda graph, op: op.version,
    "inputs": lambda graph, op: sum(1 for name in op.inputs if name),
    "outputs": lambda graph, op: sum(1 for name in op.outputs if name),
    "computed_inputs": lambda graph, op: sum(
        1 for name in op.inputs if name and graph.constant(name) is None
    ),
    "stored_inputs": lambda graph, op: sum(
        1 for name in op.inputs if name and graph.constant(name) is not None
    ),
    "in_body": lambda graph, op: graph.outer is not None,
    "passed_on": _passed_on,
}


def operator_key(op: Operator) -> str:
    """How packs name an operator type: ``Conv``, ``com.microsoft:Gelu``."""
    return op.type if op.domain in ("", "ai.onnx", "custom") else f"{op.domain}:{op.type}"


def plain(value: Any) -> Values:
    """An attribute's value as a flat list of Python values."""
    if isinstance(value, bytes):
        return [value.decode("utf-8", "replace")]
    if isinstance(value, Constant):
        return constant_values(value)
    if isinstance(value, (list, tuple)):
        return [item for part in value for item in plain(part)]
    return [value]


Labels = Callable[[Graph, Operator], list[str]]


@dataclass(frozen=True, slots=True)
class Subject:
    """What a condition looks at, compiled.

    ``read`` gives the values; ``labels`` says in words, one for each value, what was seen (``rank 6 of input
    1``); ``reach`` tells what the values follow from.
    """

    read: Reader
    text: str
    kind: str
    labels: Labels
    reach: Reach


def _pick(
    tensors: tuple[Tensor | None, ...], names: tuple[str | None, ...], which: Any, op: Operator, side: str
) -> list[Any]:
    """The chosen tensors; ABSENT for one that is omitted, UNKNOWN for one that the graph does not
    describe.
    """

    def at(index: int) -> Any:
        if not -len(names) <= index < len(names) or names[index] is None:
            return ABSENT
        tensor = tensors[index]
        if tensor is None:
            return UNKNOWN
        return ABSENT if "kind" in tensor.attrs else tensor  # a dictionary or a list is no operand

    if which in ("all", "rest"):
        found = [at(index) for index in range(which == "rest", len(names))]
        return [item for item in found if item is not ABSENT]
    if isinstance(which, str):
        named = op.attrs.get(f"{side}_names", ())
        return [at(list(named).index(which)) if which in named else ABSENT]
    return [at(index) for index in (which if isinstance(which, list) else [which])]


_LOCAL = {
    "dtype",
    "rank",
    "shape",
    "dim",
    "known_dim",
    "known_rank",
    "static",
    "const",
    "elements",
    "bytes",
    "quant",
    "quant_axis",
    "present",
}
_QUANTIZED = {"scale", "zero_point"}
_WORDS = {
    "dim": "size",
    "known_dim": "size",
    "known_rank": "rank",
    "quant": "quantization",
    "zero_point": "zero point",
    "quant_axis": "quantized axis",
    "elements": "element count",
    "known_magnitude": "magnitude",
}


def tensor_subject(side: str, which: Any, of: str, axis: Any, index: Any, only: str | None = None) -> Subject:
    """A subject about inputs or outputs of the operator; ``only`` is ``computed`` or ``stored``
    (constants).
    """
    fact = TENSOR_FACTS.get(of)
    text = f"{_WORDS.get(of, of)} of {side}{'s' if which in ('all', 'rest') else f' {which}'}" + (
        f" axis {axis}" if axis is not None else ""
    )
    at = axis if axis is not None else index

    def chosen(graph: Graph, op: Operator) -> list[Any]:
        names = op.inputs if side == "input" else op.outputs
        tensors = graph.input_tensors(op) if side == "input" else graph.output_tensors(op)
        found = _pick(tensors, names, which, op, side)
        if only is None:
            return found
        return [
            item
            for item in found
            if not isinstance(item, Tensor) or (graph.constant(item.name) is None) is (only == "computed")
        ]

    def values_of(graph: Graph, tensor: Any) -> Values:
        if of == "present":
            return [tensor is not ABSENT]
        if tensor is ABSENT or tensor is UNKNOWN:
            return [] if tensor is UNKNOWN and of.startswith("known_") else [tensor]
        assert fact is not None
        return _at(fact(graph, tensor), at)

    def read(graph: Graph, op: Operator) -> Values:
        found: Values = []
        for tensor in chosen(graph, op):
            found.extend(values_of(graph, tensor))
        return found

    def labels(graph: Graph, op: Operator) -> list[str]:
        names = op.inputs if side == "input" else op.outputs
        found: list[str] = []
        for order, tensor in enumerate(chosen(graph, op)):
            place = f"{side} {_place(which, order, tensor, names)}"
            values = values_of(graph, tensor)
            found += [
                _label(of, value, place, tensor, axis, number if len(values) > 1 else None)
                for number, value in enumerate(values)
            ]
        return found

    reach = Reach.LOCAL if of in _LOCAL else Reach.QUANTIZED if of in _QUANTIZED else Reach.WIDE
    return Subject(read, text, "tensor", labels, reach)


def _place(which: Any, order: int, tensor: Any, names: tuple[str | None, ...]) -> str:
    if isinstance(which, (int, str)) and which not in ("all", "rest"):
        return str(which)
    if isinstance(which, list):
        return str(which[order])
    return (
        str(names.index(tensor.name)) if isinstance(tensor, Tensor) and tensor.name in names else str(order)
    )


def _label(of: str, value: Any, place: str, tensor: Any, axis: Any, number: int | None) -> str:
    """What was seen of one tensor, in words."""
    if of == "present":
        return f"{place} is {'present' if value is True else 'absent'}"
    if of == "const":
        return f"{place} is {'a constant' if value is True else 'computed'}"
    if of in ("flexible", "unbounded") and isinstance(tensor, Tensor):
        return f"{place} {tensor.name!r}, by default {_default_shape(tensor)}"
    if of == "known_magnitude":
        return f"a magnitude of {value:g} of {place}"
    if of == "static" and isinstance(tensor, Tensor) and tensor.shape is not None:
        return f"shape [{', '.join('?' if dim is None else str(dim) for dim in tensor.shape)}] of {place}"
    which = axis if isinstance(axis, int) else number
    return f"{_WORDS.get(of, of)} {value} of {place}" + (
        f" axis {which}" if of == "dim" and which is not None else ""
    )


def _default_shape(tensor: Tensor) -> str:
    shape = tensor.attrs.get("default_shape") or tensor.shape or ()
    return "x".join("?" if dim is None else str(dim) for dim in shape)


def _at(values: Values, index: Any) -> Values:
    if index is None or index == "all" or values == [UNKNOWN]:
        return values
    wanted = index if isinstance(index, list) else [index]
    if not all(isinstance(item, int) for item in wanted):
        raise PackError(f"an index is a number, a list of numbers or 'all': {index!r}")
    return [values[item] for item in wanted if -len(values) <= item < len(values)]


def attr_subject(name: str, default: Any, index: Any, of: str | None) -> Subject:
    """A subject about an attribute; ``of = "length"`` counts its items."""

    def read(graph: Graph, op: Operator) -> Values:
        value = op.attrs.get(name, default)
        if of == "present":
            return [name in op.attrs]
        if value is None or value is ABSENT:
            return [ABSENT]
        values = plain(value)
        return [len(values)] if of == "length" else _at(values, index)

    text = f"{name} count" if of == "length" else name
    return Subject(
        read, text, "attr", lambda graph, op: [f"{text} {value}" for value in read(graph, op)], Reach.LOCAL
    )


_OPERATOR_WORDS = {
    "inputs": "input count",
    "outputs": "output count",
    "in_body": "inside a body",
    "passed_on": "outputs that are inputs:",
}


def operator_subject(fact: str) -> Subject:
    """A subject about the operator itself: its version, domain, number of inputs."""
    reader = OPERATOR_FACTS[fact]
    text = _OPERATOR_WORDS.get(fact, fact)
    return Subject(
        lambda graph, op: [reader(graph, op)],
        text,
        "op",
        lambda graph, op: [f"{text} {reader(graph, op)}"],
        Reach.LOCAL,
    )
