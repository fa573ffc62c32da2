"""Constant folding in TFLite: shapes that are known, and exact operators on constants.

Quantized tensors are left alone, and so is every operator whose result depends on rounding beyond IEEE's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ...analyzer.errors import GraphError
from ...analyzer.ir.dtypes import BITS
from ...analyzer.ir.graph import Constant, Graph, Operator
from ..draft import constant_of
from ..engine import Miss, Parity, Rewrite
from .values import EVALUATORS

if TYPE_CHECKING:
    from numpy.typing import NDArray

GROWTH = 1 << 20
"""Bytes that a result may have beyond its inputs."""
LARGEST = 1 << 26
PLAIN = ("float32", "int32", "int64", "int16", "int8", "uint8", "bool", "uint32")
AT_MOST_FLOAT32 = ("FLOOR_DIV", "FLOOR_MOD", "SUM", "REDUCE_PROD")
"""Exact on integers only."""


@dataclass(frozen=True, slots=True)
class Known:
    """An operator and the constants that it reads."""

    op: Operator
    inputs: tuple[Constant | None, ...]


class FoldTflite(Rewrite[Known]):
    """An operator whose inputs are all constants becomes the constants that it computes."""

    id: ClassVar[str] = "fold-constants-tflite"
    title: ClassVar[str] = "An operator whose inputs are all constants becomes its result"
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = tuple(EVALUATORS)
    parity: ClassVar[Parity] = Parity.BIT_EXACT

    def match(self, graph: Graph, op: Operator) -> Known | Miss:
        """All inputs are constants, nothing is quantized, nothing grows beyond reason."""
        results = [tensor for tensor in graph.output_tensors(op) if tensor is not None]
        if any(tensor.name in graph.outputs for tensor in results):
            return Miss("its result is an output of the graph")
        tensors = [tensor for tensor in graph.input_tensors(op) if tensor is not None]
        if any(tensor.quant is not None for tensor in (*tensors, *results)):
            return Miss("its tensors are quantized")
        constants = tuple(None if name is None else graph.constant(name) for name in op.inputs)
        for name, const in zip(op.inputs, constants, strict=True):
            if name is not None and const is None:
                return Miss(f"its input {name!r} is computed when the model runs")
            if const is not None and const.dtype not in PLAIN:
                return Miss(f"values of {const.dtype} are not folded")
        if op.attrs.get("fused_activation_function", "NONE") != "NONE":
            return Miss("it has a fused activation")
        if op.type in AT_MOST_FLOAT32 and any(
            const is not None and const.dtype == "float32" for const in constants
        ):
            return Miss("the result of this on floats depends on how it is computed")
        size = sum(_nbytes(const) for const in constants)
        promised = sum(tensor.nbytes or 0 for tensor in results)
        if size > LARGEST or promised > size + GROWTH:
            return Miss(f"the file would have to carry {max(size, promised) >> 20} MB")
        return Known(op, constants)

    def apply(self, graph: Graph, found: Known) -> None:
        """Evaluate and fold. Raises GraphError when the operator cannot be evaluated."""
        graph.fold(found.op, evaluate(graph, found.op, found.inputs))


def _nbytes(const: Constant | None) -> int:
    return 0 if const is None else (const.elements * BITS.get(const.dtype, 8) + 7) // 8


def evaluate(graph: Graph, op: Operator, inputs: tuple[Constant | None, ...]) -> dict[str, Constant]:
    """The results of one operator. Raises GraphError when they do not fit what the file says about them."""
    import numpy as np

    arrays = [None if const is None else const.read() for const in inputs]
    dtype = graph.tensor(op.outputs[0] or "").dtype
    try:
        with np.errstate(all="raise", under="ignore", divide="ignore"):
            results: list[NDArray[Any]] = EVALUATORS[op.type](op, arrays, dtype)
    except (ArithmeticError, IndexError, TypeError, ValueError, KeyError) as error:
        raise GraphError(f"{op.type} cannot be evaluated: {error}") from error
    values: dict[str, Constant] = {}
    for name, result in zip([name for name in op.outputs if name], results, strict=True):
        tensor = graph.tensor(name)
        array = np.asarray(result)
        if (
            str(array.dtype) != tensor.dtype
            or array.nbytes > sum(_nbytes(const) for const in inputs) + GROWTH
        ):
            raise GraphError(
                f"{op.type} gave {array.nbytes} bytes of {array.dtype} where the model says {tensor.dtype}"
            )
        if tensor.static and tensor.shape != array.shape:
            raise GraphError(f"{op.type} gave the shape {array.shape} where the model says {tensor.shape}")
        values[name] = constant_of(array, tensor.dtype)
    return values


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
    parity: ClassVar[Parity] = Parity.BIT_EXACT

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
