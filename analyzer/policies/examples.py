"""The examples of a policy's tables: a few lines of text become a graph, which the policy itself cuts.

``b, c = Split(a, sizes, axis=1)`` is an operator that writes ``b`` and ``c``; it has the id ``b``. A name
that no line writes is an input of the graph, unless ``tensors`` makes it a constant; ``-`` is an omitted
input. Tensors are written as in the cases of rules (``rules/cases.py``); ``"*"`` stands for those not named.
``{member}`` stands for each member of the table in turn: as an operator type it reads what ``forms`` says for
that type (``Clip = "{0}, low, high"``, where ``{0}`` is what stands between the brackets), and writes the
tensor that may follow (``Equal = "{0}, v -> bool[1,4]"``). ``{all}`` in an outcome stands for all operators.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...rules.cases import add_tensor
from ..ir.graph import Graph, Operator
from ..ir.payloads import NOTHING
from . import policy_of
from .base import Viewing
from .tablefiles import Fact, Raw, Table, TableFile
from .tables import Tables

_LINE = re.compile(r"^(?P<outputs>[\w, ]+?) = (?P<type>[\w.:{}]+)\((?P<inputs>.*)\)$")
_MEMBER = "{member}"
Ways = Mapping[str, Callable[[Graph, Tables], str]]
"""What else can come of an example's graph than an answer of a policy, by the name that ``of`` has for it."""


@dataclass(frozen=True, slots=True)
class Example:
    """One graph of a table's examples, for one member or for a name that is none, and what comes of it."""

    head: Raw
    table: Raw
    name: str
    gives: str

    def outcome(self, tables: Tables, ways: Ways = NOTHING) -> str:
        """What becomes of the graph, as ``gives`` is written: by the policy, or as ``of`` says."""
        way = ways.get(self._value("of", ""))
        if way is not None:
            return way(self.graph(), tables)
        policy = policy_of(self._value("policy", ""), tables)
        options = {**self._value("options", {})}
        graph = self.graph()
        if self._value("of", "") == "view":
            assert isinstance(policy, Viewing), policy
            return "; ".join(_shown(graph, policy.view(graph, options)))
        folded = policy.folded(graph, options)
        left = {name.replace(_MEMBER, self.name) for name in self.table.get("left", ())}
        supported = {op.id for op in graph.ops()} - folded - left
        return "; ".join(_partitioned(graph, folded, policy.partition(graph, supported, options)))

    def graph(self) -> Graph:
        """The graph of the example. Raises ValueError on a line that is none."""
        opset = int(self._value("opset", 17))
        graph = Graph("main", self._value("dialect", "onnx"), {"": opset})
        tensors = {**self.head.get("tensors", {}), **self.table.get("tensors", {})}
        lines = [self._line(text, tensors) for text in self.table["graph"]]
        self._fill(graph, lines, tensors, opset)
        graph.facts = replace(graph.facts, inlined="inlined" in self.table.get("facts", ()))
        return graph

    def _fill(
        self, graph: Graph, lines: list[tuple[list[str], str, str]], tensors: Mapping[str, str], opset: int
    ) -> None:
        ops = [self._operator(graph, line, opset) for line in lines]
        for op in ops:
            for name in (*op.inputs, *op.outputs):
                if name and graph.find(name) is None:
                    text = tensors.get(name, tensors.get("*", "float32[1,4,8,8]"))
                    add_tensor(graph, name, text.replace(_MEMBER, self.name))
        written = {name for op in ops for name in op.outputs if name}
        read = {name for op in ops for name in op.inputs if name}
        for op in ops:
            for body in op.graphs.values():
                read.update(body.captures())
        fed = [name for name in graph.tensors if name not in written and graph.tensor(name).const is None]
        given = [name for name in graph.tensors if name in written - read]
        graph.set_interface(fed, [*given, *self.table.get("outputs", ())] if graph.outer is None else given)
        for op in ops:
            graph.add_op(op)

    def _line(self, text: str, tensors: dict[str, str]) -> tuple[list[str], str, str]:
        """Outputs, type and inputs of a line, with the member in its place."""
        match = _LINE.match(text)
        if match is None:
            raise ValueError(f"{text!r} is no operator: write it like 'b = Split(a, axis=1)'")
        outputs, inputs = match["outputs"].replace(" ", "").split(","), match["inputs"]
        if match["type"] == _MEMBER:
            forms = {**self.head.get("forms", {}), **self.table.get("forms", {})}
            form, _, result = forms.get(self.name, "{0}").partition(" -> ")
            inputs = form.strip().replace("{0}", inputs)
            tensors.update(dict.fromkeys(outputs, result.strip()) if result else {})
        return outputs, match["type"].replace(_MEMBER, self.name), inputs.replace(_MEMBER, self.name)

    def _operator(self, graph: Graph, line: tuple[list[str], str, str], opset: int) -> Operator:
        outputs, kind, arguments = line
        domain, _, type = kind.rpartition(":")
        parts = [part.strip() for part in re.split(r",(?![^\[]*\])", arguments) if part.strip()]
        attrs = dict(part.split("=", 1) for part in parts if "=" in part)
        names = [None if part == "-" else part for part in parts if "=" not in part]
        bodies = self.table.get("bodies", {}).get(outputs[0], {})
        return Operator(
            outputs[0],
            type,
            domain=domain,
            version=opset,
            inputs=tuple(names),
            outputs=tuple(outputs),
            attrs={key: _attribute(text) for key, text in attrs.items()},
            graphs={name: self._body(graph, name, lines, opset) for name, lines in bodies.items()},
        )

    def _body(self, graph: Graph, name: str, lines: list[str], opset: int) -> Graph:
        """A body; what it does not compute it reads from the main graph."""
        body = Graph(name, graph.dialect, graph.opsets, graph)
        tensors = {**self.head.get("tensors", {}), **self.table.get("tensors", {})}
        parsed = [self._line(text, tensors) for text in lines]
        written = {item for outputs, _, _ in parsed for item in outputs}
        for _, _, inputs in parsed:
            for item in inputs.replace(" ", "").split(","):
                if item not in written and graph.find(item) is None and "=" not in item:
                    add_tensor(graph, item, tensors.get(item, tensors.get("*", "float32[1,4,8,8]")))
        self._fill(body, parsed, tensors, opset)
        return body

    def _value(self, key: str, default: Any) -> Any:
        value, own = self.head.get(key, default), self.table.get(key)
        return value if own is None else {**value, **own} if isinstance(value, dict) else own


