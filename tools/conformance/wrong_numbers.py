"""`make numbers`: what runtimes compute otherwise than the reference, beyond rounding, beside the findings
that say so (ACL701).

    python tools/conformance/wrong_numbers.py [TARGET ...] [--limit N] [--ops TYPE,TYPE] [--kept]

Each model of the generated corpora is run once on the target and once on the reference, on the same inputs
(`asked.py`); of those that the accelerator runs a part of, the outputs are compared. Writes
docs/conformance/numbers.md.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

import asked

PAGE = asked.ROOT / "docs" / "conformance" / "numbers.md"
REFERENCES = ("onnxruntime/cpu", "litert/gpu:alone")
"""A reference, and a target whose numbers are those of another."""
SHOWN = 3
"""Models that a row names."""


@dataclass
class Figures:
    """Of one target."""

    models: int = 0
    compared: int = 0
    beyond: int = 0
    """Differ where the right result is beyond float16, on a target that computes in it."""
    undefined: int = 0
    """Differ only where the reference has no number (a logarithm of a negative value)."""
    said: int = 0
    """Differ, and a rule says so."""
    told: Counter[str] = field(default_factory=Counter)
    untold: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """By the types that the accelerator ran: model and what differs."""
    quiet: Counter[str] = field(default_factory=Counter)
    """Rules that speak of models whose numbers agree on these inputs."""


def figures(target: str, options: argparse.Namespace) -> Figures:
    """Asks what is not known yet."""
    found = Figures()
    for row in asked.rows(target, options):
        found.models += 1
        if row.told["differs"] is None or not row.told["accelerated"] or asked.chance(row.model.graph):
            continue
        found.compared += 1
        rules = {item.rule for item in asked.prediction(row).findings if item.code == "ACL701"}
        if not row.told["differs"]:
            found.quiet.update(rules)
        elif rules:
            found.said += 1
            found.told.update(rules)
        elif all(undefined(problem) for problem in row.told["differs"]):
            found.undefined += 1
        elif row.told["largest"] > asked.HALF_MAX and row.chosen.pack.precision == "float16":
            found.beyond += 1
        else:
            kind = ", ".join(item for item in row.told["accelerated"] if item not in QDQ) or "QDQ"
            found.untold.setdefault(kind, []).append((row.item.name, row.told["differs"][0]))
    return found


def undefined(problem: str) -> bool:
    """Whether all that differs is that the target has numbers where the reference has none."""
    return (
        re.search(r" NaN or infinite elements differ \(NaN [1-9]\d* -> 0, infinite (\d+) -> \1\)", problem)
        is not None
    )


QDQ = ("QuantizeLinear", "DequantizeLinear")


def section(target: str, found: Figures) -> list[str]:
    """A target's part of the page."""
    lines = ["", f"## {target}", ""]
    if found.told or found.quiet:
        lines += [
            "| rule (ACL701) | models whose numbers differ | models whose numbers agree on these inputs |"
        ]
        lines += ["|---|---|---|"]
        rules = sorted({*found.told, *found.quiet})
        lines += [f"| {rule} | {found.told[rule]} | {found.quiet[rule]} |" for rule in rules] + [""]
    if not found.untold:
        return [*lines, "Nothing differs that no rule says."]
    lines += ["Differs and no rule says so:", "", "| operators | models | for example | what differs |"]
    lines += ["|---|---|---|---|"]
    for kind, rows in sorted(found.untold.items(), key=lambda entry: (-len(entry[1]), entry[0])):
        names = ", ".join(f"`{name}`" for name, _ in rows[:SHOWN])
        lines.append(f"| {kind} | {len(rows)} | {names} | {rows[0][1]} |".replace("\n", " "))
    return lines


def totals(target: str, found: Figures) -> str:
    """A target's row in the table of totals."""
    untold = sum(map(len, found.untold.values()))
    agree = found.compared - untold - found.beyond - found.undefined - found.said
    cells = [
        target,
        asked.version(target),
        found.models,
        found.compared,
        agree,
        found.said,
        found.undefined,
        found.beyond,
        untold,
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> int:
    options = asked.arguments(__doc__.splitlines()[0], PAGE).parse_args()
    results = {
        target: figures(target, options) for target in asked.here(options.targets) if target not in REFERENCES
    }
    lines = [
        "# Numbers: what differs from the reference",
        "",
        "Written by `make numbers` (`python tools/conformance/wrong_numbers.py`) on "
        f"{datetime.now(UTC):%Y-%m-%d}.",
        "Small models of the generated corpora, an even sample, each run once on the target and once on the "
        "reference (ONNX Runtime's CPU",
        "provider, LiteRT's own kernels) on the same inputs: floats are eighths in [-4, 4) without 0, which "
        "float16 has exactly. Compared are those of",
        "which the accelerator runs a part; tolerances are those of `analyzer/proof/parity.py`.",
        "",
        "| target | runtime | models | compared | agree | differ as a rule says | reference is NaN "
        "| right result beyond float16 | differ and no rule says so |",
        "|---|---|---|---|---|---|---|---|---|",
        *(totals(target, found) for target, found in results.items()),
        *(line for target, found in results.items() for line in section(target, found)),
    ]
    notes = PAGE.parent / "notes" / PAGE.name
    lines += ["", notes.read_text(encoding="utf-8").rstrip()] if notes.is_file() else []
    options.page.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
