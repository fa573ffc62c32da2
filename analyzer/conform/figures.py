"""The figures of a conform run: confusion tables, disagreements, failures, partitions; as JSON and as a
page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from ..words import percent
from .engine import Judged, Outcome

BAD = ("unreadable", "internal")
"""How models are told that were not compared: nobody can read them, or accelint has a defect at them."""
CLASSES = ("accelerated", "fallback", "folded", "rejected", "unknown")


def figures(outcomes: list[Outcome]) -> dict[str, Any]:
    """Everything that is reported of a run. Shares are of operators whose placement the runtime told."""
    judged = [item for outcome in outcomes for item in outcome.operators]
    by_type: dict[str, list[Judged]] = {}
    for item in judged:
        by_type.setdefault(item.type, []).append(item)
    return {
        "models": dict(Counter(outcome.status for outcome in outcomes)),
        "operators": len(judged),
        "unmapped": sum(outcome.unmapped for outcome in outcomes),
        **_shares(judged),
        "confusion": confusion(judged),
        "by_type": {
            kind: {**_shares(rows), "operators": len(rows), "confusion": confusion(rows)}
            for kind, rows in sorted(by_type.items())
        },
        "refusals": _failures(outcomes),
        "partitions": _partitions(outcomes),
        "verdicts": _verdicts(outcomes),
        "disagreements": [vars(item) for item in judged if not item.right],
        **{
            status: [
                {"model": outcome.name, "why": outcome.reason}
                for outcome in outcomes
                if outcome.status == status
            ]
            for status in BAD
        },
    }


def _shares(judged: list[Judged]) -> dict[str, float]:
    total = len(judged) or 1
    return {
        "agreement": sum(item.right for item in judged) / total if judged else 1.0,
        "false_accelerated": sum(
            item.predicted == "accelerated" and item.actual != "accelerated" for item in judged
        )
        / total,
        "unknown": sum(item.predicted == "unknown" for item in judged) / total,
    }


def confusion(judged: Iterable[Judged]) -> dict[str, dict[str, int]]:
    """predicted -> actual -> count."""
    table: dict[str, dict[str, int]] = {}
    for item in judged:
        row = table.setdefault(item.predicted, {})
        row[item.actual] = row.get(item.actual, 0) + 1
    return table


def _failures(outcomes: list[Outcome]) -> dict[str, int]:
    """Whole models that the runtime rejects or crashes on, against what was predicted."""
    answered = [
        outcome for outcome in outcomes if outcome.status in ("ok", "refused", "crashed", "exhausted", "hung")
    ]
    failed = [outcome for outcome in answered if outcome.status != "ok"]
    phases = [outcome.phases for outcome in failed if outcome.predicted == "rejected" and outcome.phases[1]]
    return {
        "refused": len(failed),
        "refused_predicted": sum(outcome.predicted == "rejected" for outcome in failed),
        "loaded": len(answered) - len(failed),
        "false_alarms": sum(
            outcome.predicted == "rejected" for outcome in answered if outcome.status == "ok"
        ),
        "phases_told": len(phases),
        "phases_right": sum(predicted == actual for predicted, actual in phases),
    }


def _verdicts(outcomes: list[Outcome]) -> dict[str, int]:
    """Verdicts of whole models, where the runtime told what they are."""
    told = [outcome for outcome in outcomes if outcome.actual]
    return {"told": len(told), "right": sum(outcome.predicted == outcome.actual for outcome in told)}


def _partitions(outcomes: list[Outcome]) -> dict[str, int]:
    answered = [
        outcome for outcome in outcomes if outcome.status == "ok" and outcome.partitions[1] is not None
    ]
    compared = [outcome.same_members for outcome in answered if outcome.same_members is not None]
    counts = {
        "told": len(answered),
        "right": sum(outcome.partitions[0] == outcome.partitions[1] for outcome in answered),
    }
    return counts | ({"groups_told": len(compared), "groups_right": sum(compared)} if compared else {})


def page(title: str, runs: dict[str, dict[str, Any]], facts: dict[str, str]) -> str:
    """A Markdown page of one target: a table of totals, then each corpus with its confusion and
    disagreements.
    """
    lines = [f"# {title}", "", *(f"- {key}: {value}" for key, value in facts.items()), ""]
    lines += [
        "| corpus | models | operators | agreement | false accelerated | unknown | unmapped "
        "| rejections predicted | phase right | false alarms | partitions right |"
    ]
    lines += ["|---|---|---|---|---|---|---|---|---|---|---|"]
    for name, run in runs.items():
        failures, cut = run["refusals"], run["partitions"]
        lines.append(
            f"| {name} | {sum(run['models'].values())} | {run['operators']} | "
            f"{percent(run['agreement'], 2)} | {percent(run['false_accelerated'], 2)} "
            f"| {percent(run['unknown'], 2)} | {run['unmapped']} | {failures['refused_predicted']} of "
            f"{failures['refused']} | {_of(failures, 'phases_right', 'phases_told')} "
            f"| {failures['false_alarms']} of {failures['loaded']} | {cut['right']} of {cut['told']} |"
        )
    for name, run in runs.items():
        lines += _section(name, run)
    return "\n".join(lines) + "\n"


def _of(counts: dict[str, int], right: str, answered: str) -> str:
    return f"{counts[right]} of {counts[answered]}"


def _section(name: str, run: dict[str, Any]) -> list[str]:
    models = ", ".join(f"{count} {status}" for status, count in sorted(run["models"].items()))
    lines = [
        "",
        f"## {name}",
        "",
        f"Models: {models}.",
        "",
        "| predicted \\ actual | " + " | ".join(CLASSES[:4]) + " |",
        "|---|---|---|---|---|",
    ]
    for predicted in CLASSES:
        row = run["confusion"].get(predicted, {})
        if row:
            lines.append(
                f"| {predicted} | " + " | ".join(str(row.get(actual, 0)) for actual in CLASSES[:4]) + " |"
            )
    wrong: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for item in run["disagreements"]:
        wrong.setdefault((item["type"], item["predicted"], item["actual"]), []).append(item)
    if wrong:
        lines += [
            "",
            "| operator | predicted | actual | count | rule | runtime's words | example |",
            "|---|---|---|---|---|---|---|",
        ]
    for (kind, predicted, actual), items in sorted(wrong.items(), key=lambda entry: -len(entry[1])):
        first = items[0]
        words = " | ".join(_cell(first[key]) for key in ("rule", "said", "model"))
        lines.append(f"| {kind} | {predicted} | {actual} | {len(items)} | {words} |")
    return lines


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")[:120]
