"""ONNX: bools and integers of masks as the numbers that accelerators compute with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ...analyzer.ir.graph import Graph, Operator, Tensor
from ...analyzer.ir.match import writer
from ..draft import Draft
from ..engine import Miss, Promise, Rewrite
from ..views import sizes
from .operands import array_of, binary, floating, scalar, unary
from .parts import Parts
from .types import DATA

if TYPE_CHECKING:
    from ...analyzer.ir.graph import Shape

CODES = {"float32": 1, "int32": 6, "int64": 7, "bool": 9}
"""``TensorProto.DataType``."""
INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "int64")
WIDE = {"bool": "float32", "uint8": "float32", "int8": "float32", "int16": "float32", "int32": "int64"}
"""What holds every value of a dtype."""
GRADUAL = ("Greater", "Less", "GreaterOrEqual", "LessOrEqual")


def cast(draft: Draft, name: str, dtype: str) -> str:
    """A value in another dtype; itself where it has it."""
    source = draft.find(name)
    if source.dtype == dtype:
        return name
    stored = array_of(draft.graph, name)
    if stored is not None:
        return draft.constant(stored.astype(dtype), dtype, dtype)
    return draft.value("Cast", (name,), dtype, source.shape, {"to": CODES[dtype]})


class LogicAsNumbers(Rewrite[Operator]):
    """Comparisons and logic become arithmetic and a Cast to bool, which is true where a number is not 0."""

    id: ClassVar[str] = "logic-as-numbers"
    title: ClassVar[str] = (
        "Equal, Greater, Less, Not, And, Or and Xor become sums and products, and a Cast to bool"
    )
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("Not", "And", "Or", "Xor", "Equal", *GRADUAL)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("ACL201", "ACL301")

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """Bools, integers, or floats of which one side is a finite constant, so that no difference is NaN."""
        tensors = [graph.find(name or "") for name in op.inputs]
        known = [tensor for tensor in tensors if tensor is not None]
        if len(known) != len(op.inputs) or graph.opsets.get("", 1) < 9:
            return Miss("its operands are not known, or the operator set is below 9")
        kinds = {tensor.dtype for tensor in known}
        if kinds == {"bool"} or (len(kinds) == 1 and kinds <= set(INTEGERS)):
            return op
        if kinds != {"float32"}:
            return Miss(f"it compares {', '.join(sorted(kinds))}")
        return op if _one_is_finite(graph, op) else Miss("both sides may be infinite, and have no difference")

    def apply(self, graph: Graph, found: Operator) -> None:
        """The number, and whether it is not 0."""
        draft = Draft(graph, found)
        result = graph.tensor(found.outputs[0] or "")
        number = self.number(draft, found, result.shape)
        draft.finish(cast(draft, number, "bool"), result.name)
        draft.commit((found,))

    def number(self, draft: Draft, op: Operator, shape: Shape) -> str:
        """A float that is 0 where the result is false."""
        left, right = (*op.inputs, None)[:2]
        if op.type == "Not":
            return _inverse(draft, cast(draft, left or "", "float32"))
        if op.type in ("And", "Or", "Xor"):
            sides = [cast(draft, name or "", "float32") for name in (left, right)]
            kind = {"And": "Mul", "Or": "Add", "Xor": "Sub"}[op.type]
            return draft.value(kind, sides, "float32", shape)
        if op.type == "Equal":
            return self.opposite(draft, _difference(draft, left or "", right or "", shape))
        turned = op.type in ("Less", "GreaterOrEqual")
        first, second = (right, left) if turned else (left, right)
        above = unary(draft, "Relu", _difference(draft, first or "", second or "", shape))
        return above if op.type in ("Greater", "Less") else self.opposite(draft, above)

    def opposite(self, draft: Draft, number: str) -> str:
        """1 where a number is 0."""
        return _inverse(draft, cast(draft, cast(draft, number, "bool"), "float32"))


def _inverse(draft: Draft, name: str) -> str:
    return binary(draft, "Sub", scalar(draft, 1.0, "float32"), name)


def _difference(draft: Draft, left: str, right: str, shape: Shape) -> str:
    """As a float; that of integers is worked out in int64."""
    dtype = draft.find(left).dtype
    kind = "int64" if dtype in INTEGERS else "float32"
    sides = [cast(draft, name, kind) for name in (left, right)]
    return cast(draft, draft.value("Sub", sides, kind, shape), "float32")


def _one_is_finite(graph: Graph, op: Operator) -> bool:
    import numpy as np

    stored = [array_of(graph, name) for name in op.inputs]
    return any(array is not None and bool(np.isfinite(array).all()) for array in stored)


class WhereOfIntegers(Rewrite[Operator]):
    """Where of integers becomes arithmetic."""

    id: ClassVar[str] = "where-of-integers"
    title: ClassVar[str] = "Where of int32 or int64 becomes y + condition * (x - y)"
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("Where",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("where-dtype", "ACL301")

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """int32 or int64."""
        tensor = graph.find(op.inputs[1] or "")
        kind = "unknown" if tensor is None else tensor.dtype
        return op if kind in ("int32", "int64") else Miss(f"it is on {kind}")

    def apply(self, graph: Graph, found: Operator) -> None:
        """In int64, which is exact also where it overflows."""
        draft = Draft(graph, found)
        result = graph.tensor(found.outputs[0] or "")
        dtype = graph.tensor(found.inputs[1] or "").dtype
        flag, x, y = (cast(draft, name or "", "int64") for name in found.inputs)
        moved = draft.value("Sub", (x, y), "int64", _wider(draft, x, y, result.shape))
        chosen = draft.value("Mul", (flag, moved), "int64", result.shape)
        name = draft.value("Add", (y, chosen), "int64", result.shape)
        draft.finish(cast(draft, name, dtype), result.name)
        draft.commit((found,))


def _wider(draft: Draft, x: str, y: str, shape: Shape) -> Shape:
    """The shape of two operands together; unknown dimensions where theirs are."""
    import numpy as np

    one, other = sizes(draft.find(x)), sizes(draft.find(y))
    if one is None or other is None:
        return None if shape is None else (None,) * max(len(draft.find(name).shape or ()) for name in (x, y))
    return tuple(np.broadcast_shapes(one, other))


@dataclass(frozen=True, slots=True)
class Carried:
    """An operator that only moves values, and the inputs that hold them."""

    op: Operator
    places: tuple[int, ...]
    dtype: str


class MovesAsWide(Rewrite[Carried]):
    """What moves bools or small integers moves a dtype that holds them, between casts."""

    id: ClassVar[str] = "moves-as-wide-numbers"
    title: ClassVar[str] = (
        "an operator that moves bools or 8-bit integers moves float32, and one that moves int32 moves int64, "
        "with Cast before and after it"
    )
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = tuple(DATA)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("ACL301", "dtype-ml-program", "gather-dtype", "slice-dtype")

    def match(self, graph: Graph, op: Operator) -> Carried | Miss:
        """Every operand that is moved has one such dtype."""
        places = DATA[op.type] or tuple(range(len(op.inputs)))
        held = [graph.find(op.inputs[place] or "") for place in places if place < len(op.inputs)]
        kinds = {"unknown" if tensor is None else tensor.dtype for tensor in held}
        if len(kinds) != 1 or not kinds <= set(WIDE) or len(held) < len(places):
            return Miss(f"it moves {', '.join(sorted(kinds))}")
        if kinds == {"int32"} and op.type == "Gather" and _feeds_gather(graph, op):
            return Miss("what it gives are positions, which accelerators take as int32")
        return Carried(op, places, kinds.pop())

    def apply(self, graph: Graph, found: Carried) -> None:
        """Cast, the operator, Cast."""
        draft, op, wide = Draft(graph, found.op), found.op, WIDE[found.dtype]
        inputs = list(op.inputs)
        for place in found.places:
            inputs[place] = cast(draft, op.inputs[place] or "", wide)
        shape = graph.tensor(op.outputs[0] or "").shape
        moved = draft.tensor(wide, shape, stem="wide")
        draft.keep(op, inputs=tuple(inputs), outputs=(moved,))
        code = {"bool": 9, "uint8": 2, "int8": 3, "int16": 5, "int32": 6}[found.dtype]
        draft.value("Cast", (moved,), found.dtype, shape, {"to": code}, to=op.outputs[0])
        draft.commit((op,))


class IntegersAs64(Rewrite[Operator]):
    """Arithmetic on int32 becomes arithmetic on int64, cut to 32 bits behind it."""

    id: ClassVar[str] = "integers-as-int64"
    title: ClassVar[str] = "Add, Sub, Mul, Max and reductions of int32 become those of int64, between casts"
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("Add", "Sub", "Mul", "Max", "ReduceSum", "ReduceMax", "ReduceMin")
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("ACL301", "dtype-ml-program")

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """int32, of which the lowest bits of a sum or product are the same in 64 bits."""
        source = graph.find(op.inputs[0] or "")
        return op if source is not None and source.dtype == "int32" else Miss("it is not on int32")

    def apply(self, graph: Graph, found: Operator) -> None:
        """Axes of a reduction are int64 already."""
        draft = Draft(graph, found)
        one = found.type.startswith("Reduce")
        values = [cast(draft, name or "", "int64") for name in found.inputs[: 1 if one else None]]
        result = graph.tensor(found.outputs[0] or "")
        inputs = (*values, *found.inputs[len(values) :])
        name = draft.value(found.type, inputs, "int64", result.shape, dict(found.attrs))
        draft.value("Cast", (name,), "int32", result.shape, {"to": CODES["int32"]}, to=result.name)
        draft.commit((found,))


def _feeds_gather(graph: Graph, op: Operator) -> bool:
    return any(reader.type == "Gather" for reader in graph.consumers(op.outputs[0] or ""))


@dataclass(frozen=True, slots=True)
class Joined:
    """A Concat and its operands that have elements."""

    op: Operator
    kept: tuple[str, ...]


class EmptyOperands(Rewrite[Joined]):
    """Operands of Concat without elements are left out."""

    id: ClassVar[str] = "concat-without-empty-operands"
    title: ClassVar[str] = "Operands of Concat that have no elements are left out"
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("Concat",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("ACL103", "dimension-of-0", "concat-of-one")

    def match(self, graph: Graph, op: Operator) -> Joined | Miss:
        """An operand of 0 elements beside others."""
        axis = int(op.attrs.get("axis", 0))
        tensors = [graph.find(name or "") for name in op.inputs]
        kept = tuple(
            name or "" for name, tensor in zip(op.inputs, tensors, strict=True) if not _empty(tensor, axis)
        )
        if len(kept) == len(op.inputs):
            return Miss("each operand has elements")
        return Joined(op, kept) if kept else Miss("no operand has elements")

    def apply(self, graph: Graph, found: Joined) -> None:
        """The others; what is left alone is handed on."""
        draft, op = Draft(graph, found.op), found.op
        if len(found.kept) == 1:
            draft.op("Identity", found.kept, op.outputs)
        else:
            draft.keep(op, inputs=found.kept)
        draft.commit((op,))


def _empty(tensor: Tensor | None, axis: int) -> bool:
    if tensor is None or tensor.shape is None or not -len(tensor.shape) <= axis < len(tensor.shape):
        return False
    return tensor.shape[axis] == 0


class LogByRoot(Parts):
    """Log of what is above zero becomes a root, corrected by the exponential."""

    id: ClassVar[str] = "log-by-root"
    title: ClassVar[str] = (
        "Log of what is kept above 0 becomes 512 * (r - 1 / r), r = x ** (1 / 1024), twice corrected by Exp"
    )
    root: ClassVar[tuple[str, ...]] = ("Log",)
    answers: ClassVar[tuple[str, ...]] = ("ACL201",)
    POWER = 1024.0

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """float32, behind a sum with, or a limit of, more than 0: of 0 the correction is NaN."""
        if floating(graph, op) != "float32" or graph.opsets.get("", 1) < 7:
            return "it is not on float32, or the operator set is below 7"
        source = writer(graph, op.inputs[0], "Add", "Clip", "Max", "ReduceSum")
        least = None if source is None else _least(graph, source)
        return None if least is not None and least > 0 else "its input is not kept above 0"

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """Halley's step, whose error is the cube of the one before."""
        root = binary(draft, "Pow", x, scalar(draft, 1 / self.POWER, dtype))
        name = binary(draft, "Sub", root, binary(draft, "Div", scalar(draft, 1.0, dtype), root))
        name = binary(draft, "Mul", name, scalar(draft, self.POWER / 2, dtype))
        two = scalar(draft, 2.0, dtype)
        for _ in range(2):
            grown = unary(draft, "Exp", name)
            off = binary(draft, "Div", binary(draft, "Sub", x, grown), binary(draft, "Add", x, grown))
            name = binary(draft, "Add", name, binary(draft, "Mul", off, two))
        return name


