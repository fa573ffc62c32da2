"""Node data of Google's Model Explorer: the verdict of each operator on each target, as its nodes' colours.

Graphs and nodes are named as Model Explorer's TFLite adapter (by index in the subgraph) and its ONNX adapter
(by name, those without one numbered, branches of If in the graph around them) name them; nodes of other
formats by their names. One file is about one model.
https://github.com/google-ai-edge/model-explorer/wiki/2.-User-Guide#custom-node-data
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...errors import UsageError
from ...inert import line
from ..purposes import purpose_of

COLOURS = {
    "rejected": ("#b3261e", "#ffffff"),
    "unknown": ("#7b1fa2", "#ffffff"),
    "fallback": ("#ffb74d", "#000000"),
    "folded": ("#e0e0e0", "#000000"),
    "accelerated": ("#81c995", "#000000"),
}
"""Background and text of a verdict, the worst verdict first."""


def chunks(document: dict[str, Any]) -> Iterator[str]:
    """The data of every graph of the model, by the graph's id. Raises UsageError for several models."""
    models = [model for model in document["models"] if "error" not in model]
    if len(models) > 1:
        raise UsageError(
            f"node data for Model Explorer is about one model, not {len(models)}: check one a time"
        )
    yield json.dumps(_graphs(models[0]) if models else {}, ensure_ascii=False)
    yield "\n"


def _graphs(model: Mapping[str, Any]) -> dict[str, Any]:
    targets = model["targets"]
    rows = {op["id"]: op for target in targets[:1] for op in target["operators"]}
    values: dict[str, list[tuple[str, str]]] = {id: [] for id in rows}
    for target in targets:
        for op in target["operators"]:
            if op["id"] in values:
                values[op["id"]].append((op["verdict"], _value(target, op, alone=len(targets) == 1)))
    name = "accelint: " + ", ".join(line(target["target"]) for target in targets)
    found: dict[str, Any] = {}
    for id, (graph, node) in _nodes(model, list(rows.values())).items():
        data = found.setdefault(graph, {"name": name, "results": {}, "showExpandedSummaryOnGroupNode": True})
        data["results"][node] = _result(values[id])
    return found


def _value(target: Mapping[str, Any], op: Mapping[str, Any], *, alone: bool) -> str:
    codes = dict.fromkeys(target["findings"][index]["code"] for index in op["findings"])
    told = " ".join([purpose_of(target).of_operator(op["verdict"]), *codes])
    return told if alone else f"{line(target['target'])}: {told}"


def _result(values: list[tuple[str, str]]) -> dict[str, str]:
    worst = min((verdict for verdict, _ in values), key=list(COLOURS).index)
    background, text = COLOURS[worst]
    return {"value": "; ".join(told for _, told in values), "bgColor": background, "textColor": text}


# ---- names of nodes --------------------------------------------------------------------------


def _nodes(model: Mapping[str, Any], ops: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, str]]:
    """Id of an operator -> id of the graph and of the node in Model Explorer."""
    graphs = {row["id"]: row["name"] for row in model.get("graphs", ())}
    if model["dialect"] == "onnx":
        return _Onnx(graphs, ops).nodes
    found = {}
    for op in ops:
        owner, _, index = op["id"].rpartition("/")
        node = index if model["dialect"] == "tflite" else op["name"]
        found[op["id"]] = (graphs.get(owner, owner) or owner, node)
    return found


class _Onnx:
    """Names as the adapter's ``NameFixPass`` (onnx_ir) and its own passes give them, in the order of the file
    and bodies where their operator stands.
    """

    def __init__(self, graphs: Mapping[str, str], ops: Iterable[Mapping[str, Any]]) -> None:
        self.nodes: dict[str, tuple[str, str]] = {}
        self._graphs = graphs
        self._owned: dict[str, list[Mapping[str, Any]]] = {}
        for op in ops:
            self._owned.setdefault(op["id"].rpartition("/")[0], []).append(op)
        for rows in self._owned.values():
            rows.sort(key=lambda op: int(op["id"].rpartition("/")[2]))
        self._bodies: dict[str, list[str]] = {}
        for owner in self._owned:
            self._bodies.setdefault(owner.rpartition("/")[0], []).append(owner)
        self._counts: Counter[str] = Counter()
        names: dict[str, str] = {}
        self._name("main", names)
        self._place("main", graphs.get("main") or "main", "", names)

    def _name(self, owner: str, names: dict[str, str]) -> None:
        """Unique names in one graph and, as they are met, in its bodies; counters are the model's."""
        used: set[str] = set()
        for op in self._owned.get(owner, ()):
            name = "node" if op.get("unnamed") else op["name"]
            wanted = name
            while name in used:
                self._counts[wanted] += 1
                name = f"{wanted}_{self._counts[wanted]}"
            used.add(name)
            names[op["id"]] = name
            for body in self._bodies.get(op["id"], ()):
                self._name(body, names)

    def _place(self, owner: str, graph: str, prefix: str, names: Mapping[str, str]) -> None:
        """Branches of If are in the graph around them, other bodies are graphs of their own."""
        for op in self._owned.get(owner, ()):
            node = f"{prefix}{names[op['id']]}"
            self.nodes[op["id"]] = (graph, node)
            for body in self._bodies.get(op["id"], ()):
                kind = body.rpartition("/")[2]
                if op["type"] == "If":
                    self._place(body, graph, f"{node}/{kind}/", names)
                else:
                    self._place(body, f"{node}/{kind}", "", names)
