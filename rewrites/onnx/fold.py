"""Constant folding in ONNX: what is known before the model runs is computed once.

Only operators whose result is exact are evaluated, by onnx's own reference implementation in the operator-set
version of the graph. Nothing random is folded, no DequantizeLinear (accelerators want to see it), and nothing
that would bloat the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ...analyzer.errors import GraphError
from ...analyzer.ir.dtypes import BITS
from ...analyzer.ir.graph import Constant, Graph, Operator, Tensor
from ...analyzer.ir.match import writer
from ..draft import Draft, constant_of
from ..engine import Miss, Promise, Rewrite
from ..folding import GROWTH, LARGEST, Fold, Known
from .operands import FLOATS

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOVES = (
    "Reshape",
    "Transpose",
    "Squeeze",
    "Unsqueeze",
    "Flatten",
    "Concat",
    "Split",
    "Slice",
    "Gather",
    "GatherElements",
    "GatherND",
    "Expand",
    "Tile",
    "Identity",
    "ConstantOfShape",
    "Range",
    "Where",
    "Pad",
    "Trilu",
    "ScatterElements",
    "ScatterND",
    "OneHot",
    "EyeLike",
    "NonZero",
    "Shape",
    "Size",
    "Compress",
    "TopK",
    "ReverseSequence",
    "SpaceToDepth",
    "DepthToSpace",
)
EXACT = (
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Neg",
    "Abs",
    "Min",
    "Max",
    "Floor",
    "Ceil",
    "Round",
    "Sqrt",
    "Sign",
    "Clip",
    "Cast",
    "CastLike",
    "Mod",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "And",
    "Or",
    "Xor",
    "Not",
    "IsNaN",
    "IsInf",
    "Relu",
    "ReduceMax",
    "ReduceMin",
    "ArgMax",
    "ArgMin",
    "BitShift",
    "BitwiseAnd",
    "BitwiseOr",
    "BitwiseXor",
    "BitwiseNot",
)
INTEGERS = ("ReduceProd", "ReduceSum", "CumSum", "Pow", "Sum", "MatMul")
"""Exact on integers only: on floats the order of the additions shows."""
PLAIN = (
    frozenset(BITS)
    - {"bfloat16", "int4", "uint4", "int2", "uint2", "float4e2m1"}
    - {name for name in BITS if name.startswith("float8")}
)


class FoldConstants(Fold):
    """An operator whose inputs are all constants becomes the constants that it computes."""

    id: ClassVar[str] = "fold-constants"
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = (*MOVES, *EXACT, *INTEGERS)
    plain: ClassVar[frozenset[str]] = PLAIN
    half: ClassVar[bool] = False

    def objection(self, graph: Graph, found: Known) -> str | None:
        """Rounding that is not everywhere the same, and size."""
        op = found.op
        if op.type in INTEGERS and found.holds(*FLOATS):
            return "a sum or power of floats depends on how it is computed"
        halves = op.type not in MOVES and found.holds("float16")
        if halves != self.half:
            rounded = "arithmetic on float16 is rounded differently by each runtime"
            return rounded if halves else "it is not on float16"
        if found.nbytes > LARGEST:
            return f"its inputs have more than {LARGEST >> 20} MB: the runtime folds them when it loads"
        promised = sum(_promised(graph, op, found.inputs))
        if promised > found.nbytes + GROWTH:
            return f"the result would have {promised >> 20} MB, which the file would have to carry"
        return None

    def results(self, graph: Graph, found: Known) -> list[Any]:
        """By onnx's reference implementation."""
        import numpy as np

        feeds = {
            f"i{index}": const.read().astype(const.dtype, copy=False)
            for index, const in enumerate(found.inputs)
            if const is not None
        }
        for array in feeds.values():
            array.flags.writeable = False
        try:
            with np.errstate(all="ignore"):
                return _reference(graph, found.op, feeds)
        except Exception as error:  # the reference implementation raises whatever numpy does
            raise GraphError(
                f"{found.op.type} cannot be evaluated: {type(error).__name__}: {error}"
            ) from error


