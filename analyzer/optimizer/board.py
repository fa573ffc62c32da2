"""A graph that is edited many times: operators by id, with the readers of every tensor kept up to date.

``Graph`` checks each edit and orders its operators anew; an optimizer makes hundreds, so it works here and a
``Graph`` is built once it is done. Operators keep the ids of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import GraphError
from ..ir.graph import Constant, Graph, Operator, Shape, Tensor
from ..policies.tables import STANDARD, Book, Tables

BOOK = "onnxruntime/level1"
"""The file of tables."""
LACKS = "lacks "
"""A member's kind may be a change of ``releases.toml``: it is one where the release has the change, or,
behind this, where it has it not.
"""


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of an operator of the file.

    Attributes:
        by: the pass that removed it, as ONNX Runtime names it.
        into: the id of the operator that computes its result now; empty where none does.
    """

    by: str
    into: str = ""


@dataclass(slots=True)
class Log:
    """What happened so far, to a graph and the bodies in it.

    Attributes:
        fates: by id, of operators that are gone.
        made: new operators, by id the operator that each stands for.
        edits: counts changes.
        learned: names of tensors that became constants.
        lacking: passes that the release does not have, as ``releases.toml`` names them.
        tables: what is known of the runtime: operator types, element types and limits.
    """

    fates: dict[str, Fate] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    edits: int = 0
    learned: set[str] = field(default_factory=set)
    lacking: frozenset[str] = frozenset()
    tables: Tables = STANDARD


