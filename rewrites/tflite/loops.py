"""TFLite: loops that run a known number of times, and choices whose sides cost little, without control
flow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ..draft import Draft, constant_of
from ..engine import Miss, Promise, Rewrite
from ..views import sizes
from .operands import quantized, reshape
from .values import EVALUATORS

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_ROUNDS, MOST_OPERATORS = 512, 4096
"""Rounds of a loop, and operators of all of them, that are written out."""
SMALL = 4096
"""Elements of a value that is followed from round to round."""
STATEFUL = (
    "ASSIGN_VARIABLE", "CALL_ONCE", "HASHTABLE", "HASHTABLE_FIND", "HASHTABLE_IMPORT", "HASHTABLE_SIZE",
    "MULTINOMIAL", "RANDOM_STANDARD_NORMAL", "RANDOM_UNIFORM", "READ_VARIABLE", "VAR_HANDLE", "CUSTOM",
)  # fmt: skip
MAY_FAIL = ("GATHER", "GATHER_ND", "SCATTER_ND", "RESHAPE", "DYNAMIC_UPDATE_SLICE", "SLICE", "STRIDED_SLICE")
"""Operators that end a run where an operand does not fit, if it is computed."""


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop, its body, and how often it runs."""

    op: Operator
    body: Graph
    rounds: int


