"""ONNX: LSTM, GRU and RNN, for accelerators that have none: their steps one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ..draft import Draft
from ..engine import Miss, Promise, Rewrite
from ..views import sizes
from .operands import array_of, binary, floating, integers, reshape, unary
from .quantized import rounded

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_STEPS = 256
"""Steps, of all directions together, that are written out."""
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1, "DynamicQuantizeLSTM": 4}
DEFAULTS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
ACTIVATIONS = ("Sigmoid", "Tanh", "Relu")
FIRST_SPLIT = 13
"""Operator set from which on accelerators have Split."""
OLDEST = 7
"""Operator set from which on Add and Mul broadcast."""


@dataclass(frozen=True, slots=True)
class Direction:
    """The stored weights of one direction: [inputs, gates], [hidden, gates], and both biases."""

    weights: NDArray[Any]
    recurrent: NDArray[Any]
    bias: NDArray[Any]
    recurrent_bias: NDArray[Any]
    functions: tuple[str, ...]
    backwards: bool


@dataclass(frozen=True, slots=True)
class Recurrent:
    """A recurrent operator of known sizes.

    Attributes:
        quantized: its operands are rounded to 8 bits before each product.
    """

    op: Operator
    kind: str
    steps: int
    batch: int
    directions: tuple[Direction, ...]
    quantized: bool

    @property
    def hidden(self) -> int:
        """Size of the state."""
        return int(self.directions[0].recurrent.shape[0])


class UnrollRecurrent(Rewrite[Recurrent]):
    """An LSTM, GRU or RNN over few steps becomes products, sums and activations for each step."""

    id: ClassVar[str] = "recurrent-unrolled"
    title: ClassVar[str] = (
        f"LSTM, GRU and RNN over at most {MOST_STEPS} steps become MatMul, Add and activations for each step"
    )
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("LSTM", "GRU", "RNN", "DynamicQuantizeLSTM")
    parity: ClassVar[Promise] = Promise.ROUNDING
    answers: ClassVar[tuple[str, ...]] = (
        "ACL201",
        "ACL204",
        "lstm-activations",
        "lstm-dynamic-states-fail-to-compile",
    )

    def speaks_of(self, op: Operator) -> bool:
        """One of them is Microsoft's own."""
        domains = ("com.microsoft",) if op.type == "DynamicQuantizeLSTM" else ("", "ai.onnx")
        return op.type in self.root and op.domain in domains

    def match(self, graph: Graph, op: Operator) -> Recurrent | Miss:
        """Known sizes, stored weights, whole sequences and plain activations."""
        if floating(graph, op) != "float32":
            return Miss("it is not on float32")
        shape = sizes(graph.find(op.inputs[0] or ""))
        if shape is None or 0 in shape:
            return Miss("its sizes are not all known")
        unusual = [name for name in ("clip", "layout", "input_forget") if op.attrs.get(name)]
        if unusual or _given(op, 7):
            return Miss(f"it has {unusual[0] if unusual else 'peepholes'}")
        if graph.opsets.get("", 1) < OLDEST:
            return Miss(f"before operator set {OLDEST} operands are not broadcast")
        if _given(op, 4) and not _whole(graph, op.inputs[4], shape[0]):
            return Miss("its sequences end early, or where is computed when the model runs")
        directions = _directions(graph, op)
        if isinstance(directions, Miss):
            return directions
        if shape[0] * len(directions) > MOST_STEPS:
            return Miss(f"it has {shape[0] * len(directions)} steps")
        quantized = op.type == "DynamicQuantizeLSTM"
        kind = "LSTM" if quantized else op.type
        return Recurrent(op, kind, shape[0], shape[1], directions, quantized)

    def apply(self, graph: Graph, found: Recurrent) -> None:
        """Each direction, and what they give together."""
        draft, op = Draft(graph, found.op), found.op
        data = _rows(draft, found)
        states = [_run(draft, found, index, data) for index in range(len(found.directions))]
        size = (found.batch, found.hidden)
        ends = [0 if way.backwards else -1 for way in found.directions]
        every, last, cells = (*op.outputs, None, None, None)[:3]
        if every is not None:
            rows = [_stacked(draft, found, hidden) for hidden, _ in states]
            draft.finish(_joined(draft, rows, 1, every), every)
        if last is not None:
            final = [reshape(draft, states[at][0][end], (1, *size)) for at, end in enumerate(ends)]
            draft.finish(_joined(draft, final, 0, last), last)
        if cells is not None:
            final = [reshape(draft, cell, (1, *size)) for _, cell in states]
            draft.finish(_joined(draft, final, 0, cells), cells)
        draft.commit((op,))