def _least(graph: Graph, op: Operator) -> float | None:
    """The stored number that is added, or below which nothing passes."""
    if op.type == "ReduceSum":
        return 1.0 if _of_exponentials(graph, op) else None
    names: Sequence[str | None] = op.inputs[1:2] if op.type == "Clip" else op.inputs
    if op.type == "Clip" and "min" in op.attrs:
        return float(op.attrs["min"])
    stored = [array for array in (array_of(graph, name) for name in names) if array is not None]
    return float(min(array.min() for array in stored)) if stored and all(a.size for a in stored) else None


def _of_exponentials(graph: Graph, op: Operator) -> bool:
    """Whether exp(x - max(x)) is summed, of which one is 1."""
    grown = writer(graph, op.inputs[0], "Exp")
    moved = writer(graph, grown.inputs[0], "Sub") if grown is not None else None
    most = writer(graph, moved.inputs[1], "ReduceMax") if moved is not None else None
    return moved is not None and most is not None and most.inputs[0] == moved.inputs[0]


class WithoutNanGuard(Rewrite[Operator]):
    """Where(IsNaN(p), value, p) of a softmax becomes p."""

    id: ClassVar[str] = "softmax-without-nan-guard"
    title: ClassVar[str] = (
        "Where(IsNaN(p), value, p) behind Softmax becomes p: rows that are masked whole give NaN then"
    )
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("IsNaN",)
    parity: ClassVar[Promise] = Promise.CONTRACT
    answers: ClassVar[tuple[str, ...]] = ("ACL201",)

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """Of a Softmax, and read by one Where that falls back to it."""
        soft = writer(graph, op.inputs[0], "Softmax")
        readers = graph.consumers(op.outputs[0] or "")
        if soft is None or len(readers) != 1 or readers[0].type != "Where":
            return Miss("it is not the guard of a Softmax")
        where = readers[0]
        if where.inputs[0] != op.outputs[0] or where.inputs[2] != op.inputs[0]:
            return Miss("the Where behind it does not give the Softmax")
        return Miss("its result is an output of the graph") if where.outputs[0] in graph.outputs else where

    def apply(self, graph: Graph, found: Operator) -> None:
        """Hand the softmax on."""
        draft = Draft(graph, found)
        draft.op("Identity", (found.inputs[2],), found.outputs)
        draft.commit((found,))


REWRITES = (
    LogicAsNumbers(),
    WhereOfIntegers(),
    MovesAsWide(),
    IntegersAs64(),
    EmptyOperands(),
    LogByRoot(),
    WithoutNanGuard(),
)
