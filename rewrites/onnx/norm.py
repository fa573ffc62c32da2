"""ONNX: normalizations written out, and products by rows, for accelerators that have neither as they
stand.
"""

from __future__ import annotations

from math import prod
from typing import ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ..draft import Draft
from ..engine import Miss, Promise, Rewrite
from ..views import sizes
from .operands import binary, floating, reduced, reshape, scalar, unary
from .parts import Parts


class NormParts(Parts):
    """LayerNormalization and InstanceNormalization by means, a square root and a quotient."""

    id: ClassVar[str] = "normalization-parts"
    title: ClassVar[str] = (
        "LayerNormalization and InstanceNormalization become (x - mean) / Sqrt(variance + "
        "epsilon) * scale + bias"
    )
    root: ClassVar[tuple[str, ...]] = ("LayerNormalization", "InstanceNormalization")
    answers: ClassVar[tuple[str, ...]] = ("ACL201",)

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """float32: halves are normalized in float32 by the operator, and the parts would not be."""
        if floating(graph, op) != "float32":
            return "it is not on float32"
        return (
            None
            if all(sizes(graph.find(name)) is not None for name in op.inputs[1:] if name)
            else "the sizes of its weights are not known"
        )

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """Over the axes from ``axis`` on, or over those behind the channels."""
        rank = len(draft.find(x).shape or ())
        layers = op.type == "LayerNormalization"
        axes = list(range(int(op.attrs.get("axis", -1)) % rank, rank)) if layers else list(range(2, rank))
        moved = binary(draft, "Sub", x, reduced(draft, "ReduceMean", x, axes))
        variance = reduced(draft, "ReduceMean", binary(draft, "Mul", moved, moved), axes)
        epsilon = scalar(draft, float(op.attrs.get("epsilon", 1e-5)), dtype)
        name = binary(draft, "Div", moved, unary(draft, "Sqrt", binary(draft, "Add", variance, epsilon)))
        for kind, weight in zip(("Mul", "Add"), op.inputs[1:], strict=False):
            if weight is not None:
                name = binary(
                    draft,
                    kind,
                    name,
                    weight
                    if layers
                    else reshape(draft, weight, (*_known(draft, weight), *(1,) * (rank - 2))),
                )
        return name


def _known(draft: Draft, name: str) -> tuple[int, ...]:
    return sizes(draft.find(name)) or ()


class ReciprocalParts(Parts):
    """Reciprocal becomes 1 / x."""

    id: ClassVar[str] = "reciprocal-to-div"
    title: ClassVar[str] = "Reciprocal becomes 1 / x"
    root: ClassVar[tuple[str, ...]] = ("Reciprocal",)
    answers: ClassVar[tuple[str, ...]] = ("ACL201",)

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """The quotient."""
        return binary(draft, "Div", scalar(draft, 1.0, dtype), x)


class ProductByRows(Rewrite[Operator]):
    """A product of many dimensions with a stored matrix becomes one of two."""

    id: ClassVar[str] = "product-by-rows"
    title: ClassVar[str] = (
        "MatMul of more than two dimensions with a stored matrix becomes Reshape, MatMul of rows, Reshape"
    )
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("MatMul",)
    parity: ClassVar[Promise] = Promise.ROUNDING
    answers: ClassVar[tuple[str, ...]] = ("matmul-form",)

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """Known sizes, and a matrix that the file has."""
        left, right = (graph.find(name or "") for name in op.inputs)
        shape = sizes(left)
        if shape is None or len(shape) < 3 or 0 in shape:
            return Miss("its first operand has few dimensions, or sizes that are not known")
        if right is None or graph.constant(right.name) is None or len(right.shape or ()) != 2:
            return Miss("its second operand is no stored matrix")
        return op

    def apply(self, graph: Graph, found: Operator) -> None:
        """Rows, product, shape."""
        draft = Draft(graph, found)
        shape = sizes(graph.find(found.inputs[0] or "")) or ()
        columns = (sizes(graph.find(found.inputs[1] or "")) or (0, 0))[1]
        rows = prod(shape[:-1])
        flat = reshape(draft, found.inputs[0] or "", (rows, shape[-1]))
        name = draft.value("MatMul", (flat, found.inputs[1]), draft.find(flat).dtype, (rows, columns))
        draft.finish(reshape(draft, name, (*shape[:-1], columns)), found.outputs[0] or "")
        draft.commit((found,))


REWRITES = (ProductByRows(), NormParts(), ReciprocalParts())