def _given(op: Operator, index: int) -> bool:
    return len(op.inputs) > index and op.inputs[index] is not None


def _whole(graph: Graph, name: str | None, steps: int) -> bool:
    lengths = array_of(graph, name)
    return lengths is not None and bool((lengths == steps).all())


def _directions(graph: Graph, op: Operator) -> tuple[Direction, ...] | Miss:
    """The weights of each direction as floats, the quantized ones dequantized."""
    import numpy as np

    quantized = op.type == "DynamicQuantizeLSTM"
    weights, recurrent = (_weight(graph, op, index, quantized) for index in (1, 2))
    if weights is None or recurrent is None or (_given(op, 3) and array_of(graph, op.inputs[3]) is None):
        return Miss("its weights or biases are computed when the model runs")
    kind = "LSTM" if quantized else op.type
    count, width = len(weights), recurrent.shape[1] * GATES[kind]
    stored = array_of(graph, op.inputs[3]) if _given(op, 3) else None
    biases = np.zeros((count, 2 * width), np.float32) if stored is None else stored
    default = DEFAULTS[kind]
    asked = [str(name) for name in op.attrs.get("activations") or default * count]
    functions = [name.capitalize() for name in asked]
    if len(functions) != len(default) * count or any(name not in ACTIVATIONS for name in functions):
        return Miss(f"its activations are {', '.join(asked)}")
    backwards = (op.attrs.get("direction", "forward") == "reverse", True)
    each = len(default)
    return tuple(
        Direction(
            weights[index],
            recurrent[index],
            biases[index][:width],
            biases[index][width:],
            tuple(functions[index * each : (index + 1) * each]),
            backwards[index],
        )
        for index in range(count)
    )


def _weight(graph: Graph, op: Operator, index: int, quantized: bool) -> NDArray[Any] | None:
    """[directions, rows, gates] of floats."""
    import numpy as np

    stored = array_of(graph, op.inputs[index])
    if stored is None:
        return None
    if not quantized:
        return stored.transpose(0, 2, 1)
    scale, zero = (op.inputs[place + 2 * (index - 1)] for place in (8, 9))
    scales, zeros = array_of(graph, scale), array_of(graph, zero)
    if scales is None or zeros is None:
        return None
    count, _, gates = stored.shape
    wide = [
        np.broadcast_to(item.reshape(count, 1, -1), (count, 1, gates)).astype(np.float32)
        for item in (scales, zeros)
    ]
    return ((stored.astype(np.float32) - wide[1]) * wide[0]).astype(np.float32)


def _rows(draft: Draft, found: Recurrent) -> str:
    """The inputs of all steps as rows."""
    name = found.op.inputs[0] or ""
    width = (sizes(draft.find(name)) or (0,))[-1]
    if found.quantized:
        name = rounded(draft, name)
    return reshape(draft, name, (found.steps * found.batch, width))


