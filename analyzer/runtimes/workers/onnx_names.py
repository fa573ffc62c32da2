"""Following the nodes of an ONNX file through ONNX Runtime, which knows nodes by name only.

A file may leave names out, and ONNX Runtime appends ``_token_3`` when it changes a node's layout and
``_inlfunc_`` names when it inlines a function. So each node gets a name that spells its place in the file, in
a copy that shares the external data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_MARK = "acl@"
_PLACE = re.compile(r"acl@([^@]*)@")
RENAMED = re.compile(r"(?:/duplicated)?(?:_token_\d+)?$|^_inlfunc_")
"""What ONNX Runtime adds to the names of nodes that it changes."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node of the file: its graph's path (``main``, or ``main/3/then_branch``), index there, stored name
    and type.
    """

    graph: str
    index: int
    name: str
    type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parent: str = ""
    """Place of the node whose body this is in; empty in the main graph."""

    @property
    def place(self) -> str:
        """``main/12``."""
        return f"{self.graph}/{self.index}"

    @property
    def label(self) -> str:
        """Its name, or its first output when it has none."""
        return self.name or next((item for item in self.outputs if item), self.place)


@dataclass(slots=True)
class Marked:
    """A model whose nodes can be followed.

    Attributes:
        source: what to load: the file itself, or the bytes of the renamed copy.
        nodes: in file order, bodies after the node that holds them.
        duplicates: names that several nodes share (some providers refuse such a model, so the file itself
        must be asked first).
        constants: names of tensors with a value in the file.
    """

    source: Path | bytes
    nodes: list[Node]
    by_name: dict[str, Node]
    duplicates: list[str] = field(default_factory=list)
    constants: set[str] = field(default_factory=set)

    def find(self, name: str) -> Node | None:
        """The node of the file that a node of the runtime comes from."""
        known = self.by_name.get(name)
        if known is not None:
            return known
        found = _PLACE.search(name)
        if found is not None:
            return self.by_name.get(f"{_MARK}{found.group(1)}@")
        return self.by_name.get(RENAMED.sub("", name))

    def readable(self, text: str) -> str:
        """A message of the runtime with the file's own names in it."""
        return _PLACE.sub(
            lambda found: self.by_name[found[0]].label if found[0] in self.by_name else found[0], text
        )


def mark(path: Path, keep: tuple[str, ...] = ()) -> Marked:
    """Read the file's structure; rename nodes only where their own names do not do. ``keep``: tensors to add
    as outputs.
    """
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    nodes = list(_nodes(model.graph, "main", ""))
    names = [item.name for _, item in nodes]
    seen: set[str] = set()
    duplicates = sorted({name for name in names if name and (name in seen or seen.add(name))})  # type: ignore[func-returns-value]
    usable = not duplicates and all(names) and not any(RENAMED.sub("", name) != name for name in names)
    constants = {item.name for item in model.graph.initializer} | {
        item.values.name for item in model.graph.sparse_initializer
    }
    if usable and not keep and not model.functions:
        return Marked(
            path, [node for node, _ in nodes], {node.name: node for node, _ in nodes}, [], constants
        )
    for node, proto in nodes:
        proto.name = f"{_MARK}{node.place}@"
    if model.functions:
        _split_functions(model, nodes)
    known = {item.name for item in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=item) for item in keep if item not in known)
    by_name = {f"{_MARK}{node.place}@": node for node, _ in nodes}
    return Marked(model.SerializeToString(), [node for node, _ in nodes], by_name, duplicates, constants)


def _nodes(graph: Any, path: str, parent: str) -> Iterator[tuple[Node, Any]]:
    """Every node with its place, bodies included; without recursion, as nesting is the file's choice."""
    todo = [(graph, path, parent)]
    while todo:
        body, where, owner = todo.pop()
        for index, proto in enumerate(body.node):
            node = Node(
                where, index, proto.name, proto.op_type, tuple(proto.input), tuple(proto.output), owner
            )
            yield node, proto
            for attribute in proto.attribute:
                where_to = f"{node.place}/{attribute.name}"
                if attribute.HasField("g"):
                    todo.append((attribute.g, where_to, node.place))
                todo += [
                    (item, f"{where_to}/{part}", node.place) for part, item in enumerate(attribute.graphs)
                ]


def _split_functions(model: Any, nodes: list[tuple[Node, Any]]) -> None:
    """A function of its own for each call, so that inlined nodes tell which call they come from."""
    bodies: Mapping[tuple[str, str, str], Any] = {
        (item.domain, item.name, getattr(item, "overload", "")): item for item in model.functions
    }  # fmt: skip
    calls = {}
    for node, proto in nodes:
        body = bodies.get((proto.domain, proto.op_type, getattr(proto, "overload", "")))
        if body is None:
            continue
        copy = type(body)()
        copy.CopyFrom(body)
        copy.name = f"{body.name}{_MARK}{node.place}@"
        for index, inner in enumerate(copy.node):
            inner.name = f"{inner.name or inner.op_type}.{index}"
        proto.op_type = copy.name
        calls[node.place] = copy
    if calls:
        model.functions.extend(calls.values())
