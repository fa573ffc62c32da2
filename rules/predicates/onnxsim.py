"""Predicates of ``coreml/convertible-onnx``: what onnxsim's translation asks of the model's own inputs."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, floor, prod
from typing import Any

from ...analyzer.formats.onnx.node import infer_outputs
from ...analyzer.ir.graph import Graph, Operator, Shape, Tensor
from ...analyzer.ir.match import sole_reader, writer
from ..conditions import Context, Outcome
from ..subjects import UNKNOWN, constant_values
from . import holds_if, predicate

_BROADCAST = (
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Pow",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "And",
    "Where",
)
_TYPES = {"float16", "float32", "float64", "int32", "int64", "bool"}


def _fits(tensor: Tensor, of: str, *, read: bool) -> bool | None:
    if of == "dtype":
        return None if tensor.dtype == "unknown" else tensor.dtype in _TYPES
    if tensor.shape is None:
        return False if of == "static" else None
    if of == "static":
        return tensor.static
    cast = (
        tensor.dtype in ("float32", "float64") or not read
    )  # to float16, or an identity that keeps the input
    return len(tensor.shape) > 0 and (len(tensor.shape) <= 5 or not cast)


@predicate("onnxsim_model_inputs")
def onnxsim_model_inputs(graph: Graph, op: Operator, context: Context, of: str) -> Outcome:
    """What the operator reads of the model's inputs has a supported dtype, a static shape, or a dimension
    (``of``).
    """
    limit = {
        "dtype": "float16, float32, int32 or bool",
        "static": "static shapes",
        "rank": "1 to 5 dimensions",
    }[of]
    for name in op.inputs:
        tensor: Any = (
            graph.find(name) if name and name in graph.inputs and graph.constant(name) is None else None
        )
        if tensor is None:
            continue
        fits = _fits(tensor, of, read=bool(op.outputs))
        if fits is not True:
            sizes = (
                None
                if tensor.shape is None
                else ", ".join("?" if dim is None else str(dim) for dim in tensor.shape)
            )
            shape = " of unknown rank" if sizes is None else f"[{sizes}]"
            return holds_if(fits, f"{name} of {tensor.dtype}{shape}", limit)
    return holds_if(True, "", limit)


@predicate("onnxsim_even_split")
def onnxsim_even_split(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The outputs of a split by count are of equal size."""
    tensor = graph.input_tensors(op)[0] if op.inputs else None
    axis, count = int(op.attrs.get("axis", 0)), len(op.outputs)
    if tensor is None or tensor.shape is None or not -len(tensor.shape) <= axis < len(tensor.shape):
        return holds_if(None, "an unknown size", f"a multiple of {count}")
    size = tensor.shape[axis]
    return holds_if(
        size % count == 0 if isinstance(size, int) else None, f"size {size}", f"a multiple of {count}"
    )


@predicate("onnxsim_stored_sizes")
def onnxsim_stored_sizes(graph: Graph, op: Operator, context: Context, least: int) -> Outcome:
    """Input 1, where its value is known: all at least ``least``."""
    values = _values(graph, op, 1)
    wrong = [value for value in values if value is not UNKNOWN and value < least]
    return holds_if(not wrong, f"{values}", f"at least {least}")


def _values(graph: Graph, op: Operator, place: int) -> list[Any]:
    constant = graph.constant(op.inputs[place]) if len(op.inputs) > place else None
    return [UNKNOWN] if constant is None or constant.dtype == "unknown" else constant_values(constant)


@predicate("onnxsim_reshape")
def onnxsim_reshape(graph: Graph, op: Operator, context: Context, right: bool) -> Outcome:
    """The target shape in Core ML's reading: a 0 copies a dimension of the same rank, or (``right``) counted
    from the right.

    ONNX counts from the left: where the ranks differ the result is another one, which its readers have to
    take.
    """
    target, data = _values(graph, op, 1), graph.input_tensors(op)[0]
    if 0 not in target or data is None or data.shape is None:
        return holds_if(True, "", "")
    shape = copied(list(data.shape), target, right=right) if not op.attrs.get("allowzero") else None
    stored = graph.output_tensors(op)[0]
    same = shape is not None and stored is not None and shape == stored.shape
    fits = same or (
        shape is not None and op.outputs[0] is not None and _readers_take(graph, op.outputs[0], shape)
    )
    return holds_if(fits, f"{target} of rank {len(data.shape)}", "a shape that Core ML reads as ONNX does")