class Board:
    """One graph under edit. ``outer`` is the board of the graph that holds it."""

    def __init__(self, graph: Graph, log: Log, outer: Board | None = None) -> None:
        self.graph = graph
        self.log = log
        self.outer = outer
        self.tensors = dict(graph.tensors)
        self.outputs = list(graph.outputs)
        self.bodies: dict[str, dict[str, Board]] = {}
        self.shared: dict[str, str] = {}
        """By name of a small constant, the first that is equal to it."""
        self.ages: dict[str, int] = {}
        """By id of an operator that a pass made, when: ONNX Runtime counts it behind all others."""
        self._ops: dict[str, Operator] = {}
        self._mixed = False
        """Whether an operator was put in that may have to stand further ahead."""
        self._stems: dict[str, int] = {}
        """By stem of new names, how many were given out."""
        self._makers: dict[str, str] = {}
        self._readers: dict[str, dict[str, int]] = {}
        self._reads: dict[str, dict[str, int]] = {}
        self._constants: dict[str, Constant | None] = {}
        for op in graph.ops():
            self._insert(op)

    def __len__(self) -> int:
        return len(self._ops)

    def has(self, name: str) -> bool:
        """Whether the release has a pass."""
        return name not in self.log.lacking

    @property
    def book(self) -> Book:
        """What is known of the runtime's first level."""
        return self.log.tables[BOOK]

    def types(self, name: str) -> frozenset[str]:
        """The members of a table that hold for the release."""
        gone = self.log.lacking
        return frozenset(
            member
            for member, kind in self.book.kinds(name).items()
            if kind not in gone and (not kind.startswith(LACKS) or kind.removeprefix(LACKS) in gone)
        )

    # ---- reading -------------------------------------------------------------------------

    def ops(self) -> list[Operator]:
        """The operators as they are now, in execution order."""
        if self._mixed:
            self._ops = self._ordered()
            self._mixed = False
        return list(self._ops.values())

    def walk(self) -> Iterator[tuple[Board, Operator]]:
        """Every operator of this graph and of the bodies in it."""
        for op in self.ops():
            yield self, op
            for body in self.bodies.get(op.id, {}).values():
                yield from body.walk()

    def get(self, id: str) -> Operator | None:
        """The operator of that id, None when it is gone."""
        return self._ops.get(id)

    def maker(self, name: str | None) -> Operator | None:
        """The operator of this graph that writes a tensor; a ``Constant`` is none, ONNX Runtime stores its
        value.
        """
        id = self._makers.get(name) if name else None
        op = None if id is None else self._ops[id]
        return None if op is None or op.type == "Constant" else op

    def readers(self, name: str | None) -> list[Operator]:
        """The operators that read a tensor, once each; those whose bodies do so among them."""
        return [self._ops[id] for id in self._readers.get(name or "", ())]

    def waits_for(self, op: Operator) -> list[str]:
        """Ids of the operators that write what an operator, or a body of its own, reads."""
        makers = {self._makers[name]: None for name in self._reads.get(op.id, ()) if name in self._makers}
        return [id for id in makers if self._ops[id].type != "Constant"]

    def edges(self, op: Operator) -> int:
        """How often the results of an operator are read."""
        return sum(sum(self._readers.get(name or "", {}).values()) for name in op.outputs)

    def gives_output(self, op: Operator) -> bool:
        """Whether a result of an operator is one of the graph."""
        return any(name in self.outputs for name in op.outputs if name)

    def sole(self, op: Operator, *types: str) -> Operator | None:
        """The only reader of an operator, where it has the type, reads it once and no result is an output of
        the graph.
        """
        if self.edges(op) != 1 or self.gives_output(op):
            return None
        found = next(reader for name in op.outputs if name for reader in self.readers(name))
        return found if found.domain == "" and (not types or found.type in types) else None

    def find(self, name: str | None) -> Tensor | None:
        """What is known of a tensor of this graph or of an outer one."""
        scope: Board | None = self
        while scope is not None and name:
            found = scope.tensors.get(name)
            if found is not None:
                return found
            scope = scope.outer
        return None

    def shape(self, name: str | None) -> Shape:
        """The shape that ONNX Runtime knows."""
        scope: Board | None = self
        while scope is not None and name:
            found = scope.tensors.get(name)
            if found is not None:
                pair = scope.graph.facts.plain_shapes.get(name)
                return pair[1] if pair is not None and pair[0] == found.shape else found.shape
            scope = scope.outer
        return None

    def sizes(self, name: str | None) -> tuple[int, ...] | None:
        """The shape, where every size is a number."""
        shape = self.shape(name)
        return None if shape is None else _numbers(shape)

    def dtype(self, name: str | None) -> str:
        """The element type of a tensor."""
        tensor = self.find(name)
        return "unknown" if tensor is None else tensor.dtype

    def constant(self, name: str | None) -> Constant | None:
        """The value of a tensor that never changes, here or in an outer graph."""
        scope: Board | None = self
        while scope is not None and name:
            if name in scope.tensors:
                return scope._own_constant(name)
            scope = scope.outer
        return None

    def _own_constant(self, name: str) -> Constant | None:
        tensor = self.tensors[name]
        if tensor.const is not None:
            return tensor.const
        id = self._makers.get(name)
        if id is None or self._ops[id].type != "Constant":
            return None
        if name not in self._constants:
            self._constants[name] = self.graph.constant(name)
        return self._constants[name]

    def numbers(self, name: str | None, most: int = 64) -> list[Any] | None:
        """The elements of a small constant; None where they cannot be computed either."""
        constant = self.constant(name)
        if constant is None or constant.elements > most:
            return None
        try:
            return constant.numbers()
        except GraphError:
            return None

    def number(self, name: str | None) -> Any | None:
        """The element of a constant that has one."""
        found = self.numbers(name, 1)
        return found[0] if found else None

    # ---- editing -------------------------------------------------------------------------

    def remove(self, op: Operator, by: str, into: str = "") -> None:
        """Take an operator away; what reads its results has been seen to."""
        self.log.edits += 1
        self.log.fates[op.id] = Fate(by, into)
        for body in self.bodies.pop(op.id, {}).values():
            self.log.fates.update((inner.id, Fate(by, into)) for _, inner in body.walk())
        self._unlink(op)
        del self._ops[op.id]

    def drop(self, op: Operator, by: str, into: str = "") -> None:
        """``remove``, and forget the results of which nobody knows any more."""
        self.remove(op, by, into)
        for name in op.outputs:
            if name and name not in self._makers and not self._readers.get(name) and name not in self.outputs:
                self.tensors.pop(name, None)

    def update(self, op: Operator, **changes: Any) -> Operator:
        """Change fields of an operator other than its id; returns the new one."""
        new = replace(op, **changes)
        self.log.edits += 1
        if new.type != op.type:
            self.ages[op.id] = self.log.edits
        self._mixed = self._mixed or "inputs" in changes
        self._unlink(op)
        self._ops[op.id] = new
        self._link(new)
        return new

    def add(self, op: Operator, stands_for: str) -> None:
        """A new operator; ``stands_for`` is the operator of the file that it is part of."""
        self.log.made[op.id] = stands_for
        self.put(op)

    def put(self, op: Operator) -> None:
        """One more operator; its tensors are there. It stands in front of what reads its results."""
        self.log.edits += 1
        self.ages[op.id] = self.log.edits
        self._mixed = True
        self._ops[op.id] = op
        self._link(op)

    def store(self, name: str, value: Constant) -> None:
        """A tensor that nobody writes any more has a value."""
        self.log.learned.add(name)
        old = self.tensors.get(name)
        shaped = old or Tensor(name)
        self.tensors[name] = replace(shaped, dtype=value.dtype, shape=value.shape, const=value)

    def redirect(self, old: str, new: str) -> None:
        """Let what reads one tensor read another."""
        for op in self.readers(old):
            if old in op.inputs:
                op = self.update(op, inputs=tuple(new if name == old else name for name in op.inputs))
            if op.id in self.bodies:
                for body in self.bodies[op.id].values():
                    body._redirect_captured(old, new)
                self.settle(op.id)

    def rename_result(self, op: Operator, old: str, new: str) -> Operator:
        """Let an operator write under another name, that of a tensor without a writer."""
        op = self.update(op, outputs=tuple(new if name == old else name for name in op.outputs))
        self.redirect(old, new)
        if old not in self.outputs:
            self.tensors.pop(old, None)
        return self._ops[op.id]

    def settle(self, id: str) -> None:
        """Index an operator again whose bodies were edited."""
        op = self._ops[id]
        self._unlink(op)
        self._link(op)
        self._mixed = True

    def fresh_id(self) -> str:
        """An operator id that the file does not use."""
        count = len(self.log.made) + 1
        while f"{self.graph.name}/+{count}" in self._ops:
            count += 1
        return f"{self.graph.name}/+{count}"

    def fresh(self, stem: str) -> str:
        """A tensor name that is not in use, here, outside or in a body."""
        count = self._stems.get(stem, 0)
        name = f"{stem}_{count}" if count else stem
        while self._used(name):
            count += 1
            name = f"{stem}_{count}"
        self._stems[stem] = count
        return name

    # ---- building ------------------------------------------------------------------------

    def build(self, outer: Graph | None = None) -> Graph:
        """The graph as it is now; the one it was made of stays as it was."""
        made = Graph(self.graph.name, self.graph.dialect, self.graph.opsets, outer)
        made.attrs, made.facts = dict(self.graph.attrs), self.graph.facts
        for tensor in self.tensors.values():
            made.add_tensor(tensor)
        for op in self.ops():
            if op.id in self.bodies:
                built = {key: body.build(made) for key, body in self.bodies[op.id].items()}
                op = replace(op, graphs={**op.graphs, **built})
            made.add_op(op)
        made.set_interface(self.graph.inputs, self.outputs)
        made.ops()
        return made

    def _ordered(self) -> dict[str, Operator]:
        """In execution order: an edit may have put an operator behind one that reads it now."""
        done: dict[str, Operator] = {}
        for start in self._ops.values():
            todo = [start]
            while todo:
                op = todo[-1]
                makers = (self._makers.get(name) for name in self._reads.get(op.id, ()))
                missing = [self._ops[id] for id in makers if id is not None and id not in done]
                if op.id in done or not missing:
                    done[op.id] = op
                    todo.pop()
                elif len(todo) > len(self._ops):
                    return self._ops
                else:
                    todo.append(missing[0])
        return done

    # ---- the index -----------------------------------------------------------------------

    def _insert(self, op: Operator) -> None:
        if op.graphs:
            self.bodies[op.id] = {
                key: Board(body, self.log, self) for key, body in op.graphs.items() if body.outer is not None
            }
        self._ops[op.id] = op
        self._link(op)

    def _link(self, op: Operator) -> None:
        reads: dict[str, int] = {}
        for name in op.inputs:
            if name:
                reads[name] = reads.get(name, 0) + 1
        for body in self.bodies.get(op.id, {}).values():
            for name in body.captures():
                reads[name] = reads.get(name, 0) + 1
        self._reads[op.id] = reads
        for name, count in reads.items():
            self._readers.setdefault(name, {})[op.id] = count
        for name in op.outputs:
            if name:
                self._makers[name] = op.id

    def _unlink(self, op: Operator) -> None:
        for name in self._reads.pop(op.id, ()):
            readers = self._readers[name]
            del readers[op.id]
            if not readers:
                del self._readers[name]
        for made in op.outputs:
            if made and self._makers.get(made) == op.id:
                del self._makers[made]

    def captures(self) -> list[str]:
        """Names of outer tensors that this body reads or gives back."""
        found = {name: None for name in self._readers if name not in self.tensors}
        found.update((name, None) for name in self.outputs if name not in self.tensors)
        return list(found)

    def _redirect_captured(self, old: str, new: str) -> None:
        if old in self.tensors:
            return
        self.outputs = [new if name == old else name for name in self.outputs]
        self.redirect(old, new)

    def _used(self, name: str) -> bool:
        scope: Board | None = self
        while scope is not None:
            if name in scope.tensors:
                return True
            scope = scope.outer
        return any(body._used_below(name) for bodies in self.bodies.values() for body in bodies.values())

    def _used_below(self, name: str) -> bool:
        inner = (body for bodies in self.bodies.values() for body in bodies.values())
        return name in self.tensors or any(body._used_below(name) for body in inner)


def _numbers(shape: tuple[Any, ...]) -> tuple[int, ...] | None:
    return shape if all(isinstance(dim, int) for dim in shape) else None
