"""What an operator costs: multiply-accumulate operations, and bytes that cross a boundary.

MACs are counted for convolutions, matrix products and recurrent cells, the operators that decide
where time goes; element-wise operators count none. An unknown size makes the count None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import prod

from ..ir.graph import Graph, Operator, Tensor

Tensors = tuple[Tensor | None, ...]
Counter = Callable[[Operator, Tensors, Tensors], int | None]


def counted(graph: Graph, view: Graph) -> dict[str, int | None]:
    """Multiply-accumulates of one run of each operator of ``graph`` whose type is counted, by id, with the
    tensors that ``view`` has; None where a size is unknown.
    """
    counters = _COUNTERS.get(graph.dialect, {})
    return {
        op.id: counter(op, view.input_tensors(op), view.output_tensors(op))
        for op in graph.ops()
        if (counter := counters.get(op.type)) is not None
    }


def boundary(graph: Graph, ids: Iterable[str]) -> tuple[int | None, int | None]:
    """Bytes that a group reads from outside and writes to outside; constants do not count, None when a size
    is unknown.
    """
    inside = set(ids)
    entering: dict[str, int | None] = {}
    leaving: dict[str, int | None] = {}
    for id in inside:
        op = graph.op(id)
        for name in op.inputs:
            if not name or name in entering:
                continue
            writer = graph.producer(name)
            if (writer is None or writer.id not in inside) and graph.constant(name) is None:
                entering[name] = _bytes(graph, name)
        for name in op.outputs:
            if name and (name in graph.outputs or graph.leaves(name, inside)):
                leaving[name] = _bytes(graph, name)
    return _total(entering), _total(leaving)


def _bytes(graph: Graph, name: str) -> int | None:
    tensor = graph.find(name)
    return None if tensor is None else tensor.nbytes


def _total(sizes: Mapping[str, int | None]) -> int | None:
    total = 0
    for size in sizes.values():
        if size is None:
            return None
        total += size
    return total


def _dims(tensors: Tensors, index: int) -> tuple[int, ...] | None:
    tensor = tensors[index] if index < len(tensors) else None
    shape = None if tensor is None else tensor.shape
    if shape is None:
        return None
    dims = tuple([dim for dim in shape if isinstance(dim, int)])
    return dims if len(dims) == len(shape) else None


def _out_times_weight(skip: int) -> Counter:
    """Output elements times the weight's elements per output channel (``skip`` is the output-channel
    axis).
    """

    def count(op: Operator, inputs: Tensors, outputs: Tensors) -> int | None:
        weight, out = _dims(inputs, 1), _dims(outputs, 0)
        if weight is None or out is None or len(weight) <= skip:
            return None
        return prod(out) * prod(dim for axis, dim in enumerate(weight) if axis != skip)

    return count


def _in_times_weight(skip: int, data: int = 0) -> Counter:
    """Input elements times the weight's elements per input channel: transposed convolution."""

    def count(op: Operator, inputs: Tensors, outputs: Tensors) -> int | None:
        weight, source = _dims(inputs, 1), _dims(inputs, data)
        if weight is None or source is None or len(weight) <= skip:
            return None
        return prod(source) * prod(dim for axis, dim in enumerate(weight) if axis != skip)

    return count


def _depthwise(op: Operator, inputs: Tensors, outputs: Tensors) -> int | None:
    weight, out = _dims(inputs, 1), _dims(outputs, 0)
    return None if weight is None or out is None or len(weight) != 4 else prod(out) * weight[1] * weight[2]


def _matmul(transpose: str) -> Counter:
    """Output elements times the contracted dimension of the first operand."""

    def count(op: Operator, inputs: Tensors, outputs: Tensors) -> int | None:
        left, out = _dims(inputs, 0), _dims(outputs, 0)
        if left is None or out is None or not left:
            return None
        return prod(out) * (left[-2] if op.attrs.get(transpose) and len(left) > 1 else left[-1])

    return count


def _recurrent(gates: int) -> Counter:
    """ONNX RNN, GRU, LSTM: steps x batch x directions x gates x hidden x (input + hidden)."""

    def count(op: Operator, inputs: Tensors, outputs: Tensors) -> int | None:
        source, recurrence = _dims(inputs, 0), _dims(inputs, 2)
        if source is None or recurrence is None or len(source) != 3 or len(recurrence) != 3:
            return None
        hidden = recurrence[2]
        return source[0] * source[1] * recurrence[0] * gates * hidden * (source[2] + hidden)

    return count


def _linear(op: Operator, inputs: Tensors, outputs: Tensors) -> int | None:
    source, out = _dims(inputs, 0), _dims(outputs, 0)
    return None if source is None or out is None or not source else prod(out) * source[-1]


def _layer_weights(op: Operator, inputs: Tensors, outputs: Tensors) -> int | None:
    out, channels = _dims(outputs, 0), op.attrs.get("kernelChannels")
    size = op.attrs.get("kernelSize", ())
    return None if out is None or not isinstance(channels, int) else prod(out) * channels * prod(size)


_COUNTERS: Mapping[str, Mapping[str, Counter]] = {
    "onnx": {
        "Conv": _out_times_weight(0),
        "ConvInteger": _out_times_weight(0),
        "QLinearConv": _depthwise,
        "FusedConv": _out_times_weight(0),
        "ConvTranspose": _in_times_weight(0),
        "MatMul": _matmul(""),
        "Gemm": _matmul("transA"),
        "MatMulInteger": _matmul(""),
        "LSTM": _recurrent(4),
        "GRU": _recurrent(3),
        "RNN": _recurrent(1),
    },
    "tflite": {
        "CONV_2D": _out_times_weight(0),
        "CONV_3D": _out_times_weight(4),
        "DEPTHWISE_CONV_2D": _depthwise,
        "FULLY_CONNECTED": _out_times_weight(0),
        "BATCH_MATMUL": _matmul("adj_x"),
        "TRANSPOSE_CONV": _in_times_weight(3, data=2),
    },
    "tf": {
        "Conv2D": _out_times_weight(3),
        "Conv3D": _out_times_weight(4),
        "MatMul": _matmul("transpose_a"),
        "BatchMatMulV2": _matmul("adj_x"),
        "BatchMatMulV3": _matmul("adj_x"),
        "BatchMatMul": _matmul("adj_x"),
    },
    "mil": {
        "conv": _out_times_weight(0),
        "conv_transpose": _in_times_weight(0),
        "linear": _linear,
        "matmul": _matmul("transpose_x"),
    },
    "nn": {"convolution": _layer_weights, "innerProduct": _linear},
}
