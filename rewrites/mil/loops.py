"""Loops whose number of rounds is known are written out, branches that are decided are taken, and lists whose
positions are known become the values in them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ..draft import constant_of
from ..engine import Miss, Promise, Rewrite
from .operands import MilDraft, concat, given, listed, reshape, result, take, value_of, whole
from .values import evaluate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

ROUNDS = 128
"""As many rounds are written out."""
OPERATORS = 6000
"""As many operators a loop may become."""


@dataclass
class Copying:
    """Operators of bodies on their way into the graph around them: what each value is called there, and
    the values that are known.
    """

    draft: MilDraft
    graph: Graph
    names: dict[str, str] = field(default_factory=dict)
    known: dict[str, NDArray[Any]] = field(default_factory=dict)

    def value(self, name: str) -> NDArray[Any] | None:
        """The value of a name of the graph, where it is known."""
        if name in self.known:
            return self.known[name]
        own = self.draft.tensors.get(name)
        const = self.graph.constant(name) if own is None else own.const
        return None if const is None or const.elements > 4096 or const.dtype == "string" else const.read()

    def body(self, body: Graph, inputs: Sequence[str]) -> list[str]:
        """Write the operators of a body that is given these values; the names of its outputs."""
        local = dict(zip(body.inputs, inputs, strict=True))
        for op in body.ops():
            self._copy(body, op, local)
        return [self._outer(body, name, local) for name in body.outputs]

    def _copy(self, body: Graph, op: Operator, local: dict[str, str]) -> None:
        inputs = tuple(None if name is None else self._outer(body, name, local) for name in op.inputs)
        moved = replace(op, id=self.graph.fresh_id(), inputs=inputs)
        found = evaluate(moved, self.value)
        if found is not None and found.size <= 4096:
            told = body.tensor(result(op)).dtype
            import numpy as np

            local[result(op)] = self.draft.stored(constant_of(found.astype(np.dtype(told))), "known")
            return
        outputs = []
        for name in op.outputs:
            tensor = body.tensor(name or "")
            made = self.draft.tensor(tensor.dtype, tensor.shape, stem="round")
            self.draft.tensors[made] = replace(tensor, name=made)
            local[name or ""] = made
            outputs.append(made)
        label = f"{self.draft._name(op.type)}"
        self.draft.ops.append(replace(moved, outputs=tuple(outputs), name=label))

    def _outer(self, body: Graph, name: str, local: Mapping[str, str]) -> str:
        """What a value of the body is called outside; a constant of the body comes along."""
        if name in local:
            return local[name]
        if name not in body.tensors:
            return name
        key = f"{body.name}:{name}"
        if key not in self.names:
            const = body.tensor(name).const
            assert const is not None
            self.names[key] = self.draft.stored(const, "constant")
        return self.names[key]

    def decided(self, condition: Graph, inputs: Sequence[str]) -> bool | None:
        """What a condition says of these values, where that is known; nothing is written."""
        local: dict[str, NDArray[Any] | None] = {}
        for name, outer in zip(condition.inputs, inputs, strict=True):
            local[name] = self.value(outer)

        def value(name: str) -> NDArray[Any] | None:
            if name in local:
                return local[name]
            if name in condition.tensors:
                const = condition.tensor(name).const
                return None if const is None else const.read()
            return self.value(name)

        for op in condition.ops():
            local[result(op)] = evaluate(op, value)
        found = value(condition.outputs[0])
        return None if found is None else bool(found.reshape(-1)[0])


def _flat(body: Graph) -> bool:
    return not any(op.graphs for op in body.ops())


class UnrollLoop(Rewrite[Operator]):
    """A loop whose condition is decided by counters becomes its rounds, one behind the other."""

    id: ClassVar[str] = "unroll-loops-mil"
    title: ClassVar[str] = "A while_loop with a constant number of rounds becomes the operators of its rounds"
    dialect: ClassVar[str] = "mil"
    root: ClassVar[tuple[str, ...]] = ("while_loop",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("control-flow-or-list",)

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """Bodies without bodies of their own, and an end that is known before the loop runs."""
        if not _flat(op.graphs["condition"]) or not _flat(op.graphs["body"]):
            return Miss("it has bodies within its bodies")
        if graph.outer is not None:
            return Miss("it is in a body")
        found = self._written(graph, op)
        return op if not isinstance(found, Miss) else found

    def _written(self, graph: Graph, op: Operator) -> MilDraft | Miss:
        draft = MilDraft(graph, op)
        copying = Copying(draft, graph)
        values = listed(op, "loop_vars")
        condition, body = op.graphs["condition"], op.graphs["body"]
        for _ in range(ROUNDS + 1):
            going = copying.decided(condition, values)
            if going is None:
                return Miss("how often it runs depends on what is computed in it")
            if not going:
                break
            values = copying.body(body, values)
            if len(draft.ops) > OPERATORS:
                return Miss(f"it would become more than {OPERATORS} operators")
        else:
            return Miss(f"it runs more than {ROUNDS} times")
        self._finish(draft, op, values)
        return draft

    def _finish(self, draft: MilDraft, op: Operator, values: Sequence[str]) -> None:
        """The values of the last round are written under the names of the loop's results."""
        graph = draft.graph
        for name, value in zip(op.outputs, values, strict=True):
            if name is None or (not graph.consumers(name) and name not in graph.outputs):
                continue
            made = next((item for item in draft.ops if value in item.outputs), None)
            tensor = draft.find(value)
            if made is not None and value in draft.tensors and not tensor.attrs.get("kind"):
                draft.finish(value, name)
                values = [name if item == value else item for item in values]
                continue
            if tensor.attrs.get("kind"):
                draft.finish(value, name)
                continue
            draft.make("identity", {"x": value}, tensor.shape or (), to=name)

    def apply(self, graph: Graph, found: Operator) -> None:
        """Write it out."""
        made = self._written(graph, found)
        if not isinstance(made, Miss):
            made.commit((found,))