def copied(source: list[Any], target: list[int], *, right: bool) -> tuple[Any, ...] | None:
    """What coremltools 9.0 makes of a reshape's target (``replace_zeros_in_shape``); None where it
    refuses.
    """
    if len(source) != len(target) and not right:
        return None
    lead = len(source) - len(target)
    shape = [size if size else (source[at + lead] if at + lead >= 0 else 1) for at, size in enumerate(target)]
    if not all(isinstance(size, int) for size in (*source, *shape)):
        return tuple(shape)
    if -1 in shape:
        rest = -prod(shape)
        shape[shape.index(-1)] = prod(source) // rest if rest else 0
    return tuple(shape) if prod(shape) == prod(source) else None


def _readers_take(graph: Graph, name: str, shape: tuple[Any, ...]) -> bool:
    """No element-wise operator that the value reaches unchanged, or reduced, meets an operand that it does
    not broadcast with.
    """
    shapes: dict[str, Shape] = {name: shape}
    for op in graph.ops():
        inputs = {item: tensor for item in op.inputs if item and (tensor := graph.find(item)) is not None}
        if not shapes.keys() & inputs or op.type == "Reshape" or not op.outputs or op.outputs[0] is None:
            continue
        seen = {
            item: replace(tensor, shape=shapes.get(item, tensor.shape)) for item, tensor in inputs.items()
        }
        if op.type in _BROADCAST and not _broadcasts([tensor.shape for tensor in seen.values()]):
            return False
        values = {
            item: value
            for item in seen
            if (value := graph.constant(item)) is not None and value.dtype != "unknown"
        }
        found = infer_outputs(op, seen, values, graph.opsets)
        told = graph.find(op.outputs[0])
        if not found and told is not None and told.shape is not None:
            return False
        shapes.update(found)
    return True


def _broadcasts(shapes: list[Any]) -> bool:
    known = [shape for shape in shapes if shape is not None]
    for at in range(1, max((len(shape) for shape in known), default=0) + 1):
        sizes = {shape[-at] for shape in known if len(shape) >= at and isinstance(shape[-at], int)} - {1}
        if len(sizes) > 1:
            return False
    return True


