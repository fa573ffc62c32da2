"""Hold the Core ML packs against the measured programs and write docs/conformance/coreml_ane.md.

Run: python tools/conformance/coreml_cases.py [output.md]
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from accelint.analyzer.check.run import check
from accelint.analyzer.conform.corpora.mil.cases import programs, read_table, said
from accelint.analyzer.conform.corpora.mil.corpus import cases
from accelint.rules.registry import choose

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "conformance" / "coreml_ane.md"
MARK = "## Conflicts between sources"


def confusion(device: str) -> tuple[Counter[tuple[str, str]], list[str]]:
    """(measured, predicted) counts over the operators of all cases, and the names of the cases that
    disagree.
    """
    chosen = choose(f"coreml/{device}")
    counts: Counter[tuple[str, str]] = Counter()
    wrong = []
    for measured in read_table():
        for program in programs(measured.name):
            verdicts = {op.id: op.verdict.value for op in check(program.graph, chosen).operators}
            for id in program.asked:
                expected = said(measured, device, program, id) or "not run"
                counts[expected, verdicts[id]] += 1
                if expected not in ("not run", verdicts[id]):
                    wrong.append(f"{measured.name}: measured {expected}, predicted {verdicts[id]}")
    return counts, wrong


def table(device: str) -> list[str]:
    counts, wrong = confusion(device)
    columns = ("accelerated", "fallback", "unknown")
    told = sum(count for (measured, _), count in counts.items() if measured in ("accelerated", "fallback"))
    right = sum(
        count
        for (measured, predicted), count in counts.items()
        if measured == predicted and measured in ("accelerated", "fallback")
    )
    lines = [
        f"### coreml/{device}",
        "",
        f"{right} of {told} operators with a measured answer are predicted as measured.",
        "",
    ]
    lines += [
        "| measured | " + " | ".join(f"predicted {name}" for name in columns) + " |",
        "|---|" + "---|" * len(columns),
    ]
    for measured in ("accelerated", "fallback", "unknown", "not run"):
        row = [counts[measured, name] for name in columns]
        if any(row):
            lines.append(f"| {measured} | " + " | ".join(map(str, row)) + " |")
    return [*lines, "", *(f"- {item}" for item in wrong), *([""] if wrong else [])]


def main(page: Path) -> None:
    pack = choose("coreml/ane").pack
    rows = read_table()
    head = [
        "# Core ML on the Neural Engine: the packs against measured programs",
        "",
        f"{len(rows)} cases, {len(list(cases()))} programs. Data of the packs: {pack.runtime} "
        f"{pack.version}, {pack.date}. "
        "Made by `python tools/conformance/coreml_cases.py`.",
        "",
        "The answers were measured by others on an M4 with macOS 27.0.1 "
        "(`rules/packs/coreml_ane/cases.tsv` names the source) and are what",
        "MLComputePlan lists as supported. The programs are built again from the names of the "
        "cases; nothing here was run on a Mac.",
        "The packs were written with these answers in view, so the agreement says that the "
        "rules state them, not that they generalize.",
        "",
        *table("ane"),
        *table("gpu"),
    ]
    old = page.read_text(encoding="utf-8") if page.is_file() else ""
    tail = MARK + old.partition(MARK)[2] if MARK in old else MARK + "\n"
    page.write_text("\n".join(head) + tail, encoding="utf-8")
    print("\n".join(head))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE)