class TakeBranch(Rewrite[Operator]):
    """A cond whose condition is a constant becomes the branch that it takes."""

    id: ClassVar[str] = "take-the-branch-mil"
    title: ClassVar[str] = "A cond whose condition is constant becomes the operators of that branch"
    dialect: ClassVar[str] = "mil"
    root: ClassVar[tuple[str, ...]] = ("cond",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("control-flow-or-list",)

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """A constant condition, and a branch without bodies."""
        pred = graph.constant(given(op, "pred"))
        if pred is None:
            return Miss("its condition is computed")
        key = "true" if pred.read().reshape(-1)[0] else "false"
        return (
            op
            if _flat(op.graphs[key]) and graph.outer is None
            else Miss("its branch has bodies, or it is in one")
        )

    def apply(self, graph: Graph, found: Operator) -> None:
        """The operators of the branch."""
        pred = graph.constant(given(found, "pred"))
        assert pred is not None
        draft = MilDraft(graph, found)
        body = found.graphs["true" if pred.read().reshape(-1)[0] else "false"]
        values = Copying(draft, graph).body(body, [])
        for name, value in zip(found.outputs, values, strict=True):
            draft.finish(value, name or "")
        draft.commit((found,))


WRITES = ("list_write", "list_scatter")
READS = ("list_read", "list_gather", "list_length")


@dataclass(frozen=True, slots=True)
class Listed:
    """A list from where it is made to its last reader."""

    make: Operator
    ops: tuple[Operator, ...]
    length: int
    shape: tuple[int, ...]
    dtype: str


class ListAsValues(Rewrite[Listed]):
    """A list that is read and written at known positions becomes the values in it."""

    id: ClassVar[str] = "lists-as-values-mil"
    title: ClassVar[str] = (
        "A list that is written and read at constant positions becomes the values that are in it"
    )
    dialect: ClassVar[str] = "mil"
    root: ClassVar[tuple[str, ...]] = ("make_list", *WRITES, *READS)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("control-flow-or-list",)
    after: ClassVar[tuple[str, ...]] = ("unroll-loops-mil", "take-the-branch-mil")

    def match(self, graph: Graph, op: Operator) -> Listed | Miss:
        """Constant positions and length, and no list that leaves the graph."""
        make = _made(graph, op)
        if make is None:
            return Miss("the list is made elsewhere")
        tensor = graph.tensor(result(make))
        length, shape = value_of(graph, make, "init_length"), tensor.attrs.get("element_shape")
        if length is None or shape is None or not all(isinstance(dim, int) for dim in shape):
            return Miss("the length of the list, or the size of its elements, is not known")
        ops: list[Operator] = []
        waiting = [result(make)]
        while waiting:
            name = waiting.pop()
            if name in graph.outputs:
                return Miss("the list is an output of the graph")
            for reader in graph.consumers(name):
                if reader.type not in (*WRITES, *READS) or given(reader, "ls") != name:
                    return Miss(f"a {reader.type} reads the list")
                if reader.type != "list_length" and _positions(graph, reader) is None:
                    return Miss("a position in the list is computed")
                ops.append(reader)
                waiting += [result(reader)] if reader.type in WRITES else []
        return Listed(
            make, tuple(ops), int(length.reshape(-1)[0]), tuple(shape), str(tensor.attrs.get("element"))
        )

    def apply(self, graph: Graph, found: Listed) -> None:
        """Follow the list from write to write."""
        draft = MilDraft(graph, found.make)
        empty = ""
        states: dict[str, dict[int, str]] = {result(found.make): {}}
        lengths = {result(found.make): found.length}
        order = {op.id: index for index, op in enumerate(graph.ops())}
        for op in sorted(found.ops, key=lambda item: order[item.id]):
            ls = given(op, "ls") or ""
            if op.type in WRITES:
                states[result(op)] = {**states[ls], **self._values(draft, op)}
                lengths[result(op)] = max([lengths[ls], *(at + 1 for at in states[result(op)])])
                continue
            if op.type == "list_length":
                self._length(draft, op, lengths[ls])
                continue
            places = [at % max(lengths[ls], 1) for at in _positions(graph, op) or []]
            if not empty and any(at not in states[ls] for at in places):
                empty = self._empty(draft, found)
            values = [states[ls].get(at, empty) for at in places]
            self._read(draft, op, values, found.shape)
        draft.commit((found.make, *found.ops))

    def _values(self, draft: MilDraft, op: Operator) -> dict[int, str]:
        places, value = _positions(draft.graph, op) or [], given(op, "value") or ""
        if op.type == "list_write":
            return {places[0]: value}
        shape = [dim for dim in draft.find(value).shape or () if isinstance(dim, int)]
        return {
            at: reshape(draft, take(draft, value, 0, index, index + 1), shape[1:])
            for index, at in enumerate(places)
        }

    def _empty(self, draft: MilDraft, found: Listed) -> str:
        import numpy as np

        return draft.constant(np.zeros(found.shape, np.dtype(found.dtype)), found.dtype, "empty")

    def _length(self, draft: MilDraft, op: Operator, length: int) -> None:
        import numpy as np

        name = draft.constant(np.array(length, np.int32), stem="length")
        draft.finish(name, result(op))

    def _read(self, draft: MilDraft, op: Operator, values: Sequence[str], shape: tuple[int, ...]) -> None:
        if op.type == "list_read":
            name = draft.make("identity", {"x": values[0]}, shape)
        elif len(shape) < 5:
            rows = [reshape(draft, value, (1, *shape)) for value in values]
            name = concat(draft, rows, 0) if len(rows) > 1 else rows[0]
        else:
            name = draft.make("stack", {"values": list(values)}, (len(values), *shape), axis=0)
        draft.finish(name, result(op))


def _made(graph: Graph, op: Operator) -> Operator | None:
    """The make_list of the list that an operator reads."""
    current: Operator | None = op
    while current is not None and current.type != "make_list":
        current = graph.producer(given(current, "ls"))
    return current


def _positions(graph: Graph, op: Operator) -> list[int] | None:
    return whole(graph, op, "index" if op.type in ("list_write", "list_read") else "indices")


REWRITES = (UnrollLoop(), TakeBranch(), ListAsValues())
