"""Repair of single ML Program operators, case by case: what `accelint fix` makes of those that the Neural
Engine does not run, by prediction, each change proved by the reference evaluation.

    python tools/conformance/mil_repair.py             # docs/conformance/mil_repair.md
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from accelint.analyzer.check.prepared import Prepared
from accelint.analyzer.conform.corpora import corpus
from accelint.analyzer.errors import AccelintError
from accelint.analyzer.flows.check_file import judged
from accelint.analyzer.flows.fix import fix
from accelint.analyzer.formats import load
from accelint.rules.registry import choose

PAGE = Path(__file__).parents[2] / "docs" / "conformance" / "mil_repair.md"
TARGET = "coreml/ane:m4"


def rows(folder: Path) -> list[dict[str, Any]]:
    """One row for each case that is not accelerated whole before."""
    chosen, found = choose(TARGET), []
    for item in corpus("mil", "cases"):
        file = folder / "case.mlmodel"
        file.write_bytes(item.data or b"")
        before = judged(Prepared(load(file)), chosen)
        if before.verdict == "full":
            continue
        row: dict[str, Any] = {"case": item.name, "before": before.verdict}
        try:
            result = fix(load(file), chosen)
            row["after"] = result.after.verdict
            row["kept"] = [step.rewrite for step in result.kept]
            words = dict.fromkeys(f"{item.rule}: {item.reason}" for item in result.left)
            row["left"] = "; ".join(words)[:160]
        except AccelintError as error:
            row |= {"after": before.verdict, "kept": [], "left": error.message[:160]}
        found.append(row)
        print(
            row["case"],
            row["before"],
            "->",
            row["after"],
            ", ".join(row["kept"]),
            file=sys.stderr,
            flush=True,
        )
    return found


def page(found: list[dict[str, Any]]) -> str:
    """The page."""
    whole = sum(1 for row in found if row["after"] == "full")
    counts = Counter(row["after"] for row in found)
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    lines = [
        "# Repair of single operators of ML Programs",
        "",
        "By `python tools/conformance/mil_repair.py`: the cases of the measured sweep (`coreml_ane.md`) that",
        f"a Neural Engine (`{TARGET}`) does not run whole by prediction, and what `accelint fix` makes of",
        "them.",
        "Each change that was kept is proved by the reference evaluation "
        f"(onnxruntime {version('onnxruntime')}), not by Core ML. {date.today().isoformat()}.",
        "",
        f"**{whole} of {len(found)} end whole** ({kinds}).",
        "",
        "| case | before | after | kept | what is left |",
        "|---|---|---|---|---|",
    ]
    for row in found:
        kept = ", ".join(row["kept"])
        left = row["left"].replace("|", "/").replace("\n", " ")
        lines.append(f"| {row['case']} | {row['before']} | {row['after']} | {kept} | {left} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the page."""
    with tempfile.TemporaryDirectory() as folder:
        PAGE.write_text(page(rows(Path(folder))), encoding="utf-8")


if __name__ == "__main__":
    main()