@predicate("onnxsim_ranks")
def onnxsim_ranks(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Results of at most 5 dimensions, or a reshape, transpose, reshape that coremltools decomposes.

    Read from ``expand_high_rank_reshape_and_transpose`` and ``Program._check_invalid_tensor_rank``.
    """
    ranks = [tensor.rank for tensor in graph.output_tensors(op) if tensor is not None]
    if op.type == "Concat" and ranks == [None]:  # onnx does not infer a negative axis of old operator sets
        ranks = [tensor.rank for tensor in graph.input_tensors(op) if tensor is not None]
    highest = max((rank for rank in ranks if rank is not None), default=0)
    if highest <= 5:
        return holds_if(None if None in ranks else True, "an unknown rank", "5 dimensions")
    first = op if op.type == "Reshape" else None
    if op.type == "Transpose":
        first = writer(graph, op.inputs[0], "Reshape")
    third = sole_reader(graph, sole_reader(graph, first, "Transpose"), "Reshape")
    last = graph.output_tensors(third)[0] if third is not None else None
    apart = last is not None and (last.rank or 9) <= 5 and third is not None and not _doubled(graph, third)
    return holds_if(apart, f"{highest} dimensions", "5 dimensions, or reshape, transpose, reshape")


def _doubled(graph: Graph, op: Operator) -> bool:
    """onnxsim gives a reshape a twin: some of its readers are products with a bias, which become Gemm and
    read two dimensions.

    Read from ``fuse_matmul_add_bias_into_gemm_batched.h``. Three products that nothing hinders become one
    before (``fuse_qkv.h``).
    """
    while (following := sole_reader(graph, op, "Reshape")) is not None:  # consecutive ones become the last
        op = following
    asked = graph.consumers(op.outputs[0])
    readers = [reader for reader in asked if reader.type not in ("Shape", "Size")]
    biases = [_bias(graph, reader) for reader in readers]
    target, result = (
        graph.find(name or "") for name in (op.inputs[1] if len(op.inputs) > 1 else None, op.outputs[0])
    )
    stored = (
        target is not None
        and target.name not in graph.facts.folded
        and "zero" not in biases
        and len(readers) == len(asked)
    )
    stored = stored and result is not None and result.name not in graph.facts.measured
    matrices = {
        tensor.shape
        for reader in readers
        if reader.type == "MatMul" and (tensor := graph.find(reader.inputs[1] or "")) is not None
    }
    joined = (
        stored
        and len(readers) == 3
        and len(matrices) == 1
        and all(reader.type == "MatMul" for reader in readers)
    )
    return "added" in biases and set(biases) != {"added"} and not joined


def _bias(graph: Graph, op: Operator) -> str:
    """What is added to a product with a stored matrix: ``zero`` when the file stores zeros (the Add goes
    first), ``added`` or ``none``.
    """
    stored = op.type == "MatMul" and graph.constant(op.inputs[1]) is not None
    add = sole_reader(graph, op, "Add") if stored else None
    bias = next((name for name in add.inputs if name != op.outputs[0]), None) if add is not None else None
    tensor, constant = graph.find(bias or ""), graph.constant(bias)
    if tensor is None or tensor.rank != 1 or tensor.dtype != "float32":
        return "none"
    known = constant is not None and constant.dtype == "float32" and tensor.name not in graph.facts.folded
    return "zero" if known and constant is not None and not any(constant.numbers()) else "added"


@predicate("onnxsim_not_empty")
def onnxsim_not_empty(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Input 1, where the file stores it, has elements: coremltools makes floats of an empty list of
    integers.
    """
    constant = graph.constant(op.inputs[1]) if len(op.inputs) > 1 else None
    empty = constant is not None and constant.dtype != "unknown" and constant.elements == 0
    return holds_if(not empty, "an empty list" if empty else "a list", "at least one element")


@predicate("onnxsim_batched_product")
def onnxsim_batched_product(graph: Graph, op: Operator, context: Context) -> Outcome:
    """An einsum that is one batched matrix product: ``batch m k, batch k n -> batch m n``, each operand in
    any order behind its batch.

    Read from ``onnxsim/einsum_decompose.py``.
    """
    equation = op.attrs.get("equation", "")
    text = "".join((equation.decode() if isinstance(equation, bytes) else str(equation)).split())
    terms, _, out = text.partition("->")
    parts = [*terms.split(","), out]
    fits = len(parts) == 3 and all(
        part and part.isascii() and part.islower() and len(set(part)) == len(part) for part in parts
    )
    return holds_if(fits and _is_product(*parts), text, "one batched matrix product")


def _is_product(left: str, right: str, out: str) -> bool:
    shared, kept = set(left) & set(right), set(out)
    free = [set(left) - set(right), set(right) - set(left)]
    batch = "".join(label for label in out if label in shared)
    orders = ["".join(label for label in term if label in shared & kept) for term in (left, right)]
    if len(shared - kept) != 1 or any(len(labels) != 1 for labels in free):
        return False
    return orders == [batch, batch] and out == batch + min(free[0]) + min(free[1])


@predicate("onnxsim_pads")
def onnxsim_pads(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Pads of more than half the dimensions: the translation takes them for those of all, and has an empty
    list of ends else.
    """
    tensor = graph.input_tensors(op)[0]
    count = len(values) if UNKNOWN not in (values := _values(graph, op, 1)) else None
    known = (
        tensor is not None
        and tensor.rank is not None
        and count is not None
        and len(op.inputs) > 3
        and op.inputs[3] is not None
    )
    fits = not known or (count or 0) > (tensor.rank if tensor is not None and tensor.rank is not None else 0)
    return holds_if(fits, f"{count} pads", "pads of all dimensions")


@predicate("onnxsim_gathered_resize")
def onnxsim_gathered_resize(graph: Graph, op: Operator, context: Context) -> Outcome:
    """A nearest resize that does not just repeat rows and columns: it is translated to gathers, which take
    integers.

    Read from ``_resize_nearest_indices`` and ``_resize_nearest_is_repeating`` of coreml_export.py.
    """
    data, result = graph.input_tensors(op)[0], graph.output_tensors(op)[0]
    if op.attrs.get("mode", "nearest") != "nearest":
        return holds_if(False, "mode linear", "a nearest resize that is no repetition")
    if (
        data is None
        or result is None
        or data.rank != 4
        or result.rank != 4
        or not (data.static and result.static)
    ):
        return holds_if(None, "unknown sizes", "a nearest resize that is no repetition")
    sizes: list[tuple[Any, Any]] = list(zip(data.shape or (), result.shape or (), strict=True))
    scales = [value for value in _values(graph, op, 2) if value is not UNKNOWN] or [1.0] * 4
    repeats = all(_repeats(op, *sizes[at], scale=scales[at] if len(scales) == 4 else 1.0) for at in (2, 3))
    return holds_if(
        not repeats, "repetition" if repeats else "gathers", "a nearest resize that is no repetition"
    )


def _repeats(op: Operator, size: int, wanted: int, *, scale: float) -> bool:
    if wanted % size:
        return False
    scale = wanted / size if scale == 1.0 else scale
    half = 0.0 if op.attrs.get("coordinate_transformation_mode", "half_pixel") == "asymmetric" else 0.5
    turn = {
        "floor": floor,
        "ceil": ceil,
        "round_prefer_floor": lambda x: ceil(x - 0.5),
        "round_prefer_ceil": lambda x: floor(x + 0.5),
    }
    index = turn[op.attrs.get("nearest_mode", "round_prefer_floor")]
    return all(
        min(max(index((at + half) / scale - half), 0), size - 1) == at // (wanted // size)
        for at in range(wanted)
    )