def _run(draft: Draft, found: Recurrent, index: int, rows: str) -> tuple[list[str], str]:
    """The hidden state after every step in the order of the sequence, and the last cell of an LSTM."""
    way, lbr = found.directions[index], bool(found.op.attrs.get("linear_before_reset"))
    bias = way.bias + way.recurrent_bias
    if found.kind == "GRU" and lbr:
        bias = bias.copy()
        bias[2 * found.hidden :] = way.bias[2 * found.hidden :]
    width = len(bias)
    weights = draft.constant(way.weights, "float32", "weights")
    product = draft.value("MatMul", (rows, weights), "float32", (found.steps * found.batch, width))
    moved = binary(draft, "Add", product, draft.constant(bias, "float32", "bias"))
    inputs = _parts(draft, moved, 0, [found.batch] * found.steps)
    step = _Step(draft, found, way)
    hidden, cell = (_initial(draft, found, index, place) for place in (5, 6))
    order = range(found.steps)
    states: dict[int, str] = {}
    for at in reversed(order) if way.backwards else order:
        hidden, cell = step(inputs[at], hidden, cell)
        states[at] = hidden
    return [states[at] for at in order], cell or ""


def _initial(draft: Draft, found: Recurrent, index: int, place: int) -> str | None:
    """The state before the first step; None where it is zero."""
    if not _given(found.op, place) or (place == 6 and found.kind != "LSTM"):
        return None
    name = found.op.inputs[place] or ""
    stored = array_of(draft.graph, name)
    if stored is not None and not stored.any():
        return None
    size = (found.batch, found.hidden)
    if len(found.directions) > 1:
        name = _parts(draft, name, 0, [1] * len(found.directions))[index]
    return reshape(draft, name, size)


class _Step:
    """Writes one step after the other."""

    def __init__(self, draft: Draft, found: Recurrent, way: Direction) -> None:
        self.draft, self.found, self.way = draft, found, way
        self.size = (found.batch, found.hidden)
        self.made: dict[str, str] = {}

    def __call__(self, x: str, hidden: str | None, cell: str | None) -> tuple[str, str | None]:
        """The states after a step, from its input times the weights and the states before it."""
        if self.found.kind == "LSTM":
            return self.lstm(x, hidden, cell)
        if self.found.kind == "GRU":
            return self.gru(x, hidden), None
        name = x if hidden is None else self.less(x, self.times(hidden, 0, 1))
        return self.act(0, name), None

    def lstm(self, x: str, hidden: str | None, cell: str | None) -> tuple[str, str]:
        """Gates in the order input, output, forget, cell."""
        total = x if hidden is None else self.less(x, self.times(hidden, 0, 4))
        i, o, f, c = _parts(self.draft, total, 1, [self.found.hidden] * 4)
        new = self.mul(self.act(0, i), self.act(1, c))
        if cell is not None:
            new = self.add(self.mul(self.act(0, f), cell), new)
        return self.mul(self.act(0, o), self.act(2, new)), new

    def gru(self, x: str, hidden: str | None) -> str:
        """Gates in the order update, reset, hidden."""
        each, after = self.found.hidden, bool(self.found.op.attrs.get("linear_before_reset"))
        update, reset, own = _parts(self.draft, x, 1, [each] * 3)
        if hidden is not None:
            pair = _parts(self.draft, self.times(hidden, 0, 2), 1, [each] * 2)
            update, reset = self.less(update, pair[0]), self.less(reset, pair[1])
        update, reset = self.act(0, update), self.act(0, reset)
        if after:
            bias = self.constant("reset bias", self.way.recurrent_bias[2 * each :])
            inner = bias if hidden is None else self.less(bias, self.times(hidden, 2, 3))
            total = self.add(own, self.mul(reset, inner))
        else:
            total = own if hidden is None else self.less(own, self.times(self.mul(reset, hidden), 2, 3))
        new = self.act(1, total)
        kept = binary(self.draft, "Sub", self.constant("one", 1.0), update)
        fresh = self.mul(kept, new)
        return fresh if hidden is None else self.add(fresh, self.mul(update, hidden))

    def times(self, hidden: str, first: int, last: int) -> str:
        """The hidden state times the negated recurrent weights of some gates.

        What is subtracted stays MatMul; of a sum ONNX Runtime makes Gemm, whose addend some providers want
        stored.
        """
        each = self.found.hidden
        values = -self.way.recurrent[:, first * each : last * each]
        weights = self.constant(f"recurrent weights {first}", values)
        if self.found.quantized:
            hidden = rounded(self.draft, hidden)
        return self.draft.value("MatMul", (hidden, weights), "float32", (self.size[0], values.shape[1]))

    def constant(self, stem: str, values: Any) -> str:
        """A constant that every step reads."""
        import numpy as np

        if stem not in self.made:
            self.made[stem] = self.draft.constant(np.asarray(values, np.float32), "float32", stem)
        return self.made[stem]

    def act(self, place: int, name: str) -> str:
        """An activation by its place among those of the direction."""
        return unary(self.draft, self.way.functions[place], name)

    def add(self, one: str, other: str) -> str:
        """A sum."""
        return binary(self.draft, "Add", one, other)

    def less(self, one: str, other: str) -> str:
        """A difference."""
        return binary(self.draft, "Sub", one, other)

    def mul(self, one: str, other: str) -> str:
        """A product."""
        return binary(self.draft, "Mul", one, other)


