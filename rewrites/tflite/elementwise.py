"""TFLite: broadcasts, sums and activations that GPU delegates lack, from ones that they have."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ..draft import Draft, constant_of
from ..engine import Miss, Promise, Rewrite
from ..views import padded, sizes
from .operands import integers, moves, number, quantized, reshape, told, unary

if TYPE_CHECKING:
    from collections.abc import Sequence

GROWTH = 1 << 20
"""Bytes of a constant that a rewrite may add."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A broadcast: the input's sizes, with ones in front up to the result's rank, and the result's."""

    op: Operator
    source: str
    before: tuple[int, ...]
    after: tuple[int, ...]


class BroadcastToTile(Rewrite[Spread]):
    """BROADCAST_TO becomes TILE; where every reader broadcasts by itself it is removed."""

    id: ClassVar[str] = "broadcast-to-tile"
    title: ClassVar[str] = "BROADCAST_TO becomes TILE, with a RESHAPE where the rank grows"
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("BROADCAST_TO",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("ACL201", "ACL202", "ACL403")

    def match(self, graph: Graph, op: Operator) -> Spread | Miss:
        """Shapes are known and the quantization stays."""
        found = moves(graph, op)
        if isinstance(found, str):
            return Miss(found)
        if not told(graph, op):
            return Miss("its shape is computed when the model runs")
        if len(found[2]) > len(found[3]):
            return Miss("its result has fewer dimensions than its input")
        return Spread(op, found[0].name, padded(found[2], len(found[3])), found[3])

    def apply(self, graph: Graph, found: Spread) -> None:
        """RESHAPE to the result's rank and TILE the axes of size 1."""
        draft = Draft(graph, found.op)
        if found.before == found.after:
            reshape(draft, found.source, found.after, to=found.op.outputs[0])
        else:
            view = reshape(draft, found.source, found.before)
            times = [after // before for before, after in zip(found.before, found.after, strict=True)]
            source = draft.find(view)
            counts = integers(draft, times, "multiples")
            draft.value(
                "TILE", (view, counts), source.dtype, found.after, quant=source.quant, to=found.op.outputs[0]
            )
        draft.commit((found.op,))


class AddNToAdds(Rewrite[Operator]):
    """ADD_N of more than two tensors becomes a chain of ADD."""

    id: ClassVar[str] = "add-n-to-adds"
    title: ClassVar[str] = "ADD_N of several tensors becomes a chain of ADD in the same order"
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("ADD_N",)
    parity: ClassVar[Promise] = Promise.ROUNDING
    answers: ClassVar[tuple[str, ...]] = ("ACL201", "ACL504")

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """Two inputs or more, not quantized."""
        if quantized(graph, op):
            return Miss("its tensors are quantized")
        return op if len(op.inputs) > 1 else Miss("it has one input")

    def apply(self, graph: Graph, found: Operator) -> None:
        """From left to right, as the kernel adds."""
        draft = Draft(graph, found)
        result = graph.tensor(found.outputs[0] or "")
        name = found.inputs[0] or ""
        for index, other in enumerate(found.inputs[1:], 2):
            last = index == len(found.inputs)
            name = draft.value(
                "ADD", (name, other), result.dtype, result.shape, to=result.name if last else None
            )
        draft.commit((found,))


class ZerosLikeToConstant(Rewrite[Operator]):
    """ZEROS_LIKE of a tensor of known size becomes a constant."""

    id: ClassVar[str] = "zeros-like-to-constant"
    title: ClassVar[str] = "ZEROS_LIKE of a tensor with known sizes becomes a constant"
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("ZEROS_LIKE",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("ACL201",)

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """Small, not quantized, and not an output of the graph."""
        result = graph.tensor(op.outputs[0] or "")
        shape = sizes(result)
        if shape is None or quantized(graph, op) or result.dtype not in ("float32", "int32", "bool", "int64"):
            return Miss("its sizes are not all known, or it is quantized")
        if result.name in graph.outputs:
            return Miss("its result is an output of the graph")
        return (
            op
            if (result.nbytes or 0) <= GROWTH
            else Miss(f"the file would have to carry {(result.nbytes or 0) >> 20} MB of zeros")
        )

    def apply(self, graph: Graph, found: Operator) -> None:
        """Fold it."""
        import numpy as np

        result = graph.tensor(found.outputs[0] or "")
        graph.fold(
            found, {result.name: constant_of(np.zeros(sizes(result) or (), result.dtype), result.dtype)}
        )


class ArgMaxAs32(Rewrite[Operator]):
    """ARG_MAX and ARG_MIN with an int64 result that is only cast give int32 instead."""

    id: ClassVar[str] = "argmax-int32"
    title: ClassVar[str] = "ARG_MAX and ARG_MIN whose int64 result is only cast on give an int32 result"
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("ARG_MAX", "ARG_MIN")
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("ACL301",)

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """int64, read by CAST alone, along an axis of known size."""
        result = graph.tensor(op.outputs[0] or "")
        if result.dtype != "int64":
            return Miss("its result is int32 already")
        if result.name in graph.outputs:
            return Miss("its int64 result is an output of the graph")
        readers = graph.consumers(result.name)
        if not readers or any(reader.type != "CAST" for reader in readers):
            return Miss("its int64 result is read by others than CAST")
        if sizes(graph.find(op.inputs[0] or "")) is None:
            return Miss("the sizes of its input are not all known")
        return op

    def apply(self, graph: Graph, found: Operator) -> None:
        """A new operator that gives int32, and casts from that."""
        draft = Draft(graph, found)
        old = graph.tensor(found.outputs[0] or "")
        readers = graph.consumers(old.name)
        name = draft.value(
            found.type, found.inputs, "int32", old.shape, {"output_type": "INT32"}, version=found.version
        )
        for reader in readers:
            draft.keep(reader, inputs=(name,), attrs={**reader.attrs, "in_data_type": "INT32"})
        draft.commit((found, *readers))


@dataclass(frozen=True, slots=True)
class Alpha:
    """A PRELU and the sizes that its slopes are to have."""

    op: Operator
    shape: tuple[int, ...]


class PreluPerChannel(Rewrite[Alpha]):
    """PRELU whose constant slopes are broadcast over the channels gets one slope for each channel."""

    id: ClassVar[str] = "prelu-per-channel"
    title: ClassVar[str] = (
        "PRELU with one constant slope, or one for each row or column, gets slopes for every channel"
    )
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("PRELU",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("ACL201", "ACL401", "ACL403", "ACL405", "ACL505")

    def match(self, graph: Graph, op: Operator) -> Alpha | Miss:
        """Constant float slopes whose sizes differ from the channels, or are those of no full axis."""
        if quantized(graph, op):
            return Miss("its tensors are quantized")
        data, slopes = sizes(graph.find(op.inputs[0] or "")), graph.constant(op.inputs[1])
        if data is None or slopes is None or slopes.dtype != "float32" or not data:
            return Miss("its shape is not known, or its slopes are computed when the model runs")
        if len(slopes.shape) > len(data):
            return Miss("its slopes have more dimensions than its input")
        wide = padded(slopes.shape, len(data))
        leading = any(size != 1 for size in wide[:-1])
        shape = (1, *data[1:]) if leading else (*(1 for _ in data[:-1]), data[-1])
        if leading and prod(shape) * 4 > GROWTH:
            return Miss(f"the file would have to carry {prod(shape) >> 18} MB of slopes")
        if wide[0] != 1 or (prod(slopes.shape) == prod(shape) and slopes.shape[-1:] == data[-1:]):
            return Miss("its slopes are for every channel already")
        return Alpha(op, shape)

    def apply(self, graph: Graph, found: Alpha) -> None:
        """Write the slopes out."""
        import numpy as np

        draft = Draft(graph, found.op)
        slopes = graph.constant(found.op.inputs[1])
        assert slopes is not None
        full = np.broadcast_to(slopes.read().reshape(padded(slopes.shape, len(found.shape))), found.shape)
        alpha = draft.constant(
            full[0] if found.shape[0] == 1 and len(found.shape) == 4 else full, "float32", "alpha"
        )
        draft.keep(found.op, inputs=(found.op.inputs[0], alpha))
        draft.commit((found.op,))


class Unary(Rewrite[Operator]):
    """A float activation or normalization that is put together from simpler operators."""

    dialect: ClassVar[str] = "tflite"
    parity: ClassVar[Promise] = Promise.ROUNDING
    answers: ClassVar[tuple[str, ...]] = ("ACL201",)

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """Float32 of known rank, nothing fused."""
        source = graph.find(op.inputs[0] or "")
        if source is None or source.dtype != "float32" or source.quant is not None or not source.shape:
            return Miss("it is not on float32, or its rank is not known")
        if op.attrs.get("fused_activation_function", "NONE") != "NONE":
            return Miss("it has a fused activation")
        return op

    def apply(self, graph: Graph, found: Operator) -> None:
        """Replace the operator by what ``build`` makes."""
        draft = Draft(graph, found)
        source = graph.tensor(found.inputs[0] or "")
        self.build(draft, source.name, source.shape or (), found.outputs[0] or "")
        draft.commit((found,))

    def build(self, draft: Draft, name: str, shape: Sequence[int | str | None], to: str) -> None:
        """Write the operators that compute ``to`` from ``name``."""
        raise NotImplementedError


def _last(draft: Draft, type: str, name: str) -> str:
    """A reduction over the last axis that keeps it."""
    source = draft.find(name)
    shape = source.shape or ()
    return draft.value(
        type, (name, integers(draft, [len(shape) - 1])), "float32", (*shape[:-1], 1), {"keep_dims": True}
    )


class ReluZeroToOne(Unary):
    """RELU_0_TO_1 becomes MINIMUM(RELU(x), 1)."""

    id: ClassVar[str] = "relu-0-to-1-to-minimum"
    title: ClassVar[str] = "RELU_0_TO_1 becomes MINIMUM of RELU and 1"
    root: ClassVar[tuple[str, ...]] = ("RELU_0_TO_1",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT

    def build(self, draft: Draft, name: str, shape: Sequence[int | str | None], to: str) -> None:
        """min(relu(x), 1)."""
        draft.value(
            "MINIMUM", (unary(draft, "RELU", name), number(draft, 1.0)), "float32", tuple(shape), to=to
        )


class LogSoftmaxParts(Unary):
    """LOG_SOFTMAX becomes x - max - log(sum(exp(x - max)))."""

    id: ClassVar[str] = "log-softmax-parts"
    title: ClassVar[str] = "LOG_SOFTMAX becomes x - max - log(sum(exp(x - max)))"
    root: ClassVar[tuple[str, ...]] = ("LOG_SOFTMAX",)

    def build(self, draft: Draft, name: str, shape: Sequence[int | str | None], to: str) -> None:
        """The shift by the maximum keeps the exponentials finite."""
        moved = draft.value("SUB", (name, _last(draft, "REDUCE_MAX", name)), "float32", tuple(shape))
        total = unary(draft, "LOG", _last(draft, "SUM", unary(draft, "EXP", moved)))
        draft.value("SUB", (moved, total), "float32", tuple(shape), to=to)


class L2NormParts(Unary):
    """L2_NORMALIZATION becomes x / max(sqrt(sum(x * x)), 1e-6)."""

    id: ClassVar[str] = "l2-normalization-parts"
    title: ClassVar[str] = "L2_NORMALIZATION becomes x / max(sqrt(sum(x * x)), 1e-6)"
    root: ClassVar[tuple[str, ...]] = ("L2_NORMALIZATION",)
    EPSILON = 1e-6
    """Source: LiteRT, tflite/kernels/internal/reference/l2normalization.h."""

    def build(self, draft: Draft, name: str, shape: Sequence[int | str | None], to: str) -> None:
        """Over the last axis."""
        squares = draft.value("MUL", (name, name), "float32", tuple(shape))
        length = unary(draft, "SQRT", _last(draft, "SUM", squares))
        lower = draft.value("MAXIMUM", (length, number(draft, self.EPSILON)), "float32", (*shape[:-1], 1))
        draft.value("DIV", (name, lower), "float32", tuple(shape), to=to)


class L2PoolParts(Rewrite[Operator]):
    """L2_POOL_2D becomes the square root of an AVERAGE_POOL_2D of squares."""

    id: ClassVar[str] = "l2-pool-to-average-pool"
    title: ClassVar[str] = "L2_POOL_2D becomes SQRT(AVERAGE_POOL_2D(x * x))"
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("L2_POOL_2D",)
    parity: ClassVar[Promise] = Promise.ROUNDING
    answers: ClassVar[tuple[str, ...]] = ("ACL201",)

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """Float32, nothing fused."""
        source = graph.find(op.inputs[0] or "")
        if source is None or source.dtype != "float32" or source.shape is None:
            return Miss("it is not on float32, or its rank is not known")
        return (
            op
            if op.attrs.get("fused_activation_function", "NONE") == "NONE"
            else Miss("it has a fused activation")
        )

    def apply(self, graph: Graph, found: Operator) -> None:
        """Square, pool, root."""
        draft = Draft(graph, found)
        source, result = graph.tensor(found.inputs[0] or ""), graph.tensor(found.outputs[0] or "")
        squares = draft.value("MUL", (source.name, source.name), "float32", source.shape)
        mean = draft.value("AVERAGE_POOL_2D", (squares,), "float32", result.shape, found.attrs)
        unary(draft, "SQRT", mean, to=result.name)
        draft.commit((found,))


class StoredInFullRank(Rewrite[Operator]):
    """A stored operand of fewer dimensions than the other gets leading sizes of 1."""

    id: ClassVar[str] = "stored-in-full-rank"
    title: ClassVar[str] = "a stored operand of fewer dimensions gets leading sizes of 1"
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = (
        "ADD",
        "DIV",
        "EQUAL",
        "FLOOR_DIV",
        "FLOOR_MOD",
        "GREATER",
        "GREATER_EQUAL",
        "LESS",
        "LESS_EQUAL",
        "MAXIMUM",
        "MINIMUM",
        "MUL",
        "NOT_EQUAL",
        "POW",
        "SQUARED_DIFFERENCE",
        "SUB",
    )
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("stored-integers-of-lower-rank", "stored-operand-batches")

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """One operand is stored, without quantization, and has a lower rank than the other."""
        place = self._stored(graph, op)
        if place is None:
            return Miss("not one of its operands is stored")
        stored, other = graph.tensor(op.inputs[place] or ""), graph.find(op.inputs[1 - place] or "")
        if stored.quant is not None or stored.shape is None or other is None or other.shape is None:
            return Miss("it is quantized, or a rank is not known")
        return (
            op if len(stored.shape) < len(other.shape) else Miss("its stored operand has as many dimensions")
        )

    @staticmethod
    def _stored(graph: Graph, op: Operator) -> int | None:
        places = [place for place, name in enumerate(op.inputs) if graph.constant(name) is not None]
        return places[0] if len(places) == 1 and len(op.inputs) == 2 else None

    def apply(self, graph: Graph, found: Operator) -> None:
        """The same values in another shape."""
        draft = Draft(graph, found)
        place = self._stored(graph, found) or 0
        stored, other = graph.tensor(found.inputs[place] or ""), graph.tensor(found.inputs[1 - place] or "")
        shape = padded(sizes(stored) or (), len(other.shape or ()))
        constant = graph.constant(stored.name)
        assert constant is not None
        inputs = list(found.inputs)
        inputs[place] = draft.constant(constant.read().reshape(shape), stored.dtype, "stored")
        draft.keep(found, inputs=tuple(inputs))
        draft.commit((found,))


class ComparisonTurned(Rewrite[Operator]):
    """A comparison whose first operand is stored becomes the opposite one with the operands exchanged."""

    id: ClassVar[str] = "comparison-turned"
    title: ClassVar[str] = (
        "a comparison with a stored first operand becomes the mirrored one, with the operands exchanged"
    )
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL")
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("stored-integers-first",)
    MIRRORED: ClassVar[dict[str, str]] = {
        "GREATER": "LESS", "GREATER_EQUAL": "LESS_EQUAL", "LESS": "GREATER", "LESS_EQUAL": "GREATER_EQUAL",
    }  # fmt: skip

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """The first operand alone is stored."""
        stored = [graph.constant(name) is not None for name in op.inputs]
        return op if stored == [True, False] else Miss("its first operand is not the stored one")

    def apply(self, graph: Graph, found: Operator) -> None:
        """a < b is b > a."""
        draft = Draft(graph, found)
        draft.keep(found, type=self.MIRRORED[found.type], inputs=(found.inputs[1], found.inputs[0]))
        draft.commit((found,))


REWRITES = (
    BroadcastToTile(), AddNToAdds(), ZerosLikeToConstant(), ArgMaxAs32(), PreluPerChannel(),
    ReluZeroToOne(), LogSoftmaxParts(), L2NormParts(), L2PoolParts(), StoredInFullRank(), ComparisonTurned(),
)  # fmt: skip