class FoldHalves(FoldConstants):
    """Arithmetic on float16 constants becomes its result, rounded once; runtimes differ in when they
    round.
    """

    id: ClassVar[str] = "fold-half-constants"
    title: ClassVar[str] = "Arithmetic on float16 constants becomes its result, rounded after each operator"
    root: ClassVar[tuple[str, ...]] = EXACT
    parity: ClassVar[Promise] = Promise.ROUNDING
    after: ClassVar[tuple[str, ...]] = ("fold-constants",)
    half: ClassVar[bool] = True


ROUNDED = (
    "Sin", "Cos", "Tan", "Exp", "Log", "Pow", "Tanh", "Sigmoid", "Erf", "Reciprocal", "Softmax", "CumSum",
    "ReduceSum", "ReduceMean", "ReduceProd", "ReduceL2", "Sum", "Mean", "MatMul", "Resize", "Atan",
    "Softplus",
)  # fmt: skip
MOST_ROUNDED = 1 << 18
"""Elements of a result: onnx's reference evaluates element by element here and there."""


class FoldRounded(FoldConstants):
    """What runtimes compute with rounding of their own from constants, as position codes, becomes its
    result.
    """

    id: ClassVar[str] = "fold-rounded-constants"
    title: ClassVar[str] = "Sines, powers, sums and resizes of constants become their result"
    root: ClassVar[tuple[str, ...]] = ROUNDED
    parity: ClassVar[Promise] = Promise.ROUNDING
    after: ClassVar[tuple[str, ...]] = ("fold-half-constants",)
    answers: ClassVar[tuple[str, ...]] = (
        "ACL201",
        "ACL501",
        "ACL502",
        "ACL503",
        "ACL505",
        "ACL701",
        "ACL702",
    )

    def objection(self, graph: Graph, found: Known) -> str | None:
        """Halves, which round after each step, and size."""
        if not found.holds("float32", "float64"):
            return "it is not on float32"
        results = [tensor.elements for tensor in graph.output_tensors(found.op) if tensor is not None]
        if any(count is None or count > MOST_ROUNDED for count in results):
            return f"its result has more than {MOST_ROUNDED} elements, or of an unknown number"
        return None


def _promised(graph: Graph, op: Operator, constants: tuple[Constant | None, ...]) -> list[int]:
    """Bytes of each result, as far as they can be told before it is computed."""
    sizes = [tensor.nbytes for tensor in graph.output_tensors(op) if tensor is not None]
    if None not in sizes:
        return [size or 0 for size in sizes]
    if op.type in ("ConstantOfShape", "Expand", "Tile", "Range", "Pad", "OneHot"):
        return [_result_size(op, constants)]
    return []


