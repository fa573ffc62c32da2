"""The report for people: grouped by cause, the worst first."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ...inert import line as clean
from ...words import counted, percent, size
from ..causes import SHOWN, Cause, causes, dynamic_inputs, ignored, remedy
from ..decided import decided
from ..previous import in_words
from ..purposes import purpose_of

_STYLE = {"error": "bold red", "warning": "yellow", "note": "cyan"}
UNWRAPPED = 10_000
"""Width of a line that goes to a file or a pipe, where a break would only be in the way of a search."""
PLACEMENTS = 24
"""Lines of placement in the text; the JSON document has every operator."""
STYLES = {
    "full": "bold green",
    "partial": "yellow",
    "none": "bold red",
    "rejected": "bold red",
    "unknown": "magenta",
}


EVERYTHING = 1_000_000


@dataclass(frozen=True)
class _Page:
    """The console, and how much of each thing is told."""

    console: Console
    brief: bool = False
    full: bool = False

    def print(self, item: Any) -> None:
        self.console.print(item)

    def print_whole(self, item: Any) -> None:
        """On one line, however wide the terminal is."""
        self.console.print(item, soft_wrap=True)

    def most(self, usual: int) -> int:
        """How many of a list are shown."""
        return EVERYTHING if self.full else usual


def render(document: dict[str, Any], *, brief: bool = False, full: bool = False) -> str:
    """The text, with colour when it goes to a terminal. Names from the model are never read as markup.

    ``brief``: a line a model and target; ``full``: every operator, reason and source.
    """
    stream = io.StringIO()
    terminal = sys.stdout.isatty()
    width = max(60, min(shutil.get_terminal_size((110, 24)).columns, 140)) if terminal else UNWRAPPED
    console = Console(
        file=stream, force_terminal=terminal and "NO_COLOR" not in os.environ, width=width, highlight=False
    )
    for model in document["models"]:
        _model(_Page(console, brief, full), model)
    return stream.getvalue()


_FAILED = {"internal": "internal error", "source": "cannot be exported"}


def _model(console: _Page, model: Mapping[str, Any]) -> None:
    if "error" in model:
        told = _FAILED.get(model["error"]["kind"], "cannot be read")
        console.print(Text.assemble((clean(model["path"]), "bold"), "  ", (told, "bold red")))
        console.print(Text("  " + clean(model["error"]["message"])))
        return
    console.print(
        Text.assemble(
            (clean(model["path"]), "bold"), f"  {model['format']} · {counted(model['operators'], 'operator')}"
        )
    )
    for target in model["targets"]:
        _target(console, model, target)
    for item in model.get("skipped", ()) if console.full else ():
        console.print(Text(f"  {item['target']}  not checked: {clean(item['reason'])}", "dim"))


def _target(console: _Page, model: Mapping[str, Any], target: Mapping[str, Any]) -> None:
    console.print(headline(target))
    if change := in_words(target):
        console.print(Text(f"    since the earlier report: {change}", "bold"))
    if console.brief:
        return
    for cause in causes(target):
        _cause(console, model, target, cause)
    for line in decided(target):
        console.print(Text(f"    {line}", "bold" if not line.startswith(" ") else ""))
    for why, count in ignored(target).items():
        console.print(Text(f"    {counted(count, 'finding')} ignored: {clean(why)}", "dim"))
    if console.full:
        _operators(console, target)
    for note in target["notes"]:
        console.print(Text(f"    {clean(note)}", "dim"))
    if "agreement" in target:
        _verified(console, target)


def headline(target: Mapping[str, Any]) -> Text:
    """One line: the target, its verdict and what is covered."""
    total = sum(target[key] for key in ("accelerated", "fallback", "rejected", "unknown"))
    macs = target["coverage"]["macs"]
    parts = len(target["partitions"])
    purpose = purpose_of(target)
    line = Text.assemble(
        "  ",
        (target["target"], "bold"),
        f" ({target['runtime']})  ",
        (purpose.of_model(target["verdict"], target.get("phase")), STYLES[target["verdict"]]),
    )
    blocking = {item["operator"] for item in target["findings"] if item["severity"] == "error"}
    if target["verdict"] == "rejected" and purpose.undone and blocking:
        line.append(f"  {len(blocking)} of {counted(total, 'operator')} {purpose.undone}")
        return line
    share = percent(target["coverage"]["operators"])
    line.append(f"  {target['accelerated']} of {counted(total, 'operator')} {purpose.done} ({share})")
    if not purpose.partitions:
        return line
    line.append(f", {percent(macs)} of MACs" if macs is not None else "")
    line.append(f", {counted(parts, 'partition')}")
    moved = [
        part["bytes_in"] + part["bytes_out"]
        for part in target["partitions"]
        if None not in (part["bytes_in"], part["bytes_out"])
    ]
    line.append(f", {size(sum(moved))} cross the boundary" if moved and len(moved) == parts else "")
    return line


def _cause(console: _Page, model: Mapping[str, Any], target: Mapping[str, Any], cause: Cause) -> None:
    count = len(cause.operators)
    head = Text.assemble(
        "    ", (f"{cause.severity} {cause.code}", _STYLE[cause.severity]), f" {cause.rule}  "
    )
    head.append(counted(count, "operator"), "bold")
    head.append(f"  {_types(cause)}", "dim")
    console.print(head)
    roots = dynamic_inputs(model) if cause.code == "ACL101" else []
    shown = console.most(1 if roots else SHOWN)
    for message, times in sorted(cause.messages.items(), key=lambda item: -item[1])[:shown]:
        console.print(Text(f"      {clean(message)}" + (f"  (x{times})" if times > 1 else "")))
    if len(cause.messages) > shown:
        more = counted(len(cause.messages) - shown, "more reason")
        console.print(Text(f"      ... and {more} (-v shows all)", "dim"))
    most = console.most(SHOWN)
    where = ", ".join(_place(op) for op in cause.operators[:most])
    console.print(Text(f"      at {where}" + (", ..." if count > most else ""), "dim"))
    if console.full:
        console.print(Text(f"      source: {clean(cause.source)} [{cause.evidence}]", "dim"))
    command, advice = remedy(target, cause, rooted=bool(roots))
    if roots:
        console.print(Text(f"      root: {clean(', '.join(roots))}"))
    elif cause.fix:
        console.print(Text(f"      rewrite: {cause.fix}", "dim"))
    _fix(console, command or advice)


def _fix(console: _Page, command: str) -> None:
    if command:
        console.print_whole(Text(f"      fix: {clean(command)}", "green"))


def _operators(console: _Page, target: Mapping[str, Any]) -> None:
    """Every operator with its verdict and the codes of its findings."""
    for op in target["operators"]:
        codes = dict.fromkeys(target["findings"][index]["code"] for index in op["findings"])
        verdict = purpose_of(target).of_operator(op["verdict"])
        told = f"      {_place(op)}  {clean(op['type'])}  {verdict}"
        console.print(Text(told + (f"  {', '.join(codes)}" if codes else ""), "dim"))


def _types(cause: Cause) -> str:
    counts: dict[str, int] = {}
    for op in cause.operators:
        counts[op["type"]] = counts.get(op["type"], 0) + 1
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    return clean(", ".join(f"{name} x{count}" if count > 1 else name for name, count in ranked[:4])) + (
        ", ..." if len(ranked) > 4 else ""
    )


def _place(op: Mapping[str, Any]) -> str:
    place = f"{op['id']} {clean(op['name'])}"
    return f"{place} ({clean(op['code'])})" if op.get("code") else place


def _verified(console: _Page, target: Mapping[str, Any]) -> None:
    agreement = target["agreement"]
    done = "ran accelerated" if purpose_of(target).partitions else "ran"
    table = Table(
        "predicted",
        done,
        "ran elsewhere",
        "not reported",
        "did not run",
        box=None,
        padding=(0, 2),
        title_justify="left",
    )
    for verdict in ("accelerated", "fallback", "folded", "rejected", "unknown"):
        row = [
            agreement.get(f"predicted_{verdict}_{ran}", 0)
            for ran in ("ran_accelerated", "ran_elsewhere", "not_told", "ran_nowhere")
        ]
        if any(row):
            table.add_row(purpose_of(target).of_operator(verdict), *map(str, row))
    console.print(Text("    prediction compared with what the runtime did", "bold"))
    console.print(Padding(table, (0, 0, 0, 4), expand=False))
    _placements(console, target)
    _numbers(console, target)
    latency = target.get("latency_ms")
    if latency and latency.get("median") is not None:
        line = (
            f"    latency: median {latency['median']:.2f} ms, {latency['low']:.2f} to "
            f"{latency['high']:.2f}, {counted(latency['runs'], 'run')}"
        )
        line += f" on {counted(latency['threads'], 'thread')}"
        other = latency.get("against")
        line += (
            f"; the reference model took {other['ratio']:.2f} times that ({other['low']:.2f} "
            f"to {other['high']:.2f})"
            if other
            else ""
        )
        console.print(Text(line, "dim"))
    drift = target.get("drift")
    if drift:
        console.print(
            Text(
                f"    {drift['severity']} {drift['code']} {drift['rule']}: {clean(drift['message'])}",
                "yellow",
            )
        )
    _phases(console, target)
    if target.get("runtime_status") == "killed":
        said = clean(str(target.get("runtime_reason")))
        console.print(Text(f"    the runtime gave no answer, nothing is known: {said}", "bold red"))
    crash = target.get("crash")
    if crash:
        console.print(Text(f"    the runtime crashed: {clean(str(crash.get('signal')))}", "bold red"))


def _phases(console: _Page, target: Mapping[str, Any]) -> None:
    """The phase in which the runtime rejected the model, beside the predicted one."""
    told, predicted = target.get("runtime_phase"), target.get("phase")
    if not told:
        return
    same = "as predicted" if told == predicted else f"predicted: fails to {predicted}" if predicted else ""
    words = f"    the runtime fails to {told} the model" + (f", {same}" if same else "")
    console.print(Text(words, "dim" if told == predicted else "bold red"))


def _placements(console: _Page, target: Mapping[str, Any]) -> None:
    """Each operator's verdict beside its place, operators in a row that share both on one line;
    contradictions are marked.
    """
    rows = placement_rows(target)
    most = console.most(PLACEMENTS)
    for row in rows[:most]:
        style = "bold red" if row["wrong"] else "dim"
        console.print(
            Text(
                f"      {clean(row['ids'])}  {clean(row['types'])}  predicted "
                f"{row['predicted']}, {row['ran']}",
                style,
            )
        )
    if len(rows) > most:
        console.print(
            Text(
                f"      ... and {counted(len(rows) - most, 'more line')} like these: -v or "
                f"--format json has every operator",
                "dim",
            )
        )


UNREPORTED = "not reported by the runtime"
RAN = {
    "accelerator": "ran accelerated",
    "cpu": "ran on the CPU",
    "folded": "was computed when the model was loaded",
    "unmapped": "was replaced by an operator that the runtime does not name",
    "unknown": UNREPORTED,
}


def placement_rows(target: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Neighbouring operators with one verdict and one place: ``ids``, ``types``, ``predicted``, ``ran``, and
    whether they are ``wrong``.
    """
    placed = {item["id"]: item["device"] for item in target["placement"]}
    wrong = {line.partition(" ")[0] for line in target["contradictions"]}
    rows: list[dict[str, Any]] = []
    ran = RAN if purpose_of(target).partitions else {**RAN, "accelerator": "ran"}
    for op in target["operators"] if placed else ():
        verdict = purpose_of(target).of_operator(op["verdict"])
        key = (verdict, ran.get(placed.get(op["id"], "unknown"), UNREPORTED), op["id"] in wrong)
        if not rows or rows[-1]["key"] != key:
            rows.append({"key": key, "ops": []})
        rows[-1]["ops"].append(op)
    return [
        {
            "ids": ops[0]["id"] if len(ops) == 1 else f"{ops[0]['id']} to {ops[-1]['id']}",
            "types": ", ".join(op["type"] for op in ops[:4])
            + (f" and {len(ops) - 4} more" if len(ops) > 4 else ""),
            "predicted": row["key"][0],
            "ran": row["key"][1],
            "wrong": row["key"][2],
        }
        for row in rows
        for ops in [row["ops"]]
    ]


def _numbers(console: _Page, target: Mapping[str, Any]) -> None:
    parity = target.get("parity")
    if not parity:
        if target.get("parity_skipped"):
            console.print(Text(f"    parity not compared: {clean(target['parity_skipped'])}", "bold red"))
        return
    sets = parity["sets"] if len(parity["sets"]) > 1 else [{**parity, "inputs": ""}]
    for item in sets:
        state, style = {
            True: ("holds", "green"),
            False: ("FAILS", "bold red"),
            None: ("not compared", "bold red"),
        }[item["ok"]]
        where = f" with {clean(item['inputs'])}" if item["inputs"] else ""
        console.print(Text(f"    parity {state}{where}: {clean(item['summary'])}", style))
    first = parity.get("first_divergence")
    if first:
        where = f"{first['id']} {first['type']} {first['name']}"
        console.print(Text(f"    first divergence at {clean(where)}: {clean(first['problem'])}", "red"))
