"""A comment on a pull request: a table of the targets, what changed, and the causes with their fix.

The first line is a hidden marker by which the comment is found again and updated. The whole stays under what
GitHub takes for a comment, 65,536 characters.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ...words import counted, percent, size
from ..causes import SHOWN, Cause, causes, dynamic_inputs
from ..previous import in_words
from ..proofs import proofs
from ..purposes import purpose_of

MARKER = "<!-- accelint -->"
MOST = 60_000
"""Characters of the comment, with room for what a workflow puts around it."""
_ROWS = 200
_LONGEST = 600
_SIGN = {"full": "🟢", "partial": "🟡", "none": "🔴", "rejected": "🔴", "unknown": "🟣"}


def render(document: dict[str, Any]) -> str:
    """The comment; what does not fit is counted."""
    rows = [(model, target) for model in document["models"] for target in model.get("targets", ())]
    text = [MARKER, f"### {_headline(document)}", ""]
    for model in document["models"]:
        if "error" in model:
            text.append(f"- {code(model['path'])} cannot be checked: {code(model['error']['message'])}")
    if rows:
        text += ["", *_table(rows)]
    length = sum(len(line) + 1 for line in text)
    sections = [section for model, target in rows for section in [_section(model, target)] if section]
    for number, section in enumerate(sections):
        if length + len(section) > MOST:
            left = counted(len(sections) - number, "more target with findings", "more targets with findings")
            text += ["", f"{left}: the JSON report has them."]
            break
        text.append(section)
        length += len(section) + 1
    return "\n".join(text) + "\n"


def _headline(document: Mapping[str, Any]) -> str:
    summary = document["summary"]
    told = Counter(
        purpose_of(target).of_model(target["verdict"], target.get("phase"))
        for model in document["models"]
        for target in model.get("targets", ())
    )
    verdicts = [f"{count} {verdict}" for verdict, count in told.items()]
    verdicts += [f"{summary['unreadable']} cannot be checked"] if summary["unreadable"] else []
    return f"accelint: {counted(summary['models'], 'model')}: {', '.join(verdicts) or 'nothing was checked'}"


def _table(rows: list[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Iterator[str]:
    changed = any("previous" in target for _, target in rows)
    heads = ["model", "target", "verdict", "operators", "MACs", "partitions", "boundary"]
    heads += ["since the earlier report"] if changed else []
    yield f"| {' | '.join(heads)} |"
    yield f"|{' --- |' * len(heads)}"
    for model, target in rows[:_ROWS]:
        cells = _cells(model, target)
        if changed:
            cells.append(_change(target))
        escaped = [cell.replace("|", "\\|") for cell in cells]
        yield f"| {' | '.join(escaped)} |"
    if len(rows) > _ROWS:
        yield f"\n{counted(len(rows) - _ROWS, 'more row')}: the JSON report has them."


def _cells(model: Mapping[str, Any], target: Mapping[str, Any]) -> list[str]:
    purpose = purpose_of(target)
    verdict = purpose.of_model(target["verdict"], target.get("phase"))
    running = sum(target[key] for key in ("accelerated", "fallback", "rejected", "unknown"))
    share = percent(target["coverage"]["operators"])
    macs = target["coverage"]["macs"]
    moved = [part[side] for part in target["partitions"] for side in ("bytes_in", "bytes_out")]
    return [
        code(model["path"]),
        code(target["target"]),
        f"{_SIGN[target['verdict']]} {verdict}",
        f"{target['accelerated']} of {running} {purpose.done} ({share})",
        "" if macs is None or not purpose.partitions else percent(macs),
        str(len(target["partitions"])) if purpose.partitions else "",
        "" if None in moved or not purpose.partitions else size(sum(moved)),
    ]


def _change(target: Mapping[str, Any]) -> str:
    if "previous" not in target:
        return "new"
    return in_words(target) or "no change"


def _section(model: Mapping[str, Any], target: Mapping[str, Any]) -> str:
    """The causes of one target, folded away; empty where there are none."""
    found, proved = causes(target), proofs(target)
    if not found and not proved:
        return ""
    new = set(target.get("previous", {}).get("new", ()))
    title = f"{model['path']} on {target['target']}: {counted(len(found), 'cause')}"
    lines = ["", "<details>", f"<summary>{html(title)}</summary>", ""]
    for proof in proved:
        lines.append(f"- {'✅' if proof.holds else '❌'} {proof.name}: {code(proof.text)}")
    for cause in found[:50]:
        lines += _cause(model, target, cause, new)
    if len(found) > 50:
        lines.append(f"- {counted(len(found) - 50, 'more cause')}")
    return "\n".join([*lines, "", "</details>"])


def _cause(model: Mapping[str, Any], target: Mapping[str, Any], cause: Cause, new: set[str]) -> Iterator[str]:
    count = counted(len(cause.operators), "operator")
    fresh = sum(
        finding["fingerprint"] in new
        for finding in target["findings"]
        if (finding["code"], finding["rule"]) == (cause.code, cause.rule) and not finding.get("ignored")
    ) if new else 0  # fmt: skip
    told = f", {counted(fresh, 'new finding')}" if fresh else ""
    yield f"- **{cause.severity} {cause.code}** {code(cause.rule)}: {count}{told}"
    ranked = sorted(cause.messages.items(), key=lambda item: -item[1])
    for message, times in ranked[:SHOWN]:
        yield f"  - {code(message)}" + (f" (x{times})" if times > 1 else "")
    if len(ranked) > SHOWN:
        yield f"  - {counted(len(ranked) - SHOWN, 'more reason')}"
    more = ", ..." if len(cause.operators) > SHOWN else ""
    yield f"  - at {', '.join(map(_where, cause.operators[:SHOWN]))}{more}"
    commands = target.get("commands", {})
    fix = commands.get("fix" if cause.safe else "fix_unsafe", "") if cause.fix else ""
    if cause.code == "ACL101" and dynamic_inputs(model):
        fix = commands.get("freeze") or target.get("advice", "")
    if fix:
        yield f"  - fix: {code(fix, most=2000)}"


def _where(op: Mapping[str, Any]) -> str:
    made = f" ({code(op['code'])})" if op.get("code") else ""
    return f"{code(op['name'] or op['id'])}{made}"


# ---- escaping --------------------------------------------------------------------------------


def code(text: str, most: int = _LONGEST) -> str:
    """Anything as a code span: nothing in it is markup, a mention or a link."""
    shown = text if len(text) <= most else f"{text[: most - 3]}..."
    longest = max(map(len, re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    gap = " " if shown.startswith(("`", " ")) or shown.endswith(("`", " ")) or not shown else ""
    return f"{fence}{gap}{shown}{gap}{fence}"


def html(text: str) -> str:
    """Anything within an element; nothing in it is markup or a mention."""
    return "".join(char if char.isalnum() or char in " /.,:-" else f"&#{ord(char)};" for char in text)