def _result_size(op: Operator, constants: tuple[Constant | None, ...]) -> int:
    """Bytes that an operator that makes large results from small inputs would give."""
    from math import prod

    arrays = [None if const is None else const.read() for const in constants]
    first, second = arrays[0], arrays[1] if len(arrays) > 1 else None
    if first is None:
        return 0
    width = max((BITS[const.dtype] // 8 for const in constants if const is not None), default=8)
    if op.type == "ConstantOfShape":
        return prod(int(dim) for dim in first.reshape(-1)) * 8
    if (
        op.type == "Range"
        and len(arrays) == 3
        and all(array is not None and array.size == 1 for array in arrays)
    ):
        start, limit, delta = (float(array.reshape(-1)[0]) for array in arrays if array is not None)
        return max(0, int((limit - start) / delta)) * 8 if delta else 0
    if op.type in ("Expand", "Tile") and second is not None:
        return max(first.size, 1) * prod(max(int(dim), 1) for dim in second.reshape(-1)) * width
    if op.type == "Pad" and second is not None:
        return (first.size + int(abs(second).sum()) * max(first.size, 1)) * width
    if op.type == "OneHot" and second is not None:
        return first.size * int(second.reshape(-1)[0]) * width
    return 0


def _reference(graph: Graph, op: Operator, feeds: dict[str, NDArray[Any]]) -> list[Any]:
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    names = iter(feeds)
    inputs = ["" if name is None else next(names) for name in op.inputs]
    outputs = [name or "" for name in op.outputs]
    node = helper.make_node(
        op.type, inputs, outputs, **{key: _attribute(value) for key, value in op.attrs.items()}
    )
    body = helper.make_graph(
        [node],
        "fold",
        [helper.make_empty_tensor_value_info(name) for name in feeds],
        [helper.make_empty_tensor_value_info(name) for name in outputs if name],
    )
    opset = graph.opsets.get("", op.version)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", opset)])
    results: list[Any] = ReferenceEvaluator(model).run(None, feeds)
    return results


def _attribute(value: Any) -> Any:
    if not isinstance(value, Constant):
        return value
    from onnx import numpy_helper

    return numpy_helper.from_array(value.read().astype(value.dtype))


@dataclass(frozen=True, slots=True)
class Sizes:
    """The operator to fold and what it gives."""

    op: Operator
    value: tuple[int, ...]
    scalar: bool = False


class FoldShape(Rewrite[Sizes]):
    """Shape or Size of a tensor whose sizes are known becomes a constant."""

    id: ClassVar[str] = "fold-shape"
    title: ClassVar[str] = "Shape and Size of a tensor with known sizes become constants"
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("Shape", "Size")
    parity: ClassVar[Promise] = Promise.BIT_EXACT

    def match(self, graph: Graph, op: Operator) -> Sizes | Miss:
        """Every dimension that is asked for is a number."""
        if any(name in graph.outputs for name in op.outputs):
            return Miss("its result is an output of the graph")
        tensor = graph.find(op.inputs[0] or "") if op.inputs else None
        if tensor is None or tensor.shape is None:
            return Miss("the rank of its input is not known")
        dims = tensor.shape[_asked(op, len(tensor.shape))]
        numbers = tuple(dim for dim in dims if isinstance(dim, int))
        if len(numbers) != len(dims):
            return Miss(f"the sizes {dims} of its input are not all known")
        if op.type == "Shape":
            return Sizes(op, numbers)
        count = 1
        for dim in numbers:
            count *= dim
        return Sizes(op, (count,), scalar=True)

    def apply(self, graph: Graph, found: Sizes) -> None:
        """Fold into an int64 constant."""
        import numpy as np

        value = np.array(found.value[0] if found.scalar else found.value, np.int64)
        graph.fold(found.op, {found.op.outputs[0] or "": constant_of(value)})


def _asked(op: Operator, rank: int) -> slice:
    """The dimensions that a Shape gives: ``start`` and ``end``, clamped, from operator set 15 on."""
    if op.type == "Size":
        return slice(None)
    return slice(*slice(op.attrs.get("start", 0), op.attrs.get("end", rank)).indices(rank)[:2])


class FoldPartOfShape(Rewrite[Sizes]):
    """Gather or Slice of known sizes from a Shape whose other sizes stay unknown becomes a constant."""

    id: ClassVar[str] = "fold-part-of-shape"
    title: ClassVar[str] = "The known part that is picked from a Shape becomes a constant"
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("Gather", "Slice")
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    after: ClassVar[tuple[str, ...]] = ("fold-shape",)

    def match(self, graph: Graph, op: Operator) -> Sizes | Miss:
        """The data is the result of a Shape, the positions are constants and the sizes there are numbers."""
        import numpy as np

        shape = writer(graph, op.inputs[0], "Shape") if op.inputs else None
        if shape is None:
            return Miss("its data is not the result of a Shape")
        if any(name in graph.outputs for name in op.outputs):
            return Miss("its result is an output of the graph")
        tensor = graph.find(shape.inputs[0] or "")
        if tensor is None or tensor.shape is None:
            return Miss("the rank of the tensor is not known")
        dims = tensor.shape[_asked(shape, len(tensor.shape))]
        picked = _picked(graph, op, len(dims))
        if isinstance(picked, Miss):
            return picked
        chosen = [dims[index] for index in picked.reshape(-1)]
        numbers = tuple(dim for dim in chosen if isinstance(dim, int))
        if len(numbers) != len(chosen):
            return Miss(f"the sizes {tuple(chosen)} are not all known")
        return Sizes(op, numbers, scalar=np.ndim(picked) == 0)

    def apply(self, graph: Graph, found: Sizes) -> None:
        """Fold into an int64 constant."""
        import numpy as np

        value = np.array(found.value[0] if found.scalar else found.value, np.int64)
        graph.fold(found.op, {found.op.outputs[0] or "": constant_of(value)})


def _picked(graph: Graph, op: Operator, length: int) -> NDArray[Any] | Miss:
    """The positions of a list of ``length`` that a Gather or Slice takes."""
    import numpy as np

    constants = [graph.constant(name) for name in op.inputs[1:]]
    if any(const is None and name is not None for const, name in zip(constants, op.inputs[1:], strict=True)):
        return Miss("the positions are computed when the model runs")
    values = [None if const is None else const.read() for const in constants]
    if op.type == "Gather":
        index = values[0]
        if (
            index is None
            or index.ndim > 1
            or (index.size and not (-length <= index.min() and index.max() < length))
        ):
            return Miss("the positions are outside the shape")
        return np.asarray(np.arange(length)[index])
    bounds = (
        [list(op.attrs.get(name, ())) for name in ("starts", "ends")]
        if not values
        else [_listed(value) for value in values]
    )
    if len(bounds[0]) != 1 or len(bounds[1]) != 1:
        return Miss("it does not slice one axis")
    step = int(bounds[3][0]) if len(bounds) > 3 and bounds[3] else 1
    return (
        np.arange(length)[int(bounds[0][0]) : int(bounds[1][0]) : step]
        if step > 0
        else Miss("it slices backwards")
    )


def _listed(value: NDArray[Any] | None) -> list[Any]:
    return [] if value is None else list(value.reshape(-1).tolist())


class InlineBranch(Rewrite[Operator]):
    """An If with a constant condition becomes the branch that runs."""

    id: ClassVar[str] = "inline-constant-if"
    title: ClassVar[str] = "An If whose condition is a constant becomes the branch that runs"
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("If",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """The condition is constant and the branch computes what it gives."""
        const = graph.constant(op.inputs[0])
        if const is None:
            return Miss("its condition is computed when the model runs")
        branch = op.graphs.get("then_branch" if bool(const.read().reshape(-1)[0]) else "else_branch")
        if branch is None:
            return Miss("the branch is missing")
        if any(branch.producer(name) is None for name in branch.outputs) or len(set(branch.outputs)) != len(
            branch.outputs
        ):
            return Miss("a result of the branch is not computed in it")
        if any(inner.graphs for inner in branch.ops()):
            return Miss("the branch has bodies of its own")
        return op

    def apply(self, graph: Graph, found: Operator) -> None:
        """Move the branch's operators into the graph under fresh names."""
        const = graph.constant(found.inputs[0])
        assert const is not None
        branch = found.graphs["then_branch" if bool(const.read().reshape(-1)[0]) else "else_branch"]
        draft = Draft(graph, found)
        names: dict[str, str] = dict(zip(branch.outputs, (name or "" for name in found.outputs), strict=True))
        for name, tensor in branch.tensors.items():
            if not names.get(name):
                names[name] = graph.fresh(name)
                draft.tensors[names[name]] = Tensor(
                    names[name], tensor.dtype, tensor.shape, tensor.const, tensor.quant, tensor.attrs
                )
        for op in branch.ops():
            inputs = tuple(None if name is None else names.get(name, name) for name in op.inputs)
            outputs = tuple(None if name is None else names[name] for name in op.outputs)
            draft.keep(op, id=graph.fresh_id(), inputs=inputs, outputs=outputs)
        draft.commit((found,))


REWRITES = (FoldShape(), FoldPartOfShape(), FoldConstants(), FoldHalves(), FoldRounded(), InlineBranch())
