"""The graph: operators and tensors over one networkx index.

A graph is written in one dialect (``onnx``, ``tflite``, ``tf``, ``mil``, ``nn``). The tuples in
the payloads are the truth; the edges of ``Graph.nx`` are an index over them, kept by the methods
of ``Graph``, the only way to edit. An edit checks first and changes after: one that would break
the graph raises ``GraphError`` and leaves it as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..errors import GraphError
from .facts import NO_FACTS, Facts
from .payloads import Constant, Dim, Operator, Quantization, Shape, Source, Tensor, number_constant

if TYPE_CHECKING:
    import networkx

__all__ = [
    "Constant",
    "Dim",
    "Graph",
    "Key",
    "Operator",
    "Quantization",
    "Shape",
    "Source",
    "State",
    "Tensor",
]

Key = tuple[str, str]
Saved = tuple[
    dict[str, Operator],
    dict[str, Tensor],
    dict[str, Operator],
    dict[str, tuple[Operator, ...]],
    tuple[Operator, ...] | None,
]
State = tuple[
    tuple["Graph", Saved, tuple[str, ...], tuple[str, ...], dict[str, Any], dict[str, int], Facts], ...
]

NARROWEST = 1e-6
"""The room of an operator in the stored order below which all are numbered anew."""


class Graph:
    """Operators and tensors of one dialect, with their index.

    Args:
        name: of the graph, also the first part of its operators' ids.
        dialect: the operator vocabulary.
        opsets: operator-set version by domain (ONNX), or of the specification.
    """

    def __init__(
        self, name: str, dialect: str, opsets: Mapping[str, int] | None = None, outer: Graph | None = None
    ) -> None:
        self.name = name
        self.dialect = dialect
        self.opsets = dict(opsets or {})
        self.outer = outer
        self.inputs: tuple[str, ...] = ()
        self.outputs: tuple[str, ...] = ()
        self.attrs: dict[str, Any] = {}
        self.facts = NO_FACTS
        self._tensors: dict[str, Tensor] = {}
        self._ops: dict[str, Operator] = {}
        self._producer: dict[str, Operator] = {}
        self._readers: dict[str, tuple[Operator, ...]] = {}
        self._new_readers: dict[str, list[Operator]] = {}
        self._order: tuple[Operator, ...] | None = None
        self._at: dict[str, float] | None = None
        self._room: dict[str, float] = {}
        self._loose = False
        self._with_bodies: dict[str, Operator] = {}
        self.edits = 0
        """Counts changes of operators, tensors and interface: while it stands still, nothing was changed."""
        self._fresh = 0
        self._given: set[str] = set()
        self._stale = False

    # ---- reading -------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._ops)

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """Every tensor of this graph by name; outer graphs' tensors are not repeated."""
        return self._tensors

    def tensor(self, name: str) -> Tensor:
        """The tensor of that name here or in an outer graph; raises GraphError when there is none."""
        found = self.find(name)
        if found is None:
            raise GraphError(f"graph {self.name!r} has no tensor {name!r}")
        return found

    def find(self, name: str) -> Tensor | None:
        """The tensor of that name here or in an outer graph, or None."""
        scope: Graph | None = self
        while scope is not None:
            found = scope._tensors.get(name)
            if found is not None:
                return found
            scope = scope.outer
        return None

    def op(self, id: str) -> Operator:
        """The operator with that id; raises GraphError when there is none."""
        try:
            return self._ops[id]
        except KeyError:
            raise GraphError(f"graph {self.name!r} has no operator {id!r}") from None

    def __contains__(self, op: object) -> bool:
        return isinstance(op, Operator) and self._ops.get(op.id) is op

    def ops(self) -> tuple[Operator, ...]:
        """Operators in execution order: the stored order where it is one, else the lexicographic topological
        order.
        """
        self._settle()
        if self._order is None:
            self._arrange()
            stored = tuple(self._ops.values())
            known = self._at is not None or self._is_topological(stored)
            self._order = stored if known else self._sorted(stored)
        return self._order

    def constant(self, name: str | None) -> Constant | None:
        """The value of a tensor that never changes: an initializer, a buffer, or what a ``Constant`` node
        holds.
        """
        tensor = None if name is None else self.find(name)
        if tensor is None or tensor.const is not None:
            return None if tensor is None else tensor.const
        scope: Graph | None = self
        while scope is not None and tensor.name not in scope._tensors:
            scope = scope.outer
        writer = None if scope is None else scope._producer.get(tensor.name)
        if writer is None or writer.type not in ("Constant", "Const"):
            return None
        value = writer.attrs.get("value", writer.attrs.get("sparse_value"))
        return value if isinstance(value, Constant) else number_constant(writer.attrs)

    def producer(self, name: str | None) -> Operator | None:
        """The operator that writes the tensor, None for inputs, constants and outer tensors."""
        return None if name is None else self._producer.get(name)

    def consumers(self, name: str | None) -> tuple[Operator, ...]:
        """The operators that read the tensor, once each; bodies that capture it count through their owner."""
        self._settle()
        return () if name is None else self._consumers.get(name, ())

    def leaves(self, name: str, inside: Set[str]) -> bool:
        """Whether an operator other than those with the ids ``inside`` reads the tensor."""
        for reader in self.consumers(name):  # noqa: SIM110 (asked of every result: a generator costs more)
            if reader.id not in inside:
                return True
        return False

    def input_tensors(self, op: Operator) -> tuple[Tensor | None, ...]:
        """The tensors an operator reads, None where an optional input is omitted."""
        return tuple(None if name is None else self.find(name) for name in op.inputs)

    def output_tensors(self, op: Operator) -> tuple[Tensor | None, ...]:
        """The tensors an operator writes, None where an output is omitted."""
        return tuple(None if name is None else self._tensors.get(name) for name in op.outputs)

    @cached_property
    def nx(self) -> networkx.DiGraph[Key]:
        """The bipartite index: keys ``("op", id)`` and ``("tensor", name)``, the payload in ``item``."""
        import networkx  # a fifth of a second, and most checks never ask for the index

        self._arrange()
        index: networkx.DiGraph[Key] = networkx.DiGraph()
        index.add_nodes_from((("tensor", name), {"item": tensor}) for name, tensor in self._tensors.items())
        for op in self._ops.values():
            self._index_op(index, op)
        return index

    def walk(self) -> Iterator[tuple[Graph, Operator]]:
        """Every operator of this graph and of the bodies in it, with the graph that owns it."""
        for op in self.ops():
            yield self, op
            for body in op.graphs.values():
                yield from body.walk()

    # ---- building and editing ------------------------------------------------------------

    def add_tensor(self, tensor: Tensor) -> None:
        """Add a tensor; raises GraphError when the name is taken."""
        if tensor.name in self._tensors:
            raise GraphError(f"graph {self.name!r} has two tensors named {tensor.name!r}")
        self.edits += 1
        self._tensors[tensor.name] = tensor
        if "nx" in self.__dict__:
            self.nx.add_node(("tensor", tensor.name), item=tensor)

    def add_op(self, op: Operator) -> None:
        """Add an operator whose tensors are there; raises GraphError on a dangling or twice written name."""
        self._check_new(op, set())
        self._insert(op)

    def set_tensor(self, tensor: Tensor) -> None:
        """Replace the tensor of the same name (new dtype, shape, value); raises GraphError when there is
        none.

        A value is refused for a tensor that an operator writes.
        """
        if tensor.name not in self._tensors:
            raise GraphError(f"graph {self.name!r} has no tensor {tensor.name!r} to replace")
        if tensor.const is not None and tensor.name in self._producer:
            raise GraphError(
                f"tensor {tensor.name!r} is written by {self._producer[tensor.name].label!r} "
                f"and cannot be a constant"
            )
        self.edits += 1
        self._tensors[tensor.name] = tensor
        if "nx" in self.__dict__:
            self.nx.nodes["tensor", tensor.name]["item"] = tensor

    def set_interface(self, inputs: Iterable[str], outputs: Iterable[str]) -> None:
        """Name the graph's inputs and outputs; raises GraphError on an unknown name or an input that an
        operator writes.
        """
        inputs, outputs = tuple(inputs), tuple(outputs)
        for name in inputs:
            if name not in self._tensors:
                raise GraphError(f"graph {self.name!r} has no tensor {name!r} to be an input")
            if name in self._producer:
                raise GraphError(
                    f"tensor {name!r} is written by {self._producer[name].label!r} and cannot be an input"
                )
        for name in outputs:
            if self.find(name) is None:
                raise GraphError(f"graph {self.name!r} has no tensor {name!r} to be an output")
        self.edits += 1
        self.inputs, self.outputs = inputs, outputs
        self._tell_outer()

    def replace(
        self, old: Iterable[Operator], new: Iterable[Operator], tensors: Iterable[Tensor] = ()
    ) -> None:
        """Replace operators, in their place in the order, by others.

        ``tensors`` are the new tensors that the new operators need. Tensors that only the old
        operators wrote and that nobody reads afterwards are dropped. Raises GraphError, and
        changes nothing, when a reader or an output would be left without its tensor, when a
        name is taken or when the new operators would close a cycle.
        """
        old, new, tensors = tuple(old), tuple(new), tuple(tensors)
        gone = {op.id for op in old}
        self._check_replace(old, new, tensors, gone)
        place = self._place_for(gone, old, new)
        saved = self._saved() if place is None else None
        for op in old:
            self._unlink(op)
        for tensor in tensors:
            self._tensors[tensor.name] = tensor
        if saved is None:
            self._put_in(gone, new, place)
        else:
            self._splice(gone, new)
            self._check_order(saved)
        written = {name for op in old for name in op.outputs if name}
        self._drop_unused(name for name in written if name not in self._producer)

    def remove(self, op: Operator) -> None:
        """Remove an operator that nobody needs; raises GraphError when a result of it is read."""
        if op not in self:
            raise GraphError(f"operator {op.label!r} is not in graph {self.name!r}")
        self._settle()
        results = [name for name in op.outputs if name]
        for name in results:
            if self._needed(name):
                readers = self._consumers.get(name)
                who = f"read by {readers[0].label!r}" if readers else "an output of the graph"
                raise GraphError(f"tensor {name!r} is {who} and would have no writer")
        self._unlink(op)
        del self._ops[op.id]
        self._order = None
        self._drop_unused(results)
        self._tell_outer()

    def rewire(self, old: str, new: str, *, keep: Iterable[Operator] = ()) -> int:
        """Let every reader of ``old`` read ``new`` instead; returns the number of changed operators.

        Graph outputs are not changed: they are the interface. Raises GraphError, and changes nothing,
        when a body captures ``old`` (a body's text belongs to its owner) or a cycle would close.
        """
        self.tensor(new)
        kept = {op.id for op in keep}
        readers = [op for op in self.consumers(old) if op.id not in kept]
        for op in readers:
            if any(old in body.captures() for body in op.graphs.values() if body.outer is not None):
                raise GraphError(f"a body of {op.label!r} captures {old!r}")
        self._swap_all(
            [
                (op, replace(op, inputs=tuple(new if name == old else name for name in op.inputs)))
                for op in readers
            ]
        )
        return len(readers)

    def fold(self, op: Operator, values: Mapping[str, Constant]) -> None:
        """Replace an operator by the constants that it computes, under the names of its results.

        Raises GraphError, and changes nothing, when a result that somebody reads has no value, or is an
        output of the graph.
        """
        if op not in self:
            raise GraphError(f"operator {op.label!r} is not in graph {self.name!r}")
        results = [name for name in op.outputs if name]
        for name in results:
            if name in self.outputs:
                raise GraphError(f"tensor {name!r} is an output of the graph and stays computed")
            if name not in values and self.consumers(name):
                raise GraphError(f"tensor {name!r} is read and would have no value")
        self._unlink(op)
        del self._ops[op.id]
        for name in results:
            const = values.get(name)
            if const is None:
                del self._tensors[name]
            else:
                self._tensors[name] = replace(
                    self._tensors[name], dtype=const.dtype, shape=const.shape, const=const
                )
        self._order = None
        self.__dict__.pop("nx", None)
        self._tell_outer()

    def update(self, op: Operator, **changes: Any) -> Operator:
        """Change fields of one operator other than its id and what it writes; returns the new operator.

        Raises GraphError, and changes nothing, when the operator is not in the graph, reads what does not
        exist or would close a cycle.
        """
        if "id" in changes or "outputs" in changes:
            raise GraphError("the id and the outputs of an operator change through replace()")
        if op not in self:
            raise GraphError(f"operator {op.label!r} is not in graph {self.name!r}")
        new = replace(op, **changes)
        self._check_new(new, {op.id})
        self._swap_all([(op, new)])
        return new

    def prune(self) -> int:
        """Drop operators whose results nobody needs, then unread tensors; returns the number of operators
        dropped.

        An operator with no outputs at all is kept: it is there for its effect. So are tensors that attributes
        name (the ``intermediates`` of a quantized LSTM, the scales of a blockwise quantization).
        """
        self._settle()
        needed = set(self.outputs)
        dead: list[Operator] = []
        for op in reversed(self.ops()):
            results = [name for name in op.outputs if name]
            if results and needed.isdisjoint(results):
                dead.append(op)
            else:
                needed.update(self._reads(op))
        self.replace(dead, ())
        held = self._named_by_attributes()
        self._drop_unused([name for name in self._tensors if name not in self._producer and name not in held])
        return len(dead)

    def fresh(self, stem: str) -> str:
        """A tensor name that nobody in this graph, an outer one or a body uses, given only once."""
        name, count = stem, 0
        while name in self._given or self._used(name):
            count += 1
            name = f"{stem}_{count}"
        self._given.add(name)
        return name

    def fresh_id(self) -> str:
        """An operator id that the stored model does not use: ``main/+1``, ``main/+2``, ..."""
        while True:
            self._fresh += 1
            candidate = f"{self.name}/+{self._fresh}"
            if candidate not in self._ops:
                return candidate

    def copy(self) -> Graph:
        """An independent copy that shares the immutable payloads; bodies are copied too, once each."""
        return self._copy({})

    def _copy(self, done: dict[int, Graph]) -> Graph:
        if id(self) in done:
            return done[id(self)]
        twin = done[id(self)] = Graph(self.name, self.dialect, self.opsets, self.outer)
        if self.outer is not None and id(self.outer) in done:
            twin.outer = done[id(self.outer)]
        twin.attrs, twin.facts = dict(self.attrs), self.facts
        twin._tensors = dict(self._tensors)
        twin._fresh, twin._given = self._fresh, set(self._given)
        self._arrange()
        for op in self._ops.values():
            twin._insert(
                replace(op, graphs={key: body._copy(done) for key, body in op.graphs.items()})
                if op.graphs
                else op
            )
        twin.inputs, twin.outputs = self.inputs, self.outputs
        return twin

    def view(self, swaps: Iterable[tuple[Operator, Operator | None]], tensors: Iterable[Tensor]) -> Graph:
        """A copy that shares bodies and payloads, with other tensors and with operators swapped or left out;
        ``view.edited`` is the way to ask for one.
        """
        told = {tensor.name: tensor for tensor in tensors}
        twin = Graph(self.name, self.dialect, self.opsets, self.outer)
        twin.attrs, twin.facts = dict(self.attrs), self.facts
        twin.inputs, twin.outputs = self.inputs, self.outputs
        twin._tensors, twin._order = {**self._tensors, **told}, self.ops()
        twin._ops = {op.id: op for op in self.ops()}
        twin._with_bodies = dict(self._with_bodies)
        twin._producer, twin._readers = dict(self._producer), dict(self._consumers)
        twin._swap_for_view(tuple(swaps))
        for name, tensor in told.items():
            if tensor.const is not None and name in twin._producer:
                raise GraphError(f"operator {twin._producer[name].label!r} writes the constant {name!r}")
        at = {id: index for index, id in enumerate(twin._ops)}
        for name, readers in twin._consumers.items():
            if len(readers) > 1:  # edits append readers: a view has them in execution order
                twin._readers[name] = tuple(sorted(readers, key=lambda op: at[op.id]))
        return twin

    def _swap_for_view(self, swaps: tuple[tuple[Operator, Operator | None], ...]) -> None:
        if not swaps:
            return
        for old, _ in swaps:
            self._unlink(old)
        for old, new in swaps:
            if new is None:
                del self._ops[old.id]
                continue
            self._check_new(new, {old.id})
            self._ops[new.id] = new
            self._link(new)
        self._order = None
        self.ops()

    def state(self) -> State:
        """What ``restore`` brings back: this graph and its bodies as they are now, sharing the payloads."""
        found: dict[int, Graph] = {}
        todo = [self]
        while todo:
            graph = todo.pop()
            if id(graph) not in found:
                found[id(graph)] = graph
                todo += [body for op in graph._ops.values() for body in op.graphs.values()]
        return tuple(
            (
                graph,
                graph._saved(),
                graph.inputs,
                graph.outputs,
                dict(graph.attrs),
                dict(graph.opsets),
                graph.facts,
            )
            for graph in found.values()
        )

    def restore(self, state: State) -> None:
        """Undo every edit since ``state`` was taken, in this graph and in the bodies it had then."""
        for graph, saved, inputs, outputs, attrs, opsets, facts in state:
            graph._put_back(saved)
            graph.inputs, graph.outputs = inputs, outputs
            graph.attrs, graph.opsets, graph.facts = dict(attrs), dict(opsets), facts

    def validate(self) -> None:
        """Raise GraphError with every problem found: dangling names, double writers, wrong index, cycles."""
        problems = [f"input {name!r} is not a tensor" for name in self.inputs if name not in self._tensors]
        problems += [f"output {name!r} is not a tensor" for name in self.outputs if self.find(name) is None]
        writers: dict[str, str] = {}
        for op in self._ops.values():
            problems += [
                f"{op.label!r} reads the missing tensor {name!r}"
                for name in self._reads(op)
                if self.find(name) is None
            ]
            problems += [
                f"the index does not name {op.id!r} as a reader of {name!r}"
                for name in self._reads(op)
                if op not in self.consumers(name)
            ]
            for name in filter(None, op.outputs):
                if name not in self._tensors:
                    problems.append(f"{op.label!r} writes the missing tensor {name!r}")
                if name in writers:
                    problems.append(f"{name!r} is written by {writers[name]!r} and {op.id!r}")
                writers[name] = op.id
                if self._producer.get(name) is not op:
                    problems.append(f"the index does not name {op.id!r} as the writer of {name!r}")
        if problems:
            raise GraphError("; ".join(problems))
        self.ops()

    # ---- the index -----------------------------------------------------------------------

    def _reads(self, op: Operator) -> list[str]:
        """Names an operator reads, its bodies' captures included, once each."""
        names: dict[str | None, None] = dict.fromkeys(op.inputs)
        for body in op.graphs.values():
            if body.outer is not None:
                names.update(dict.fromkeys(body.captures()))
        return [name for name in names if name]

    def captures(self) -> list[str]:
        """Names of outer tensors that this body reads."""
        names: dict[str, None] = {}
        self._arrange()
        for op in self._ops.values():
            names.update((name, None) for name in self._reads(op) if name not in self._tensors)
        names.update((name, None) for name in self.outputs if name not in self._tensors)
        return list(names)

    @property
    def _consumers(self) -> dict[str, tuple[Operator, ...]]:
        """The readers of each tensor; those linked since the last look are joined at once, so that n readers
        cost n steps.
        """
        if self._new_readers:
            for name, ops in self._new_readers.items():
                self._readers[name] = (*self._readers.get(name, ()), *ops)
            self._new_readers = {}
        return self._readers

    @_consumers.setter
    def _consumers(self, readers: dict[str, tuple[Operator, ...]]) -> None:
        self._readers, self._new_readers = readers, {}

    def _saved(self) -> Saved:
        """The operators, tensors and index as they are; ``_put_back`` brings them back."""
        self._settle()
        self._arrange()
        return dict(self._ops), dict(self._tensors), dict(self._producer), dict(self._consumers), self._order

    def _put_back(self, saved: Saved) -> None:
        ops, tensors, producer, consumers, self._order = saved
        self._ops, self._tensors, self._producer, self._consumers = (
            dict(ops),
            dict(tensors),
            dict(producer),
            dict(consumers),
        )
        self._stale = self._loose = False
        self._at = None
        self._with_bodies = {id: op for id, op in ops.items() if op.graphs}
        self.__dict__.pop("nx", None)
        self._tell_outer()

    def _check_order(self, saved: Saved) -> None:
        """Order the operators anew; on a cycle put everything back and raise GraphError."""
        self.__dict__.pop("nx", None)
        self._arrange()
        self._order = self._at = None
        try:
            self.ops()
        except GraphError:
            self._put_back(saved)
            raise

    def _tell_outer(self) -> None:
        """What this body captures may have changed: the graphs around it index its owner again before they
        answer.
        """
        scope = self.outer
        while scope is not None and not scope._stale:
            scope._stale = True
            scope = scope.outer

    def _settle(self) -> None:
        """Index the readers again after a body was edited."""
        if not self._stale:
            return
        self._stale = False
        self._consumers = {}
        for op in self._ops.values():
            for name in self._reads(op):
                self._new_readers.setdefault(name, []).append(op)
        self._arrange()
        self._order = self._at = None
        self.__dict__.pop("nx", None)

    def _index_op(self, index: networkx.DiGraph[Key], op: Operator) -> None:
        key = ("op", op.id)
        index.add_node(key, item=op)
        index.add_edges_from((("tensor", name), key) for name in self._reads(op) if name in self._tensors)
        index.add_edges_from((key, ("tensor", name)) for name in op.outputs if name)

    def _insert(self, op: Operator) -> None:
        self.edits += 1
        self._arrange()
        self._ops[op.id] = op
        self._link(op)
        self._order = self._at = None
        if "nx" in self.__dict__:
            self._index_op(self.nx, op)
        self._tell_outer()

    def _link(self, op: Operator) -> None:
        if op.graphs:
            self._with_bodies[op.id] = op
        for name in op.outputs:
            if name:
                self._producer[name] = op
        for name in self._reads(op):
            self._new_readers.setdefault(name, []).append(op)

    def _unlink(self, op: Operator) -> None:
        self.edits += 1
        self._with_bodies.pop(op.id, None)
        for name in op.outputs:
            if name:
                self._producer.pop(name, None)
        for name in self._reads(op):
            rest = tuple(reader for reader in self._consumers.get(name, ()) if reader is not op)
            if rest:
                self._consumers[name] = rest
            else:
                self._consumers.pop(name, None)

    def _swap_all(self, pairs: list[tuple[Operator, Operator]]) -> None:
        """Put new operators, which write the same, where the old ones stand; on a cycle nothing changes and
        GraphError is raised.

        Nothing is copied and ordered anew when every new operator reads only what is written before it.
        """
        self.edits += 1
        if self._in_order([new for _, new in pairs]):
            for old, new in pairs:
                self._swap(old, new)
            return
        saved = self._saved()
        for old, new in pairs:
            self._swap(old, new)
        self._check_order(saved)

    def _in_order(self, ops: list[Operator]) -> bool:
        """True when the stored order is one of execution, and stays one with these operators in it."""
        at = self._places()
        if at is None:
            return False
        writers = ((op, self._producer.get(name)) for op in ops for name in self._reads(op))
        return all(writer is None or at[writer.id] < at[op.id] for op, writer in writers)

    def _places(self) -> dict[str, float] | None:
        """Where each operator stands, by id; None when the stored order is not one of execution.

        New operators share the room of the last that they replace (``_room``, 1 at first), so that an edit
        moves no other; ``_ops`` is put into that order when somebody asks for it (``_arrange``).
        """
        self._settle()
        if self._at is None:
            self._arrange()
            stored = tuple(self._ops.values())
            if self.ops() != stored:
                return None
            self._at, self._room = {op.id: float(index) for index, op in enumerate(stored)}, {}
        return self._at

    def _arrange(self) -> None:
        if self._loose and self._at is not None:
            at = self._at
            self._ops = {op.id: op for op in sorted(self._ops.values(), key=lambda op: at[op.id])}
        self._loose = False

    def _place_for(
        self, gone: set[str], old: tuple[Operator, ...], new: tuple[Operator, ...]
    ) -> float | None:
        """Where new operators stand without a look at any but their neighbours: behind all that they read and
        before all that reads them; None when that cannot be said.
        """
        at = self._places() if old else None
        if at is None:
            return None
        last = max((op.id for op in old), key=at.__getitem__)
        if self._room.get(last, 1.0) < NARROWEST * max(len(new), 1):
            return None
        place, written = at[last], {name for op in new for name in op.outputs if name}
        known: set[str] = set()
        for op in new:
            for name in self._reads(op):
                if name in known:
                    continue
                writer = None if name in written else self._producer.get(name)
                if name in written or (writer is not None and at[writer.id] >= place):
                    return None
            known.update(name for name in op.outputs if name)
        readers = (reader for name in written for reader in self.consumers(name) if reader.id not in gone)
        return place if all(at[reader.id] > place for reader in readers) else None

    def _put_in(self, gone: set[str], new: tuple[Operator, ...], place: float | None) -> None:
        """What ``_splice`` does, at a place from ``_place_for``."""
        at = self._at
        assert at is not None and place is not None
        last = max(gone, key=at.__getitem__)
        room = self._room.pop(last, 1.0) / max(len(new), 1)
        for id in gone:
            del self._ops[id], at[id]
            self._room.pop(id, None)
        for index, op in enumerate(new):
            self._ops[op.id] = op
            at[op.id], self._room[op.id] = place + index * room, room
            self._link(op)
        self._loose, self._order = bool(new) or self._loose, None
        self.__dict__.pop("nx", None)
        self._tell_outer()

    def _swap(self, old: Operator, new: Operator) -> None:
        """Put ``new`` where ``old`` stands; both write the same tensors."""
        self._unlink(old)
        self._ops[new.id] = new
        self._link(new)
        self._order = None
        self.__dict__.pop("nx", None)
        self._tell_outer()

    def _splice(self, gone: set[str], new: tuple[Operator, ...]) -> None:
        self._arrange()
        spliced: dict[str, Operator] = {}
        last = [id for id in self._ops if id in gone][-1:]
        for id, op in self._ops.items():
            if id not in gone:
                spliced[id] = op
            elif id in last:
                spliced.update((fresh.id, fresh) for fresh in new)
        if not last:
            spliced.update((fresh.id, fresh) for fresh in new)
        self._ops = spliced
        for op in new:
            self._link(op)
        self._tell_outer()

    def _check_new(self, op: Operator, gone: set[str]) -> None:
        if op.id in self._ops and op.id not in gone:
            raise GraphError(f"graph {self.name!r} has two operators with the id {op.id!r}")
        for name in self._reads(op):
            if self.find(name) is None:
                raise GraphError(
                    f"operator {op.label!r} ({op.type}) reads the tensor {name!r}, which does not exist"
                )
        for name in filter(None, op.outputs):
            if name not in self._tensors:
                raise GraphError(
                    f"operator {op.label!r} ({op.type}) writes the tensor {name!r}, which does not exist"
                )
            writer = self._producer.get(name)
            if writer is not None and writer.id not in gone:
                raise GraphError(f"tensor {name!r} is written by both {writer.label!r} and {op.label!r}")
            if self._tensors[name].const is not None:
                raise GraphError(f"operator {op.label!r} ({op.type}) writes the constant {name!r}")
            if name in self.inputs:
                raise GraphError(f"operator {op.label!r} ({op.type}) writes the graph input {name!r}")
            if name in op.inputs:
                raise GraphError(f"operator {op.label!r} ({op.type}) reads what it writes, {name!r}: a cycle")
        if len({*filter(None, op.outputs)}) != sum(1 for name in op.outputs if name):
            raise GraphError(f"operator {op.label!r} ({op.type}) writes a tensor twice")

    def _check_values(self, tensors: tuple[Tensor, ...]) -> None:
        for tensor in tensors:
            if tensor.const is not None and not tensor.const.whole(tensor.shape):
                raise GraphError(f"the value of {tensor.name!r} does not fill its shape {tensor.shape}")

    def _check_replace(
        self,
        old: tuple[Operator, ...],
        new: tuple[Operator, ...],
        tensors: tuple[Tensor, ...],
        gone: set[str],
    ) -> None:
        for op in old:
            if op not in self:
                raise GraphError(f"operator {op.label!r} is not in graph {self.name!r}")
        names = [tensor.name for tensor in tensors]
        if len(set(names)) != len(names) or any(name in self._tensors for name in names):
            raise GraphError(f"a new tensor's name already exists in graph {self.name!r}: {names}")
        self._check_values(tensors)
        ids = [op.id for op in new]
        if len(set(ids)) != len(ids):
            raise GraphError(f"two new operators share an id: {ids}")
        self._tensors.update((tensor.name, tensor) for tensor in tensors)
        try:
            for op in new:
                self._check_new(op, gone)
        finally:
            for name in names:
                del self._tensors[name]
        written: set[str] = set()
        for op in new:
            results = {name for name in op.outputs if name}
            if results & written:
                raise GraphError(
                    f"a tensor is written twice by the new operators: {sorted(results & written)}"
                )
            written |= results
        lost = {name for op in old for name in op.outputs if name} - written
        for name in lost:
            readers = [reader for reader in self.consumers(name) if reader.id not in gone]
            readers += [op for op in new if name in self._reads(op)]
            if readers or name in self.outputs:
                who = f"read by {readers[0].label!r}" if readers else "an output of the graph"
                raise GraphError(f"tensor {name!r} is {who} and would have no writer")

    def _needed(self, name: str) -> bool:
        return name in self.outputs or bool(self._consumers.get(name))

    def _drop_unused(self, names: Iterable[str]) -> None:
        for name in names:
            if name in self._tensors and name not in self.inputs and not self._needed(name):
                del self._tensors[name]
        self.__dict__.pop("nx", None)

    def _named_by_attributes(self) -> set[str]:
        names = {name for op in self._ops.values() for name in op.attrs.get("intermediates") or () if name}
        for tensor in self._tensors.values():
            _, details = tensor.attrs.get("quantization_details") or ("", {})
            names.update(value for value in details.values() if isinstance(value, str))
        return names

    def _used(self, name: str) -> bool:
        return self.find(name) is not None or self._used_below(name)

    def _used_below(self, name: str) -> bool:
        bodies = [body for op in self._with_bodies.values() for body in op.graphs.values()]
        return any(name in body._tensors or body._used_below(name) for body in bodies)

    # ---- order ---------------------------------------------------------------------------

    def _is_topological(self, ops: tuple[Operator, ...]) -> bool:
        seen: set[str] = set()
        producer = self._producer
        for op in ops:
            for name in self._reads(op):
                writer = producer.get(name)
                if writer is not None and writer.id not in seen:
                    return False
            seen.add(op.id)
        return True

    def _sorted(self, stored: tuple[Operator, ...]) -> tuple[Operator, ...]:
        position = {op.id: index for index, op in enumerate(stored)}
        import networkx

        order: networkx.DiGraph[str] = networkx.DiGraph()
        order.add_nodes_from(position)
        for op in stored:
            for name in self._reads(op):
                writer = self._producer.get(name)
                if writer is not None:
                    order.add_edge(writer.id, op.id)
        try:
            ids = list(networkx.lexicographical_topological_sort(order, key=position.__getitem__))
        except networkx.NetworkXUnfeasible:
            loop = " -> ".join(self._ops[edge[0]].label for edge in networkx.find_cycle(order)[:8])
            raise GraphError(f"graph {self.name!r} has a cycle: {loop}") from None
        return tuple(self._ops[id] for id in ids)