def _parts(draft: Draft, name: str, axis: int, parts: Sequence[int]) -> list[str]:
    """Equal parts along an axis; the whole where there is one."""
    if len(parts) == 1:
        return [name]
    source = draft.find(name)
    shapes = [
        tuple(size if at == axis else dim for at, dim in enumerate(source.shape or ())) for size in parts
    ]
    opset = draft.graph.opsets.get("", 1)
    if opset < FIRST_SPLIT:
        return [_gathered(draft, name, axis, at, shape) for at, shape in enumerate(shapes)]
    names = [draft.tensor(source.dtype, shape, stem="part") for shape in shapes]
    attrs: dict[str, Any] = {"axis": axis}
    if opset >= 18:
        attrs["num_outputs"] = len(parts)
    draft.op("Split", (name,), names, attrs)
    return names


def _gathered(draft: Draft, name: str, axis: int, at: int, shape: tuple[Any, ...]) -> str:
    """A part by its positions: before operator set 13 providers have no Split."""
    positions = integers(draft, range(at * shape[axis], (at + 1) * shape[axis]), "positions")
    return draft.value("Gather", (name, positions), draft.find(name).dtype, shape, {"axis": axis})


def _joined(draft: Draft, names: list[str], axis: int, to: str) -> str:
    """One after the other along an axis."""
    if len(names) == 1:
        return names[0]
    return draft.value("Concat", names, "float32", draft.find(to).shape, {"axis": axis})


def _stacked(draft: Draft, found: Recurrent, states: list[str]) -> str:
    """[steps, 1, batch, hidden] of one direction."""
    rows = (found.steps * found.batch, found.hidden)
    name = states[0] if len(states) == 1 else draft.value("Concat", states, "float32", rows, {"axis": 0})
    return reshape(draft, name, (found.steps, 1, found.batch, found.hidden))


class DefaultActivations(Rewrite[Operator]):
    """Activations that are the default ones are left out."""

    id: ClassVar[str] = "default-activations"
    title: ClassVar[str] = "LSTM and GRU whose activations are stated and the default ones state none"
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("LSTM", "GRU", "RNN")
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("lstm-activations", "ACL501")

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """The names of the defaults, for each direction, without parameters of their own."""
        asked = [str(name).capitalize() for name in op.attrs.get("activations") or ()]
        if not asked:
            return Miss("it states no activations")
        default = list(DEFAULTS[op.type])
        if asked not in (default, default * 2):
            return Miss(f"its activations are {', '.join(asked)}")
        tuned = op.attrs.get("activation_alpha") or op.attrs.get("activation_beta")
        return Miss("its activations have parameters") if tuned else op

    def apply(self, graph: Graph, found: Operator) -> None:
        """Without the attribute."""
        draft = Draft(graph, found)
        draft.keep(found, attrs={key: value for key, value in found.attrs.items() if key != "activations"})
        draft.commit((found,))


REWRITES = (DefaultActivations(), UnrollRecurrent())