class UnrollWhile(Rewrite[Loop]):
    """A WHILE that runs a known number of times becomes as many copies of its body."""

    id: ClassVar[str] = "while-unrolled"
    title: ClassVar[str] = "WHILE that runs a known number of times becomes as many copies of its body"
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("WHILE",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("ACL201", "ACL203", "size-known-at-run-time")

    def match(self, graph: Graph, op: Operator) -> Loop | Miss:
        """Its condition follows from stored values, round by round."""
        condition, body = op.graphs.get("cond"), op.graphs.get("body")
        if condition is None or body is None:
            return Miss("its condition or body is missing")
        if any(item.graphs or item.type in STATEFUL for part in (condition, body) for item in part.ops()):
            return Miss("its body calls others, or has a state")
        if any(sizes(graph.find(name or "")) is None for name in op.outputs):
            return Miss("the sizes of its results are not all known")
        rounds = _rounds(graph, op, condition, body)
        return rounds if isinstance(rounds, Miss) else Loop(op, body, rounds)

    def apply(self, graph: Graph, found: Loop) -> None:
        """Copy after copy; constants of the body are shared."""
        draft = Draft(graph, found.op)
        values = [name or "" for name in found.op.inputs]
        stored: dict[str, str] = {}
        for _ in range(found.rounds):
            values = copied(draft, found.body, values, stored)
        for name, to in zip(values, found.op.outputs, strict=True):
            if to is not None:
                reshape(draft, name, sizes(graph.tensor(to)) or (), to=to)
        draft.commit((found.op,))


def _rounds(graph: Graph, op: Operator, condition: Graph, body: Graph) -> int | Miss:
    constants = [graph.constant(name) for name in op.inputs]
    values = [None if const is None or const.elements > SMALL else const.read() for const in constants]
    most = min(MOST_ROUNDS, MOST_OPERATORS // max(len(body), 1))
    for count in range(most + 1):
        (goes,) = _followed(condition, values)
        if goes is None:
            return Miss("how often it runs is computed when the model runs")
        if not bool(goes.reshape(-1)[0]):
            return count
        values = _followed(body, values)
    return Miss(f"it runs more than {most} times")


def _followed(graph: Graph, values: Sequence[NDArray[Any] | None]) -> list[NDArray[Any] | None]:
    """The outputs of a subgraph that follow from the known inputs; None where one does not."""
    import numpy as np

    known = {name: value for name, value in zip(graph.inputs, values, strict=True) if value is not None}

    def value(name: str | None) -> NDArray[Any] | None:
        const = graph.constant(name)
        return const.read() if const is not None and const.elements <= SMALL else known.get(name or "")

    for op in graph.ops():
        arrays = [value(name) for name in op.inputs]
        plain = op.attrs.get("fused_activation_function", "NONE") == "NONE" and not quantized(graph, op)
        if op.type not in EVALUATORS or not plain or any(array is None for array in arrays):
            continue
        dtype = graph.tensor(op.outputs[0] or "").dtype
        try:
            with np.errstate(all="raise"):
                results = EVALUATORS[op.type](op, arrays, dtype)
        except (ArithmeticError, IndexError, TypeError, ValueError, KeyError):
            continue
        small = zip(op.outputs, map(np.asarray, results), strict=False)
        known.update((name, array) for name, array in small if name and array.size <= SMALL)
    return [value(name) for name in graph.outputs]


def copied(draft: Draft, body: Graph, values: Sequence[str], stored: dict[str, str]) -> list[str]:
    """The operators of a subgraph on other inputs; the names of its outputs."""
    names: dict[str, str] = dict(zip(body.inputs, values, strict=True))
    for name, tensor in body.tensors.items():
        if name in names:
            continue
        if tensor.const is not None and name in stored:
            names[name] = stored[name]
            continue
        names[name] = draft.graph.fresh(name)
        draft.tensors[names[name]] = _renamed(tensor, names[name])
        if tensor.const is not None:
            stored[name] = names[name]
    for op in body.ops():
        inputs = tuple(None if name is None else names[name] for name in op.inputs)
        outputs = tuple(None if name is None else names[name] for name in op.outputs)
        draft.keep(op, id=draft.graph.fresh_id(), inputs=inputs, outputs=outputs)
    return [names[name] for name in body.outputs]


def _renamed(tensor: Any, name: str) -> Any:
    from dataclasses import replace

    return replace(tensor, name=name)


@dataclass(frozen=True, slots=True)
class Choice:
    """An IF, its sides, and the tensor of one element that decides."""

    op: Operator
    sides: Mapping[str, Graph]
    decider: str


class IfBySelect(Rewrite[Choice]):
    """An IF whose sides have no effect but their results computes both and selects."""

    id: ClassVar[str] = "if-to-select"
    title: ClassVar[str] = (
        "IF with sides of at most 256 operators computes both sides and selects their results"
    )
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("IF",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("ACL201", "ACL203")
    MOST = 256
    DTYPES = ("float32", "int32", "int8", "uint8", "int16", "int64", "bool")
    """Of SELECT_V2. Source: LiteRT, tflite/kernels/select.cc."""

    def match(self, graph: Graph, op: Operator) -> Choice | Miss:
        """Sides without state, whose operators cannot fail, and results of known sizes."""
        sides = dict(op.graphs)
        if len(sides) != 2:
            return Miss("it has not two sides")
        inner = [(side, item) for side in sides.values() for item in side.ops()]
        if any(item.graphs or item.type in STATEFUL for _, item in inner):
            return Miss("a side calls others, or has a state")
        if len(inner) > self.MOST or any(_may_fail(side, item) for side, item in inner):
            return Miss("a side is long, or has an operator that fails where computed operands do not fit")
        results = [graph.find(name or "") for name in op.outputs]
        if any(sizes(item) is None or item is None or item.dtype not in self.DTYPES for item in results):
            return Miss("its results have sizes that are not known, or a dtype that is not selected")
        if any(not sizes(item) for item in results):
            return Miss("a result has no dimensions")
        return Choice(op, sides, _decider(graph, op.inputs[0] or ""))

    def apply(self, graph: Graph, found: Choice) -> None:
        """Both sides, and a SELECT_V2 for each result."""
        draft = Draft(graph, found.op)
        values = [name or "" for name in found.op.inputs[1:]]
        named = [next(side for key, side in found.sides.items() if key.startswith(word)) for word in WORDS]
        ends = [copied(draft, side, values, {}) for side in named]
        for position, to in enumerate(found.op.outputs):
            if to is None:
                continue
            result = graph.tensor(to)
            flag = reshape(draft, found.decider, (1,) * len(result.shape or ()))
            pair = (ends[0][position], ends[1][position])
            draft.value(
                "SELECT_V2", (flag, *pair), result.dtype, result.shape, quant=result.quant, to=result.name
            )
        draft.commit((found.op,))


WORDS = ("then", "else")


def _may_fail(side: Graph, op: Operator) -> bool:
    return op.type in MAY_FAIL and any(side.constant(name) is None for name in op.inputs[1:])


def _decider(graph: Graph, name: str) -> str:
    """What a RESHAPE to no dimensions reads: the GPU counts such a tensor as dynamic."""
    writer = graph.producer(name)
    return writer.inputs[0] or "" if writer is not None and writer.type in ("RESHAPE", "SQUEEZE") else name


@dataclass(frozen=True, slots=True)
class Stored:
    """A product of stored operands, and what it gives."""

    op: Operator
    value: NDArray[Any]


class ProductOfConstants(Rewrite[Stored]):
    """FULLY_CONNECTED of stored operands, as the first round of a loop has them, becomes its result."""

    id: ClassVar[str] = "fully-connected-of-constants"
    title: ClassVar[str] = "FULLY_CONNECTED of stored float32 operands becomes its result"
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("FULLY_CONNECTED",)
    parity: ClassVar[Promise] = Promise.ROUNDING
    answers: ClassVar[tuple[str, ...]] = ("ACL502", "layer-input-stored")

    def match(self, graph: Graph, op: Operator) -> Stored | Miss:
        """float32 without an activation."""
        import numpy as np

        constants = [graph.constant(name) for name in op.inputs if name]
        result = graph.tensor(op.outputs[0] or "")
        shape = sizes(result)
        if any(const is None for const in constants):
            return Miss("an operand is computed when the model runs")
        arrays = [const.read() for const in constants if const is not None and const.dtype == "float32"]
        plain = op.attrs.get("fused_activation_function", "NONE") == "NONE"
        if len(arrays) != len(constants) or not plain or shape is None or result.name in graph.outputs:
            return Miss("it is not on float32, has an activation, or gives an output of the graph")
        rows = arrays[0].reshape(-1, arrays[1].shape[1]).astype(np.float64)
        value = rows @ arrays[1].T.astype(np.float64)
        value = value + arrays[2] if len(arrays) > 2 else value
        return Stored(op, value.astype(np.float32).reshape(shape))

    def apply(self, graph: Graph, found: Stored) -> None:
        """Fold it."""
        graph.fold(found.op, {found.op.outputs[0] or "": constant_of(found.value)})


REWRITES = (UnrollWhile(), IfBySelect(), ProductOfConstants())
