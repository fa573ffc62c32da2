"""Constant folding in TFLite: shapes that are known, and exact operators on constants.

Quantized tensors are left alone, and so is every operator whose result depends on rounding beyond IEEE's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ...analyzer.errors import GraphError
from ...analyzer.ir.graph import Graph, Operator
from ..draft import constant_of
from ..engine import Miss, Promise, Rewrite
from ..folding import GROWTH, LARGEST, Fold, Known
from .operands import quantized
from .values import EVALUATORS

if TYPE_CHECKING:
    from numpy.typing import NDArray

PLAIN = frozenset(("float32", "int32", "int64", "int16", "int8", "uint8", "bool", "uint32"))
ON_INTEGERS = ("FLOOR_DIV", "FLOOR_MOD", "SUM", "REDUCE_PROD")
"""Exact on integers only."""


class FoldTflite(Fold):
    """An operator whose inputs are all constants becomes the constants that it computes."""

    id: ClassVar[str] = "fold-constants-tflite"
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = tuple(EVALUATORS)
    plain: ClassVar[frozenset[str]] = PLAIN

    def objection(self, graph: Graph, found: Known) -> str | None:
        """Quantization, fused activations, rounding that is not everywhere the same, and size."""
        op = found.op
        if quantized(graph, op):
            return "its tensors are quantized"
        if op.attrs.get("fused_activation_function", "NONE") != "NONE":
            return "it has a fused activation"
        if op.type in ON_INTEGERS and found.holds("float32"):
            return "the result of this on floats depends on how it is computed"
        promised = sum(tensor.nbytes or 0 for tensor in graph.output_tensors(op) if tensor is not None)
        if found.nbytes > LARGEST or promised > found.nbytes + GROWTH:
            return f"the file would have to carry {max(found.nbytes, promised) >> 20} MB"
        return None

    def results(self, graph: Graph, found: Known) -> list[NDArray[Any]]:
        """By numpy, where it does as the kernels do."""
        import numpy as np

        op = found.op
        arrays = [None if const is None else const.read() for const in found.inputs]
        dtype = graph.tensor(op.outputs[0] or "").dtype
        try:
            with np.errstate(all="raise", under="ignore", divide="ignore"):
                results: list[NDArray[Any]] = EVALUATORS[op.type](op, arrays, dtype)
        except (ArithmeticError, IndexError, TypeError, ValueError, KeyError) as error:
            raise GraphError(f"{op.type} cannot be evaluated: {error}") from error
        size = sum(np.asarray(array).nbytes for array in results)
        if size > found.nbytes + GROWTH:
            raise GraphError(f"{op.type} gave {size} bytes, which the file would have to carry")
        return results


@dataclass(frozen=True, slots=True)
class Sizes:
    """The operator to fold and what it gives."""

    op: Operator
    value: Any


class FoldShapeTflite(Rewrite[Sizes]):
    """SHAPE and RANK of a tensor whose sizes are known become constants."""

    id: ClassVar[str] = "fold-shape-tflite"
    title: ClassVar[str] = "SHAPE and RANK of a tensor with known sizes become constants"
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("SHAPE", "RANK")
    parity: ClassVar[Promise] = Promise.BIT_EXACT

    def match(self, graph: Graph, op: Operator) -> Sizes | Miss:
        """Every size, or for RANK the number of dimensions, is known."""
        tensor = graph.find(op.inputs[0] or "")
        if op.outputs[0] in graph.outputs:
            return Miss("its result is an output of the graph")
        if tensor is None or tensor.shape is None or (op.type == "SHAPE" and not tensor.static):
            return Miss("the sizes of its input are not all known")
        return Sizes(op, tensor.shape if op.type == "SHAPE" else len(tensor.shape))

    def apply(self, graph: Graph, found: Sizes) -> None:
        """Fold into an integer constant."""
        import numpy as np

        name = found.op.outputs[0] or ""
        graph.fold(found.op, {name: constant_of(np.array(found.value, graph.tensor(name).dtype))})


REWRITES = (FoldShapeTflite(), FoldTflite())
