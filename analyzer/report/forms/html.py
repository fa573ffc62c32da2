"""One self-contained page: no network, no script but its own, every string of a stranger as text."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from ...words import percent
from ..causes import Cause, causes, dynamic_inputs, ignored, remedy
from ..previous import in_words
from ..purposes import purpose_of
from .text import RAN

DRAWS = True
"""The form needs to know how the data flows through the partitions."""
_WEB = Path(__file__).parent.parent / "web"
_VERDICTS = ("accelerated", "fallback", "folded", "rejected", "unknown")
_COLUMNS = {
    "ran_accelerated": "ran accelerated",
    "ran_elsewhere": "ran elsewhere",
    "not_told": "not reported",
    "ran_nowhere": "did not run",
}


def render(document: dict[str, Any]) -> str:
    """The page. Scripts and styles are named by their digests, so that nothing else runs in it."""
    style = _asset("style.css")
    script = f"{_asset('dagre.min.js')}\n{_asset('page.js')}"
    parts = {
        "@POLICY@": f"script-src {_digest(script)}; style-src {_digest(style)}",
        "@STYLE@": style,
        "@SCRIPT@": script,
        "@DATA@": _embedded(_data(document)),
    }
    page = _asset("page.html")
    for mark, text in parts.items():
        before, _, after = page.partition(mark)
        page = before + text + after
    return page


def _asset(name: str) -> str:
    text = (_WEB / name).read_text(encoding="utf-8").strip()
    return text.replace("\x01", "\\x01")  # dagre has the character itself in two strings of its own


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _embedded(data: Any) -> str:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(data, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _data(document: Mapping[str, Any]) -> dict[str, Any]:
    return {"tool": document["tool"], "models": [_model(model) for model in document["models"]]}


def _model(model: Mapping[str, Any]) -> dict[str, Any]:
    if "error" in model:
        return {"path": model["path"], "error": model["error"]["message"]}
    return {
        "path": model["path"],
        "format": model["format"],
        "operators": model["operators"],
        "targets": [_target(model, target) for target in model["targets"]],
        "skipped": [[row["target"], row["reason"]] for row in model.get("skipped", ())],
    }


def _target(model: Mapping[str, Any], target: Mapping[str, Any]) -> dict[str, Any]:
    purpose = purpose_of(target)
    parts = target["partitions"]
    moved = [part[side] for part in parts for side in ("bytes_in", "bytes_out")]
    place = {op["id"]: index for index, op in enumerate(target["operators"])}
    shares = target["coverage"]
    row = {
        "target": target["target"],
        "runtime": target["runtime"],
        "verdict": target["verdict"],
        "words": purpose.of_model(target["verdict"], target.get("phase")),
        "said": {verdict: purpose.of_operator(verdict) for verdict in _VERDICTS},
        "counts": {verdict: target[verdict] for verdict in _VERDICTS},
        "shares": [
            percent(shares["operators"], 1),
            None if shares["macs"] is None else percent(shares["macs"], 1),
        ],
        "partitioned": bool(purpose.partitions),
        "partitions": len(parts),
        "moved": None if None in moved else sum(moved),
        "since": in_words(target),
        "operators": [
            [
                op["id"],
                op["name"],
                op["type"],
                op["verdict"],
                op["findings"],
                *([op["code"]] if op.get("code") else []),
            ]
            for op in target["operators"]
        ],
        "findings": [
            [row["code"], row["rule"], row["message"], row["fingerprint"]] for row in target["findings"]
        ],
        "causes": [_cause(model, target, cause, place) for cause in causes(target)],
        "ignored": list(ignored(target).items()),
        "notes": list(target["notes"]),
    }
    if "flow" in target:
        row |= {"flow": _drawn(target, place), "region": _regions(target, place)}
    if "agreement" in target:
        row |= _actual(target, place)
    return row


def _cause(
    model: Mapping[str, Any], target: Mapping[str, Any], cause: Cause, place: Mapping[str, int]
) -> dict[str, Any]:
    roots = dynamic_inputs(model) if cause.code == "ACL101" else []
    command, advice = remedy(target, cause, rooted=bool(roots))
    shown = [
        (place[op["id"]], mark)
        for op, mark in zip(cause.operators, cause.prints, strict=True)
        if op["id"] in place
    ]
    return {
        "code": cause.code,
        "rule": cause.rule,
        "severity": cause.severity,
        "messages": sorted(cause.messages.items(), key=lambda item: -item[1]),
        "operators": [index for index, _ in shown],
        "prints": [mark for _, mark in shown],
        "fix": cause.fix,
        "command": command,
        "advice": f"root: {', '.join(roots)}" + (f"; {advice}" if advice else "") if roots else advice,
        "source": cause.source,
        "evidence": cause.evidence,
    }


def _regions(target: Mapping[str, Any], place: Mapping[str, int]) -> list[int | None]:
    """The region of each operator; None for what is gone before the model runs."""
    found: list[int | None] = [None] * len(place)
    for region in target["flow"]["regions"]:
        for id in region.get("members", ()):
            if id in place:
                found[place[id]] = region["id"]
    return found


def _drawn(target: Mapping[str, Any], place: Mapping[str, int]) -> dict[str, Any]:
    """``kinds``: how many types of operators a region has, of which ``types`` are the most frequent."""
    ops = target["operators"]
    regions = [
        {key: row[key] for key in row if key != "members"}
        | {"kinds": len({ops[place[id]]["type"] for id in row.get("members", ()) if id in place})}
        for row in target["flow"]["regions"]
    ]
    return {"regions": regions, "edges": target["flow"]["edges"]}


def _actual(target: Mapping[str, Any], place: Mapping[str, int]) -> dict[str, Any]:
    """What the runtime did, where it was asked."""
    purpose = purpose_of(target)
    agreement = target["agreement"]
    rows = []
    for verdict in _VERDICTS:
        counts = [agreement.get(f"predicted_{verdict}_{ran}", 0) for ran in _COLUMNS]
        if any(counts):
            rows.append([purpose.of_operator(verdict), *counts])
    wrong = [place[id] for line in target["contradictions"] if (id := line.partition(" ")[0]) in place]
    devices = {item["id"]: item["device"] for item in target["placement"]}
    ran = RAN if purpose.partitions else {**RAN, "accelerator": "ran"}
    places = {id: ran.get(device, "") for id, device in devices.items()}
    lines = [[f"contradiction: {line}", False] for line in target["contradictions"][:20]]
    parity = target.get("parity")
    if parity:
        lines.append(
            [
                f"parity {'holds' if parity['ok'] else 'does not hold'}: {parity.get('summary', '')}",
                parity["ok"],
            ]
        )
    elif target.get("parity_skipped"):
        lines.append([f"parity not compared: {target['parity_skipped']}", False])
    if target.get("crash"):
        lines.append([f"the runtime crashed: {target['crash'].get('signal')}", False])
    return {
        "told": "contradicted" if target["contradictions"] else "as predicted",
        "actual": {
            "columns": list(_COLUMNS.values()),
            "rows": rows,
            "wrong": wrong,
            "places": [places.get(id, "") for id in place],
            "lines": lines,
        },
    }
