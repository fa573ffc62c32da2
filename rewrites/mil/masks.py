"""Numbers: infinite masks, scales over lookup tables, products that are too wide."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ..engine import Miss, Promise, Rewrite
from .operands import READ_UP_TO, MilDraft, binary, given, result, setting, shape_of, take

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

FINITE = 40000.0
"""What stands for infinity in a mask. Source: Apple, neural_engine_rules.md: -40000."""


@dataclass(frozen=True, slots=True)
class Masked:
    """An operator and the infinite constants that it reads."""

    op: Operator
    names: tuple[str, ...]


class FiniteMask(Rewrite[Masked]):
    """Infinite constants of a mask become large finite ones: infinity less infinity is no number."""

    id: ClassVar[str] = "finite-masks"
    title: ClassVar[str] = (
        "Infinite values of a constant mask become -40000, which hides as well and gives no NaN"
    )
    dialect: ClassVar[str] = "mil"
    root: ClassVar[tuple[str, ...]] = ("add", "sub", "mul", "select", "scaled_dot_product_attention")
    parity: ClassVar[Promise] = Promise.ROUNDING
    answers: ClassVar[tuple[str, ...]] = ("infinite-mask",)

    def match(self, graph: Graph, op: Operator) -> Masked | Miss:
        """A small constant operand with an infinite value."""
        names = []
        for name in dict.fromkeys(op.inputs):
            const = graph.constant(name)
            if name is None or const is None or not const.dtype.startswith("float"):
                continue
            if const.elements <= READ_UP_TO and _infinite(const.read()):
                names.append(name)
        return Masked(op, tuple(names)) if names else Miss("no constant operand of it is infinite")

    def apply(self, graph: Graph, found: Masked) -> None:
        """The operator reads constants of its own."""
        import numpy as np

        draft = MilDraft(graph, found.op)
        new = {}
        for name in found.names:
            const = graph.constant(name)
            assert const is not None
            values = np.clip(const.read(), -FINITE, FINITE)
            new[name] = draft.constant(values.astype(np.dtype(const.dtype)), const.dtype, "mask")
        draft.keep(found.op, inputs=tuple(new.get(name or "", name) for name in found.op.inputs))
        draft.commit((found.op,))


def _infinite(values: NDArray[Any]) -> bool:
    import numpy as np

    return bool((~np.isfinite(values.astype(np.float32)) | (np.abs(values.astype(np.float32)) >= 1e30)).any())


@dataclass(frozen=True, slots=True)
class Product:
    """A product whose sizes are known."""

    op: Operator
    x: str
    y: str
    depth: int


class SplitProduct(Rewrite[Product]):
    """A product with a long contracted dimension becomes products of parts of it, which are added."""

    id: ClassVar[str] = "split-long-products"
    title: ClassVar[str] = (
        "A product with a long contracted dimension becomes products of parts, which are added"
    )
    dialect: ClassVar[str] = "mil"
    root: ClassVar[tuple[str, ...]] = ("linear", "matmul")
    parity: ClassVar[Promise] = Promise.ROUNDING
    answers: ClassVar[tuple[str, ...]] = (
        "contraction-over-32768", "transposed-contraction-over-32768", "contraction-over-16384",
    )  # fmt: skip
    after: ClassVar[tuple[str, ...]] = ("float32-to-float16",)
    MOST = 16384
    PARTS = 16

    def match(self, graph: Graph, op: Operator) -> Product | Miss:
        """Known sizes, at least two dimensions each, and few enough parts."""
        y_key = "weight" if op.type == "linear" else "y"
        x, y = given(op, "x"), given(op, y_key)
        left, right = shape_of(graph, x), shape_of(graph, y)
        if x is None or y is None or left is None or right is None or shape_of(graph, result(op)) is None:
            return Miss("its sizes are not all known")
        if min(len(left), len(right)) < 2:
            return Miss("an operand has one dimension")
        depth = left[-2] if setting(op, "transpose_x", False) else left[-1]
        if depth <= self.MOST:
            return Miss("its contracted dimension is short enough")
        if depth > self.MOST * self.PARTS:
            return Miss("it would become too many products")
        return Product(op, x, y, depth)

    def apply(self, graph: Graph, found: Product) -> None:
        """Slices of both operands along the contracted axis; the bias comes with the first."""
        draft, op = MilDraft(graph, found.op), found.op
        linear = op.type == "linear"
        left = len(shape_of(graph, found.x) or ()) - (2 if setting(op, "transpose_x", False) else 1)
        turned = linear or bool(setting(op, "transpose_y", False))
        right = len(shape_of(graph, found.y) or ()) - (1 if turned else 2)
        shape, total = shape_of(graph, result(op)) or (), ""
        count = -(-found.depth // self.MOST)
        for index in range(count):
            start, stop = found.depth * index // count, found.depth * (index + 1) // count
            x = take(draft, found.x, left, start, stop)
            y = _part(draft, found.y, right, start, stop)
            made = self._product(draft, op, x, y, shape, first=not total)
            total = binary(draft, "add", total, made) if total else made
        draft.finish(total, result(op))
        draft.commit((op,))

    def _product(
        self, draft: MilDraft, op: Operator, x: str, y: str, shape: tuple[int, ...], *, first: bool
    ) -> str:
        if op.type == "matmul":
            turns: dict[str, Any] = {
                key: bool(setting(op, key, False)) for key in ("transpose_x", "transpose_y")
            }
            return draft.make("matmul", {"x": x, "y": y}, shape, **turns)
        bias = given(op, "bias")
        inputs = {"x": x, "weight": y, **({"bias": bias} if bias is not None and first else {})}
        return draft.make("linear", inputs, shape)


def _part(draft: MilDraft, name: str, axis: int, start: int, stop: int) -> str:
    const = draft.graph.constant(name)
    if const is None:
        return take(draft, name, axis, start, stop)
    values = const.read()
    index = tuple(slice(start, stop) if at == axis else slice(None) for at in range(values.ndim))
    return draft.constant(values[index].copy(), const.dtype, "weight")


@dataclass(frozen=True, slots=True)
class Scaled:
    """An operator with weights from a lookup table, scaled."""

    op: Operator
    scale: Operator
    table: Operator
    values: str


class ScaleIntoTable(Rewrite[Scaled]):
    """A scale over a lookup table is folded into the table, where it goes with the table's blocks."""

    id: ClassVar[str] = "scale-into-the-table"
    title: ClassVar[str] = (
        "Scales over a lookup table are multiplied into tables of their own, one for each range of channels"
    )
    dialect: ClassVar[str] = "mil"
    root: ClassVar[tuple[str, ...]] = ("conv", "linear", "matmul", "conv_transpose")
    parity: ClassVar[Promise] = Promise.ROUNDING
    answers: ClassVar[tuple[str, ...]] = ("scale-over-a-lookup-table",)

    def match(self, graph: Graph, op: Operator) -> Scaled | Miss:
        """Scale, no offset, over a table of scalars, each with a single reader."""
        key = "y" if op.type == "matmul" else "weight"
        scale = graph.producer(given(op, key))
        if scale is None or scale.type != "constexpr_blockwise_shift_scale":
            return Miss("its weights are not scaled")
        table = graph.producer(given(scale, "data"))
        if table is None or table.type != "constexpr_lut_to_dense" or given(scale, "offset") is not None:
            return Miss("no lookup table comes before the scale, or an offset comes with it")
        if len(graph.consumers(result(table))) != 1:
            return Miss("something else reads the table's weights")
        lut, factor = graph.constant(given(table, "lut")), graph.constant(given(scale, "scale"))
        if lut is None or factor is None or lut.shape[-1] != 1 or len(lut.shape) != len(factor.shape) + 2:
            return Miss("the table holds vectors, or the scale has other dimensions")
        blocks = lut.shape[:-2]
        both = [max(one, other) for one, other in zip(blocks, factor.shape, strict=True)]
        fits = all(
            size % one == 0 for sizes in (blocks, factor.shape) for size, one in zip(both, sizes, strict=True)
        )
        return (
            Scaled(op, scale, table, given(scale, "scale") or "") if fits else Miss("the blocks do not fit")
        )

    def apply(self, graph: Graph, found: Scaled) -> None:
        """A table for each range of channels that has a scale."""
        import numpy as np

        lut, factor = graph.constant(given(found.table, "lut")), graph.constant(found.values)
        assert lut is not None and factor is not None
        blocks = np.broadcast_shapes(lut.shape[:-2], factor.shape)
        table, scale = lut.read().astype(np.float32), factor.read().astype(np.float32)
        for axis, size in enumerate(blocks):
            table = np.repeat(table, size // table.shape[axis], axis=axis)
            scale = np.repeat(scale, size // scale.shape[axis], axis=axis)
        draft = MilDraft(graph, found.scale)
        weight = result(found.scale)
        dtype = graph.tensor(weight).dtype
        values = (table * scale[..., None, None]).astype(np.dtype(dtype))
        name = draft.constant(values, dtype, "lut")
        old = given(found.table, "lut")
        inputs = tuple(name if item == old else item for item in found.table.inputs)
        draft.ops.append(replace(found.table, id=graph.fresh_id(), inputs=inputs, outputs=(weight,)))
        draft.commit((found.table, found.scale))


REWRITES = (FiniteMask(), SplitProduct(), ScaleIntoTable())
