"""Patterns that ONNX Runtime's compiling providers take as one operator though a part alone is not taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ..graph import Dim, Graph, Operator


def seen_fused(graph: Graph) -> Graph:
    """The graph with each Erf that a provider sees as part of a Gelu shown as that Gelu (``GeluFusion`` of the QNN provider).

    The other operators of the pattern are taken on their own as well and stay as they are. The constants of the pattern become
    attributes of the Gelu, for the fusion does not look at them: ``divisor``, ``addend`` and ``factor``.
    """
    fused = {op.id: root for op in graph.ops() if op.type == "Erf" and (root := _gelu_input(graph, op)) is not None}
    if not fused:
        return graph
    view = Graph(graph.name, graph.dialect, graph.opsets, graph.outer)
    view.attrs = dict(graph.attrs)
    for tensor in graph.tensors.values():
        view.add_tensor(tensor)
    view.set_interface(graph.inputs, graph.outputs)
    for op in graph.ops():
        root = fused.get(op.id)
        view.add_op(op if root is None else replace(op, type="Gelu", inputs=(root,), attrs=_constants_of_gelu(graph, op)))
    return view


def _constants_of_gelu(graph: Graph, op: Operator) -> dict[str, float]:
    """The constants around an Erf that is fused, as far as they are stored as single numbers."""
    scale, add = graph.producer(op.inputs[0]), _only_reader(graph, op)
    product = None if add is None else _only_reader(graph, add)
    if scale is None or add is None or product is None:
        return {}
    around = (product, _only_reader(graph, product), *(graph.producer(name) for name in product.inputs))
    factors = [value for item in around if item is not None and item.type == "Mul" and (value := _number(graph, item)) is not None]
    divisor, addend = _number(graph, scale), _number(graph, add)
    if divisor and scale.type == "Mul":
        divisor = 1 / divisor
    found = {"divisor": divisor, "addend": addend, "factor": factors[0] if factors else None}
    return {name: value for name, value in found.items() if value is not None}


def _number(graph: Graph, op: Operator) -> float | None:
    """The single number among the operands."""
    stored = [constant for name in op.inputs if (constant := graph.constant(name)) is not None and constant.elements == 1]
    return float(stored[0].read().reshape(-1)[0]) if len(stored) == 1 else None


def _gelu_input(graph: Graph, op: Operator) -> str | None:
    """What the Gelu around an Erf reads: x of x * 0.5 * (1 + erf(x / sqrt(2))), None when there is no such Gelu.

    The factors stand in any order, and the quotient may be a product whose first operand is x. Measured with onnxruntime-qnn 2.7.0.
    """
    scale = graph.producer(op.inputs[0])
    add = _only_reader(graph, op)
    product = _only_reader(graph, add) if add is not None and add.type == "Add" else None
    if scale is None or scale.type not in ("Div", "Mul") or product is None or product.type != "Mul":
        return None
    root = scale.inputs[0]
    halves = [graph.producer(name) for name in product.inputs]
    if any(half is not None and half.type == "Mul" and root in half.inputs for half in halves):
        return root
    last = _only_reader(graph, product)
    return root if last is not None and last.type == "Mul" and (root in product.inputs or root in last.inputs) else None


def _only_reader(graph: Graph, op: Operator) -> Operator | None:
    readers = graph.consumers(op.outputs[0])
    return readers[0] if len(readers) == 1 and op.outputs[0] not in graph.outputs else None


_SIX = 6


def seen_in_rank_5(graph: Graph) -> Graph:
    """The graph with each Reshape, Transpose, Reshape through six dimensions shown in five (``Rank6ToRank5Fusion`` of the QNN provider).

    Source: ``qnn_node_group/reshape_transpose_rank5.cc``: a size of 1 that the transpose leaves in its place is taken out; each
    operator may have its own quantize and dequantize operators.
    """
    shapes: dict[str, tuple[Dim, ...]] = {}
    for op in graph.ops():
        if op.type == "Reshape":
            shapes.update(_shapes_in_rank_5(graph, op))
    if not shapes:
        return graph
    view = Graph(graph.name, graph.dialect, graph.opsets, graph.outer)
    view.attrs = dict(graph.attrs)
    for tensor in graph.tensors.values():
        view.add_tensor(replace(tensor, shape=shapes[tensor.name]) if tensor.name in shapes else tensor)
    view.set_interface(graph.inputs, graph.outputs)
    for op in graph.ops():
        view.add_op(op)
    return view


def _shapes_in_rank_5(graph: Graph, op: Operator) -> Mapping[str, tuple[Dim, ...]]:
    before = list(_handed_on(graph, op))
    transpose = _next(graph, before)
    after = [] if transpose is None or transpose.type != "Transpose" else list(_handed_on(graph, transpose))
    last = _next(graph, after)
    if (
        transpose is None
        or last is None
        or last.type != "Reshape"
        or any(graph.constant(name) is None for name in (op.inputs[1], last.inputs[1]))
    ):
        return {}
    entering, leaving = graph.find(before[0]), graph.find(after[0])
    perm = transpose.attrs.get("perm", ())
    if entering is None or leaving is None or not len(entering.shape or ()) == len(leaving.shape or ()) == len(perm) == _SIX:
        return {}
    one = next((at for at in range(_SIX) if (entering.shape or ())[at] == (leaving.shape or ())[at] == 1), None)
    if one is None or perm[one] != one:
        return {}
    return {name: tuple(dim for at, dim in enumerate(graph.tensor(name).shape or ()) if at != one) for name in (*before, *after)}


def _handed_on(graph: Graph, op: Operator) -> Iterator[str]:
    """The operator's result, and what it becomes in the quantize and dequantize operators behind it."""
    name = op.outputs[0]
    while name is not None:
        yield name
        readers = graph.consumers(name)
        quantizes = len(readers) == 1 and readers[0].type in ("QuantizeLinear", "DequantizeLinear") and name not in graph.outputs
        name = readers[0].outputs[0] if quantizes else None


def _next(graph: Graph, names: list[str]) -> Operator | None:
    readers = graph.consumers(names[-1]) if names else ()
    return readers[0] if len(readers) == 1 and names[-1] not in graph.outputs else None


_RMS = (("Mul", 1), ("Reciprocal", 0), ("Sqrt", 0), ("Add", 0), ("ReduceMean", 0), ("Pow", 0))
"""The operators of an RMS normalization from its end, and the operand of each that leads to the one before."""


def weight_before_rms(graph: Graph, op: Operator) -> bool:
    """Whether it is a constant times ``x * Reciprocal(Sqrt(ReduceMean(Pow(x, p)) + e))``, with every operand in this order.

    The compiler of the HTP does not finish graphs with it (1002); any other order of the operands, Div, or x * x for the power
    is compiled. Measured with onnxruntime-qnn 2.7.0.
    """
    if op.type != "Mul" or len(op.inputs) != 2 or graph.constant(op.inputs[0]) is None:
        return False
    data, name = None, op.inputs[1]
    for type, place in _RMS:
        step = graph.producer(name) if name else None
        if step is None or step.type != type or step.domain not in ("", "ai.onnx") or len(step.inputs) <= place:
            return False
        data = step.inputs[0] if type == "Mul" else data
        name = step.inputs[place]
    return name == data