def examples_of(file: TableFile, fact: Fact) -> Iterator[Example]:
    """Every example of a table or reason: one for each member that it is for, and for each other name.

    ``for`` has members, kinds, or names that are no members; they come to ``gives``. Members of other kinds
    and all ``others`` come to ``otherwise``, where there is one.
    """
    members = dict(fact.members()) if isinstance(fact, Table) else {}
    for raw in fact.examples:
        if _MEMBER not in json.dumps([raw["graph"], raw.get("tensors"), raw.get("bodies")]):
            yield _example(file, raw, "", "gives")
            continue
        chosen = raw.get("for", list(members))
        kinds = set(members.values())
        left = {*raw.get("except", ()), *(() if len(kinds) > 1 else members.keys() - set(chosen))}
        names = [name for name, kind in members.items() if name not in left and kind not in left]
        also = [name for name in chosen if name not in members and name not in kinds]
        for name in (*names, *also, *raw.get("others", ())):
            spoken = name in chosen or members.get(name) in chosen
            if spoken or "otherwise" in raw:
                yield _example(file, raw, name, "gives" if spoken else "otherwise")


def _example(file: TableFile, raw: Raw, name: str, key: str) -> Example:
    ids = " ".join(line.partition(" =")[0].partition(",")[0] for line in raw["graph"])
    return Example(file.head, raw, name, raw[key].replace(_MEMBER, name).replace("{all}", ids))


def _attribute(text: str) -> Any:
    """The value of an attribute; ``const float16[1]`` is a tensor."""
    if not text.startswith("const "):
        return _value_of(text)
    scratch = Graph("value", "onnx", {})
    add_tensor(scratch, "value", text)
    return scratch.tensor("value").const


def _value_of(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return tuple(value) if isinstance(value, list) else value


def _partitioned(graph: Graph, folded: Any, found: Any) -> Iterator[str]:
    """Partitions, then what falls back or is rejected with the rule's name, in the order of the graph."""
    order = {op.id: place for place, op in enumerate(graph.ops())}
    if folded:
        yield f"folded {' '.join(sorted(folded, key=order.__getitem__))}"
    for partition in sorted(found.partitions, key=lambda partition: order[partition[0]]):
        yield f"partition {' '.join(partition)}"
    for word, items in (("fallback", found.dropped), ("rejected", found.rejected)):
        rules: dict[str, list[str]] = {}
        for id in sorted(items, key=order.__getitem__):
            rules.setdefault(items[id].rule, []).append(id)
        yield from (f"{word} {' '.join(ids)}: {rule}" for rule, ids in rules.items())
    if found.unneeded:
        yield f"unneeded {' '.join(sorted(found.unneeded, key=order.__getitem__))}"


def _shown(graph: Graph, view: Graph) -> Iterator[str]:
    """How the graph that the rules are asked about differs: operators left out or of another type, dtypes and
    shapes."""
    shown = {op.id: op for op in view.ops()}
    gone = [op.id for op in graph.ops() if op.id not in shown]
    if gone:
        yield f"without {' '.join(gone)}"
    for op in graph.ops():
        new = shown.get(op.id, op)
        if (new.domain, new.type) != (op.domain, op.type):
            yield f"{op.id} as {new.type}"
        if len(new.outputs) < len(op.outputs):
            yield f"{op.id} writes nothing"
        if new.attrs != op.attrs:
            yield f"{op.id} with {json.dumps(new.attrs, default=str, sort_keys=True)}"
    for name, tensor in graph.tensors.items():
        new_tensor = view.find(name)
        if new_tensor is not None and new_tensor.dtype != tensor.dtype:
            yield f"{name} in {new_tensor.dtype}"
        if new_tensor is not None and new_tensor.shape != tensor.shape:
            yield f"{name} sized {new_tensor.shape}"
