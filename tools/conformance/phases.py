"""`make phases`: where models of the generated corpora, node tests of the onnx package and damaged files stop
(load, partition, compile, run), predicted and by the runtimes.

    python tools/conformance/phases.py [TARGET ...] [--limit N] [--ops TYPE,TYPE] [--kept]

Each model is loaded and run once on inputs that the reference takes (`asked.py`); one that the reference does
not run is loaded only. Writes docs/conformance/phases.md.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import asked
from accelint.analyzer.proof.phases import phase_of
from accelint.analyzer.words import percent
from accelint.rules.verdict import Verdict

PAGE = asked.ROOT / "docs" / "conformance" / "phases.md"
PHASES = ("load", "partition", "compile", "run")
OURS = (
    "Unsupported dtype",
    "requires f16 but the device does not support it",
    "Invalid data-type for array",
    "with name:en_US",
)
"""Words of this machine: LiteRT's Python interface reads and writes tensors of some types only, SwiftShader
has no float16, there is no such locale.
"""
NEWER = ("Unsupported model IR version", "is under development and support for this is limited")
"""Words of an ONNX Runtime that is older than a file, where the plug-in that is asked about goes into newer
ones as well.
"""
PLUGINS = ("onnxruntime/qnn",)
DIES = ("crashed", "hung", "exhausted")
SHOWN = 3


@dataclass
class Figures:
    """Of one target."""

    models: int = 0
    passed: int = 0
    alarms: list[tuple[str, str, str]] = field(default_factory=list)
    """Models that are loaded and run and were predicted to be rejected: model, rule, words."""
    stopped: int = 0
    missed: list[tuple[str, str, str]] = field(default_factory=list)
    """Models that stop and were not predicted to: model, phase, the runtime's words."""
    phases: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Predicted and actual phase of those that were predicted to stop, where the runtime tells it."""
    wrong: list[tuple[str, str, str]] = field(default_factory=list)
    """Where the two differ: model, phases with the rule, the runtime's words."""


def fate(target: str, told: dict[str, Any]) -> tuple[str, str] | None:
    """Whether a model passed (``ok``) or where it stopped; the phase is empty where the process died before
    it ran. None where nothing is known.
    """
    status = told["status"]
    if any(words in told["reason"] for words in OURS):
        return None
    if target.startswith(PLUGINS) and any(words in told["reason"] for words in NEWER):
        return None
    if status in DIES:
        return ("stopped", "run" if told.get("loaded") == "ok" else "")
    phase = phase_of(target.removesuffix(":alone"), status, told["reason"])
    if status == "refused" or phase == "run":
        return ("stopped", phase)
    return ("ok", "") if status == "ok" else None


def predicted(target: str, coverage: Any) -> tuple[bool, str, str]:
    """Whether the model is rejected, in which phase and by which rule."""
    rules = [item.rule for item in coverage.findings if item.effect == "rejected"]
    if coverage.verdict == "rejected":
        return True, coverage.phase, ", ".join(dict.fromkeys(rules))
    left = any(op.verdict is Verdict.FALLBACK for op in coverage.operators)
    return (True, "load", "an operator falls back") if left and target.endswith(":alone") else (False, "", "")


def figures(target: str, options: argparse.Namespace) -> Figures:
    """Asks what is not known yet."""
    found = Figures()
    for row in asked.rows(target, options):
        actual = fate(target, row.told)
        if actual is None:
            continue
        rejected, phase, rule = predicted(target, asked.prediction(row))
        if actual[0] == "ok" and phase == "run" and row.told["reference"] != "ok":
            continue  # it was loaded only
        found.models += 1
        name, words = row.item.name, row.told["reason"]
        if actual[0] == "ok":
            found.passed += 1
            found.alarms += [(name, f"{phase}: {rule}", "")] if rejected else []
            continue
        found.stopped += 1
        if not rejected:
            found.missed.append((name, actual[1] or row.told["status"], words))
            continue
        if actual[1]:
            found.phases[phase, actual[1]] += 1
            found.wrong += [(name, f"{phase}, {rule}; is {actual[1]}", words)] if phase != actual[1] else []
    return found


def totals(target: str, found: Figures) -> str:
    """A target's row in the table of totals."""
    told, right = sum(found.phases.values()), sum(found.phases[phase, phase] for phase in PHASES)
    hits = found.stopped - len(found.missed)
    cells = [
        target, asked.version(target), found.models,
        _share(hits, found.stopped), _share(len(found.alarms), found.passed), _share(right, told),
    ]  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({percent(part / whole, 1)})" if whole else "-"


def section(target: str, found: Figures) -> list[str]:
    """A target's part of the page."""
    lines = ["", f"## {target}", ""]
    if found.phases:
        lines += ["| predicted \\ actual | " + " | ".join(PHASES) + " |", "|---|---|---|---|---|"]
        lines += [
            f"| {phase} | " + " | ".join(str(found.phases[phase, actual]) for actual in PHASES) + " |"
            for phase in PHASES
            if any(found.phases[phase, actual] for actual in PHASES)
        ]
    for title, rows in (
        ("Stops and was not predicted to", found.missed),
        ("Predicted to stop and does not", found.alarms),
        ("Stops in another phase", found.wrong),
    ):
        if rows:
            lines += [
                "",
                f"{title} ({len(rows)}):",
                "",
                "| model | phase | the runtime's words |",
                "|---|---|---|",
            ]
            lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in rows[:LISTED]]
            lines += [f"and {len(rows) - LISTED} more"] if len(rows) > LISTED else []
    return lines


LISTED = 25


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")[:160]


def main() -> int:
    options = asked.arguments(__doc__.splitlines()[0], PAGE).parse_args()
    results = {target: figures(target, options) for target in asked.here(options.targets)}
    lines = [
        "# Phases: where models stop",
        "",
        f"Written by `make phases` (`python tools/conformance/phases.py`) on {datetime.now(UTC):%Y-%m-%d}.",
        "Small models of the generated corpora and the node tests of the onnx package, an even sample, "
        "loaded and run once; one whose inputs the",
        "reference does not take is loaded only. A process that dies while it loads tells no phase. "
        "`litert/gpu:alone` is the GPU without the CPU behind it.",
        "",
        "| target | runtime | models | failures predicted | false alarms | phase right |",
        "|---|---|---|---|---|---|",
        *(totals(target, found) for target, found in results.items()),
        *(line for target, found in results.items() for line in section(target, found)),
    ]
    notes = PAGE.parent / "notes" / PAGE.name
    lines += ["", notes.read_text(encoding="utf-8").rstrip()] if notes.is_file() else []
    options.page.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
