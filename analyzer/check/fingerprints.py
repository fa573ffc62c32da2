"""Names of findings that outlast edits of the model and of the packs.

A fingerprint is made of the target, of what the rule limits (``Pack.identity``, which outlives the rule's
name) and of the operator: its own name where the file stores one, else its type, attributes, tensors and
what makes its inputs. Names of tensors, positions and readers leave no mark, so operators may be added,
moved and renamed elsewhere. Operators that cannot be told apart are counted.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...rules.subjects import operator_key
from ..ir.payloads import Constant
from .coverage import Finding

if TYPE_CHECKING:
    from ...rules.pack import Pack
    from ..ir.graph import Graph, Operator, Tensor

Place = tuple["Graph | None", "Operator"]
"""An operator and the graph that it is in, None where only its name is known."""
_LONGEST = 200
"""Characters of an attribute that count."""


def marked(
    findings: Sequence[Finding],
    places: Sequence[Place | None],
    target: str,
    pack: Pack,
    inner: Sequence[str] = (),
) -> tuple[Finding, ...]:
    """The findings with their fingerprints, given the operator of each.

    ``inner`` has the types of operators whose findings are told of the one that they were made from: of a
    call that was inlined, or before a conversion; empty for one that is told of itself.
    """
    words: dict[int, str] = {}
    limits: dict[str, str] = {}
    same: dict[str, list[int]] = defaultdict(list)
    for index, (finding, place) in enumerate(zip(findings, places, strict=True)):
        known = words.get(id(place and place[1]))
        if known is None:
            known = words[id(place and place[1])] = _words(place)
        own = f"{known} {inner[index]}" if inner and inner[index] else known
        limited = limits.get(finding.rule)
        if limited is None:
            limited = limits[finding.rule] = pack.identity(finding.rule)
        same[_digest(target, limited, own)].append(index)
    prints = [""] * len(findings)
    depths = _Depths()
    for base, indexes in same.items():
        if len(indexes) > 1:
            indexes.sort(key=lambda index: depths.rank(places[index]))
        for count, index in enumerate(indexes):
            prints[index] = _digest(base, str(count)) if count else base
    return tuple(item.named(text) for item, text in zip(findings, prints, strict=True))


def _digest(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _words(place: Place | None) -> str:
    """What tells an operator from others: its own name, or its structure."""
    if place is None:
        return ""
    graph, op = place
    if op.name or graph is None:
        return f"{operator_key(op)} {op.name}"
    reads = [_input(graph, name) for name in op.inputs]
    makes = [_tensor(item) for item in graph.output_tensors(op)]
    attrs = [f"{key}={_value(value)}" for key, value in sorted(op.attrs.items()) if key != "intermediates"]
    return "\n".join((operator_key(op), str(op.version), *attrs, "reads", *reads, "makes", *makes))


def _input(graph: Graph, name: str | None) -> str:
    if name is None:
        return "-"
    tensor = graph.find(name)
    constant = graph.constant(name)
    if constant is not None:
        small = (
            constant.inline is not None and constant.dtype in ("int32", "int64") and constant.elements <= 64
        )
        return f"{_tensor(tensor)} constant {constant.raw().hex() if small else ''}"
    writer = graph.producer(name)
    return f"{_tensor(tensor)} {operator_key(writer) if writer is not None else 'input'}"


def _tensor(tensor: Tensor | None) -> str:
    if tensor is None:
        return "-"
    if tensor.shape is None:
        return tensor.dtype
    return f"{tensor.dtype}[{','.join(str(dim) if isinstance(dim, int) else '?' for dim in tensor.shape)}]"


def _value(value: Any) -> str:
    """An attribute in words; what is large counts by its kind."""
    if isinstance(value, Constant):
        return f"{value.dtype}{list(value.shape)}"
    return repr(value)[:_LONGEST]


class _Depths:
    """How far operators are from what their graph starts with: an order that survives a new order in the
    file.
    """

    def __init__(self) -> None:
        self._known: dict[int, dict[str, int]] = {}

    def rank(self, place: Place | None) -> tuple[int, str]:
        """The key by which operators that cannot be told apart are counted."""
        graph, op = place or (None, None)
        if graph is None or op is None:
            return 0, ""
        if id(graph) not in self._known:
            self._known[id(graph)] = _depths(graph)
        return self._known[id(graph)].get(op.id, 0), next((name for name in op.outputs if name), "")


def _depths(graph: Graph) -> dict[str, int]:
    found: dict[str, int] = {}
    for op in graph.ops():
        writers = (graph.producer(name) for name in op.inputs if name)
        found[op.id] = 1 + max((found.get(item.id, 0) for item in writers if item is not None), default=0)
    return found
