"""Predictions for older releases of TensorFlow's converter, on the calls that the newest converts.

    python tools/conformance/converter_figures.py

Reads the answers that ``tools/derive/converter_releases.py tensorflow`` keeps below .work/releases, predicts
each call with ``litert/builtins@RELEASE`` and ``litert/flex@RELEASE``, and writes
docs/conformance/releases/litert_builtins.json and litert_flex.json, of which
``tools/conformance/releases.py --summary`` makes the page.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "derive"))
sys.path.insert(0, str(Path(__file__).parents[1] / "dev"))
from converter_releases import CONVERTERS, drawn
from tf_compare import ELSEWHERE, TAKES, predicted
from tf_questions import Question
from wheels import HOME

OUT = Path(__file__).parents[2] / "docs" / "conformance" / "releases"


def main() -> None:
    calls = [Question.read(text) for _, _, text, _ in drawn(CONVERTERS["tensorflow"])]
    for target, takes in TAKES.items():
        releases = {}
        for release in CONVERTERS["tensorflow"].releases:
            kept = HOME / f"tensorflow-{release}.answers.json"
            if kept.is_file() and len(answers := json.loads(kept.read_text("utf-8"))) == len(calls):
                releases[release] = compared(calls, answers, f"{target}@{release}", takes)
                print(
                    target, release, f"{releases[release]['corpora']['calls']['agreement']:.2%}", flush=True
                )
        told = {"target": target, "releases": releases}
        path = OUT / f"{target.replace('/', '_')}.json"
        path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def compared(
    calls: list[Question], answers: list[str], target: str, takes: tuple[str, ...]
) -> dict[str, Any]:
    """The figures of one release; a call that killed the converter, or that it rejected for something else
    than the operator, is no answer.
    """
    pairs = Counter[tuple[str, str]]()
    wrong = Counter[tuple[str, str, str, str]]()
    asked = [
        (call, answer)
        for call, answer in zip(calls, answers, strict=True)
        if answer not in ("crash", "other") and not call.op.startswith(ELSEWHERE)
    ]
    for (call, answer), (verdict, rule) in zip(
        asked, predicted([call for call, _ in asked], target), strict=True
    ):
        said = verdict if verdict in ("accelerated", "unknown") else "rejected"
        actual = "accelerated" if answer in takes else "rejected"
        pairs[said, actual] += 1
        if said != actual:
            wrong[call.op, said, actual, rule] += 1
    total = sum(pairs.values())
    rejected = sum(count for (_, actual), count in pairs.items() if actual == "rejected")
    figures = {
        "models": {"ok": total},
        "operators": total,
        "unmapped": len(calls) - total,
        "agreement": sum(count for (said, actual), count in pairs.items() if said == actual) / total,
        "false_accelerated": pairs["accelerated", "rejected"] / total,
        "unknown": sum(count for (said, _), count in pairs.items() if said == "unknown") / total,
        "refusals": {
            "refused": rejected,
            "refused_predicted": pairs["rejected", "rejected"],
            "false_alarms": pairs["rejected", "accelerated"],
            "loaded": total - rejected,
        },
        "partitions": {"right": 0, "told": 0},
        "wrong": [
            [op, said, actual, rule, "", count] for (op, said, actual, rule), count in wrong.most_common(25)
        ],
    }
    return {"date": str(date.today()), "listed": True, "corpora": {"calls": figures}}


if __name__ == "__main__":
    main()
