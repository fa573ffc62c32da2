"""Predicates of ``coreml/convertible-onnx``: what onnxsim's translation asks of the model's own inputs."""

from __future__ import annotations

from typing import Any

from ...analyzer.graph import Graph, Operator, Tensor
from ..conditions import Context, Outcome
from ..subjects import UNKNOWN, constant_values
from . import holds_if, predicate

_TYPES = {"float16", "float32", "float64", "int32", "int64", "bool"}


def _fits(tensor: Tensor, of: str) -> bool | None:
    if of == "dtype":
        return None if tensor.dtype == "unknown" else tensor.dtype in _TYPES
    if tensor.shape is None:
        return False if of == "static" else None
    if of == "static":
        return tensor.static
    return len(tensor.shape) > 0 and (len(tensor.shape) <= 5 or tensor.dtype not in ("float32", "float64"))  # those are cast to float16


@predicate("onnxsim_model_inputs")
def onnxsim_model_inputs(graph: Graph, op: Operator, context: Context, of: str) -> Outcome:
    """What the operator reads of the model's inputs has a dtype that gets in, a fixed shape, or a dimension (``of``)."""
    limit = {"dtype": "float16, float32, int32 or bool", "static": "fixed shapes", "rank": "1 to 5 dimensions"}[of]
    for name in op.inputs:
        tensor: Any = graph.find(name) if name and name in graph.inputs and graph.constant(name) is None else None
        if tensor is None:
            continue
        fits = _fits(tensor, of)
        if fits is not True:
            shape = "?" if tensor.shape is None else [dim if isinstance(dim, int) else "?" for dim in tensor.shape]
            return holds_if(fits, f"{name} is {tensor.dtype}{shape}", limit)
    return holds_if(True, "", limit)


@predicate("onnxsim_even_split")
def onnxsim_even_split(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The pieces of a split by count are equal."""
    tensor = graph.input_tensors(op)[0] if op.inputs else None
    axis, count = int(op.attrs.get("axis", 0)), len(op.outputs)
    if tensor is None or tensor.shape is None or not -len(tensor.shape) <= axis < len(tensor.shape):
        return holds_if(None, "an unknown size", f"a multiple of {count}")
    size = tensor.shape[axis]
    return holds_if(size % count == 0 if isinstance(size, int) else None, f"size {size}", f"a multiple of {count}")


@predicate("onnxsim_stored_sizes")
def onnxsim_stored_sizes(graph: Graph, op: Operator, context: Context, least: int) -> Outcome:
    """Input 1, where the file stores it: all at least ``least``.

    A 0 of a shape passes where the rank stays, and beside a -1, which onnxsim resolves (measured).

    What is computed of shapes ahead of time has neither negative sizes nor the 0 that means a copy.
    """
    constant = graph.constant(op.inputs[1]) if len(op.inputs) > 1 else None
    values: list[Any] = [UNKNOWN] if constant is None or constant.dtype == "unknown" else constant_values(constant)
    data = graph.input_tensors(op)[0]
    same_rank = data is not None and data.shape is not None and len(data.shape) == len(values)
    copies = least == 1 and (same_rank or -1 in values) and not op.attrs.get("allowzero")
    wrong = [value for value in values if value is not UNKNOWN and value < least and not (value == -1 and least == 1)]
    return holds_if(copies or not wrong, f"{values}", f"at least {least}")


@predicate("onnxsim_ranks")
def onnxsim_ranks(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Results of at most 5 dimensions, or a reshape, transpose, reshape that coremltools takes apart.

    Read from ``expand_high_rank_reshape_and_transpose`` and ``Program._check_invalid_tensor_rank``.
    """
    ranks = [tensor.rank for tensor in graph.output_tensors(op) if tensor is not None]
    highest = max((rank for rank in ranks if rank is not None), default=0)
    if highest <= 5:
        return holds_if(None if None in ranks else True, "an unknown rank", "5 dimensions")
    first = graph.producer(op.inputs[0]) if op.type == "Transpose" else op
    second = _only_reader(graph, first) if first is not None and first.type == "Reshape" else None
    third = _only_reader(graph, second) if second is not None and second.type == "Transpose" else None
    last = graph.output_tensors(third)[0] if third is not None and third.type == "Reshape" else None
    return holds_if(last is not None and (last.rank or 9) <= 5, f"{highest} dimensions", "5 dimensions, or reshape, transpose, reshape")


def _only_reader(graph: Graph, op: Operator) -> Operator | None:
    readers = graph.consumers(op.outputs[0])
    return readers[0] if len(readers) == 1 and op.outputs[0] not in graph.outputs else None


@predicate("onnxsim_not_empty")
def onnxsim_not_empty(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Input 1, where the file stores it, has elements: coremltools makes floats of an empty list of integers."""
    constant = graph.constant(op.inputs[1]) if len(op.inputs) > 1 else None
    empty = constant is not None and constant.dtype != "unknown" and constant.elements == 0
    return holds_if(not empty, "an empty list" if empty else "a list", "at least one element")


@predicate("onnxsim_batched_product")
def onnxsim_batched_product(graph: Graph, op: Operator, context: Context) -> Outcome:
    """An einsum that is one batched matrix product: ``batch m k, batch k n -> batch m n``, each operand in any order behind its batch.

    Read from ``onnxsim/einsum_decompose.py``.
    """
    equation = op.attrs.get("equation", "")
    text = "".join((equation.decode() if isinstance(equation, bytes) else str(equation)).split())
    terms, _, out = text.partition("->")
    parts = [*terms.split(","), out]
    fits = len(parts) == 3 and all(part and part.isascii() and part.islower() and len(set(part)) == len(part) for part in parts)
    return holds_if(fits and _is_product(*parts), text, "one batched matrix product")


def _is_product(left: str, right: str, out: str) -> bool:
    shared, kept = set(left) & set(right), set(out)
    free = [set(left) - set(right), set(right) - set(left)]
    batch = "".join(label for label in out if label in shared)
    orders = ["".join(label for label in term if label in shared & kept) for term in (left, right)]
    if len(shared - kept) != 1 or any(len(labels) != 1 for labels in free):
        return False
    return orders == [batch, batch] and out == batch + min(free[0]) + min(free[1])
