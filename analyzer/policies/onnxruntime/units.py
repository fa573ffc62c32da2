"""Node units of ONNX Runtime's compiling providers: an operator with the quantize and dequantize operators
around it.

Follows ``OrtSelectorManager`` of the QNN provider (``qnn_ep_utils.cc``), which mirrors ONNX Runtime's shared
QDQ selectors: an operator whose float inputs come from DequantizeLinear and whose results go to
QuantizeLinear is one unit that computes in integers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ...ir.dtypes import BITS
from ...ir.graph import Graph, Operator
from ..tables import STANDARD, Book, Tables


@dataclass(frozen=True, slots=True)
class Unit:
    """One node unit: the target with the operators that stand for it in integers, in execution order around
    it.
    """

    target: Operator
    before: tuple[Operator, ...]
    after: tuple[Operator, ...]
    clip: Operator | None = None

    @property
    def members(self) -> tuple[Operator, ...]:
        """All operators but the target."""
        return (*self.before, *((self.clip,) if self.clip else ()), *self.after)


@dataclass(frozen=True, slots=True)
class _Around:
    """What a selector looks at: dtypes before the DequantizeLinears and behind the QuantizeLinears."""

    graph: Graph
    op: Operator
    before: tuple[Operator, ...]
    after: tuple[Operator, ...]
    clip: Operator | None

    @property
    def entering(self) -> list[str]:
        return [_dtype(self.graph, op.inputs[0]) for op in self.before]

    @property
    def leaving(self) -> list[str]:
        return [_dtype(self.graph, op.outputs[0]) for op in self.after]

    def complete(self, inputs: int | None = None, *, bare: bool = False) -> bool:
        """``CheckQDQNodes``: as many DequantizeLinears as inputs, every result read by QuantizeLinears
        only.
        """
        wanted = sum(1 for name in self.op.inputs if name) if inputs is None else inputs
        if len(self.before) != wanted or not self.before:
            return False
        if not self.after:
            return bare
        results = [name for name in self.op.outputs if name]
        readers = sum(_reads(self.graph, name) for name in results)
        return len(results) == len(self.after) == readers and not any(
            name in self.graph.outputs for name in results
        )

    def same(self) -> bool:
        """All dtypes on both sides agree."""
        return len({*self.entering, *self.leaving}) == 1

    def same_scale(self) -> bool:
        """Both sides have the same scale, constant (``IsQDQPairSupported``: zero points are not compared, nor
        scales but the first).
        """
        first = self.before[0].inputs[1]
        return all(
            op.inputs[1] == first or _scale(self.graph, first) == _scale(self.graph, op.inputs[1]) is not None
            for op in self.after
        )


def units(graph: Graph, tables: Tables = STANDARD, *, shared: bool = False) -> dict[str, Unit]:
    """Operator id -> the unit it belongs to, for targets and members alike.

    ``shared`` stands for ONNX Runtime's own selectors (``QDQ::SelectorManager``), which know fewer targets
    than those of the QNN provider, ask that a Relu or Clip before a QuantizeLinear changes nothing that the
    integers could hold, and that the bias of a convolution is quantized.
    """
    book = tables["onnxruntime/units"]
    own = book.types("own-to-qnn") if shared else ()
    found: dict[str, Unit] = {}
    if all(op.type != "DequantizeLinear" for op in graph.ops()):
        return found  # every unit begins with one
    for op in graph.ops():
        if op.domain not in ("", "ai.onnx", "com.microsoft") or op.type in own:
            continue
        unit = _unit(graph, op, book)
        if unit is not None and not (shared and _own_form(graph, unit, book)):
            found[op.id] = unit
            found.update((member.id, unit) for member in unit.members)
    return found


def _own_form(graph: Graph, unit: Unit, book: Book) -> bool:
    """Whether only the selectors of the QNN provider take a unit of a target that both know."""
    if book.kinds("targets")[unit.target.type] == "conv" and len(unit.before) < len(unit.target.inputs):
        return True
    return unit.clip is not None and not _redundant(graph, unit.clip, unit.after, book)


def _unit(graph: Graph, op: Operator, book: Book) -> Unit | None:
    kind = book.kinds("targets").get(op.type)
    if kind is None:
        return None
    before = tuple(
        writer
        for name in op.inputs
        if (writer := graph.producer(name)) is not None and writer.type == "DequantizeLinear"
    )
    if not before:
        return None
    clip = _clip(graph, op, book)
    source = clip or op
    after = tuple(
        reader
        for name in source.outputs
        if name
        for reader in graph.consumers(name)
        if reader.type == "QuantizeLinear"
    )
    if kind == "pool" and op.version < book.limit("first-pool"):
        return None
    return (
        Unit(op, before, after, clip) if _SELECTORS[kind](_Around(graph, op, before, after, clip)) else None
    )


def _clip(graph: Graph, op: Operator, book: Book) -> Operator | None:
    """A Relu or Clip behind the target that the quantization makes redundant."""
    if len(op.outputs) != 1 or _reads(graph, op.outputs[0]) != 1:
        return None
    reader = graph.consumers(op.outputs[0])[0]
    if (
        reader.type not in book.types("clips")
        or len(reader.outputs) != 1
        or reader.inputs[0] != op.outputs[0]
    ):
        return None
    result = reader.outputs[0]
    return reader if result not in graph.outputs and _reads(graph, result) == 1 else None


def _redundant(graph: Graph, clip: Operator, after: Sequence[Operator], book: Book) -> bool:
    """Whether the range of the integers lies within the clip's (``IsClipMadeRedundantByQ``); both must be
    constant.
    """
    if len(after) != 1:
        return False
    quantize = after[0]
    dtype = _dtype(graph, quantize.outputs[0])
    scale = _scale(graph, quantize.inputs[1])
    limits = _range(dtype) if dtype in book.types("clipped-dtypes") else None
    zero = _number(graph, quantize.inputs[2]) if len(quantize.inputs) > 2 else 0.0
    if scale is None or limits is None or zero is None:
        return False
    if clip.type == "Relu":
        return zero == limits[0]
    low, high = (_bound(graph, clip, place, name) for place, name in ((1, "min"), (2, "max")))
    if low is None or high is None:
        return False
    return round(low / scale[1]) + zero <= limits[0] and round(high / scale[1]) + zero >= limits[1]


def _range(dtype: str) -> tuple[int, int]:
    """The least and the greatest value of an integer dtype."""
    bits = BITS[dtype]
    return (0, (1 << bits) - 1) if dtype.startswith("u") else (-1 << bits - 1, (1 << bits - 1) - 1)


def _bound(graph: Graph, clip: Operator, place: int, name: str) -> float | None:
    """A limit of a Clip from its input or attribute, far out when it has none, None when it is computed."""
    if place < len(clip.inputs) and clip.inputs[place]:
        return _number(graph, clip.inputs[place])
    return float(clip.attrs.get(name, -3.4e38 if name == "min" else 3.4e38))


def _number(graph: Graph, name: str | None) -> float | None:
    """The first value of a constant."""
    constant = graph.constant(name)
    return None if constant is None or not constant.elements else float(constant.numbers(1)[0])


def _reads(graph: Graph, name: str | None) -> int:
    return sum(reader.inputs.count(name) for reader in graph.consumers(name))


def _dtype(graph: Graph, name: str | None) -> str:
    tensor = None if name is None else graph.find(name)
    return "unknown" if tensor is None else tensor.dtype


def _scale(graph: Graph, name: str | None) -> tuple[str, float] | None:
    """Dtype and first value of a scale, None when it is computed."""
    scale = graph.constant(name)
    return None if scale is None or not scale.elements else (scale.dtype, float(scale.numbers(1)[0]))


def _drop(around: _Around) -> bool:
    return around.clip is None and around.complete(1) and around.same() and around.same_scale()


def _drop_before(around: _Around) -> bool:
    return around.clip is None and len(around.before) == 1


def _unary(around: _Around) -> bool:
    return around.complete(1) and around.same()


def _clip_unit(around: _Around) -> bool:
    own = around.graph.producer(around.op.inputs[0])
    return (
        1 <= len(around.before) <= 3
        and around.complete(len(around.before))
        and own in around.before
        and around.entering[0] == around.leaving[0]
    )


def _pair(around: _Around) -> bool:
    return around.complete(2) and around.same()


def _all(around: _Around) -> bool:
    return around.complete() and around.same()


def _split(around: _Around) -> bool:
    return around.clip is None and around.complete(1) and around.same()


def _conv(around: _Around) -> bool:
    """As measured with onnxruntime-qnn 2.7.0: the bias need not be quantized."""
    data, weights = (around.graph.producer(name) for name in around.op.inputs[:2])
    if list(around.before[:2]) != [data, weights] or not around.complete(len(around.before)):
        return False
    entering = around.entering
    if entering[0] != around.leaving[0] or (entering[0] == "int8" and entering[1] != "int8"):
        return False
    return len(entering) < 3 or entering[2] == "int32"


def _einsum(around: _Around) -> bool:
    return around.complete(bare=True) and (not around.after or around.entering[0] == around.leaving[0])


def _matmul(around: _Around) -> bool:
    if len(around.before) != 2 or not around.after:
        return False
    left, right = around.entering
    return (left != "int8" or right == "int8") and around.complete() and left == around.leaving[0]


def _gemm(around: _Around) -> bool:
    if not around.complete(bare=True) or len(around.before) < 2:
        return False
    left, right, *bias = around.entering
    if (left == "int8" and right != "int8") or (around.after and left != around.leaving[0]):
        return False
    return not bias or (around.op.attrs.get("beta", 1.0) == 1.0 and bias[0] == "int32")


def _pad(around: _Around) -> bool:
    return len(around.before) <= 2 and around.complete(len(around.before)) and around.same()


def _norm(around: _Around) -> bool:
    if not around.complete():
        return False
    entering = around.entering
    return entering[0] == around.leaving[0] and (len(entering) < 3 or entering[2] == "int32")


def _batch_norm(around: _Around) -> bool:
    count = len(around.before)
    if not 3 <= count <= 5 or not around.complete(count):
        return False
    entering = around.entering
    return entering[0] == around.leaving[0] and (entering[0] != "int8" or entering[1] == "int8")


def _compare(around: _Around) -> bool:
    return around.complete(bare=True) and len(set(around.entering)) == 1


def _top(around: _Around) -> bool:
    if around.clip is not None or len(around.before) != 1 or len(around.after) != 1:
        return False
    return around.complete(1) and around.same() and around.same_scale()


def _first(around: _Around) -> bool:
    return around.complete(1) and around.entering[0] == around.leaving[0]


def _rms(around: _Around) -> bool:
    return around.complete() and around.entering[0] == around.leaving[0]


def _recurrent(around: _Around) -> bool:
    """As measured with onnxruntime-qnn 2.7.0: sequence lengths may be integers, every result must be
    quantized.
    """
    return around.complete(len(around.before)) and around.entering[0] == around.leaving[0]


_SELECTORS: Mapping[str, Callable[[_Around], bool]] = {
    "handed-on": _drop,
    "pool": _drop,
    "arg": _drop_before,
    "unary": _unary,
    "clip": _clip_unit,
    "pair": _pair,
    "all": _all,
    "split": _split,
    "conv": _conv,
    "bare": _einsum,
    "matmul": _matmul,
    "gemm": _gemm,
    "norm": _norm,
    "batch-norm": _batch_norm,
    "compare": _compare,
    "pad": _pad,
    "top": _top,
    "first": _first,
    "rms": _rms,
    "recurrent": _recurrent,
}
"""By the kinds of the table of targets."""
