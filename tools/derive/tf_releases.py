"""Ask older releases of TensorFlow's converter about the calls that the newest one converts.

    python tools/derive/tf_releases.py [RELEASE ...]

Each release is installed with what it needs below .work/releases and asked, in a process of its own, about the
table's call of every operator that is a builtin or a Select TF op (``tf_convertible.tsv``), and of a builtin
about each element type that converts. Answers are kept below .work/releases, so an interrupted run goes on.
Writes ``tf_releases.tsv`` beside this file: operator, element type, the answer of the newest release, and by
release what was answered otherwise.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "dev"))
from tf_convertible import by_operator, read, variations
from tf_questions import Calls, Question
from wheels import HOME, whole

TABLE = Path(__file__).with_name("tf_convertible.tsv")
OUT = TABLE.with_name("tf_releases.tsv")
RELEASES = ("2.20.0", "2.19.1", "2.18.1", "2.17.1", "2.16.2", "2.15.1", "2.14.1")
ASKED = ("builtin", "flex")
PORTION = 240
"""Calls that are asked about before their answers are written down."""
Call = tuple[str, str, str, str]
"""Operator, element type (empty: the table's own call), the call as text, the newest release's answer."""


def main() -> None:
    """Ask the releases, or the one that ``--ask`` names here, and write the table."""
    if sys.argv[1:2] == ["--ask"]:
        _ask(sys.argv[2], Path(sys.argv[3]))
        return
    calls = drawn()
    told = {}
    for release in sys.argv[1:] or RELEASES:
        questions = HOME / f"tensorflow-{release}.questions.json"
        questions.write_text(json.dumps([text for _, _, text, _ in calls]), encoding="utf-8")
        told[release] = _answers(release, questions)
        print(release, sum(1 for call, answer in zip(calls, told[release], strict=True) if call[3] != answer))
    lines = [f"# what TensorFlow's converter of {', '.join(told)} answers otherwise than 2.21.0"]
    for place, (op, kind, _, answer) in enumerate(calls):
        other = [f"{release}={found[place]}" for release, found in told.items() if found[place] != answer]
        if other:
            lines.append("\t".join((op, kind, answer, *other)))
    OUT.write_text("\n".join(lines) + "\n", encoding="utf-8")


def drawn() -> list[Call]:
    """The calls, in the table's order."""
    found: list[Call] = []
    for op, rows in by_operator(read(TABLE)).items():
        base = next((row for row in rows if row[1] == "" and row[2]), None)
        if base is None or base[3] not in ASKED:
            continue
        found.append((op, "", base[2], base[3]))
        good = {row[2] for row in rows if row[1] == Calls(op).primary and row[3] == "builtin"}
        if base[3] == "builtin" and good:
            found += [
                (op, value, item.text(), "builtin")
                for what, value, item in variations(Calls(op), Question.read(base[2]))
                if what == Calls(op).primary and value in good
            ]
    return found


def _answers(release: str, questions: Path) -> list[str]:
    """What a release answers, asked in a process that finds it before the installed one."""
    folder = whole(f"tensorflow-cpu=={release}")
    kept = HOME / f"tensorflow-{release}.answers.json"
    paths = {**os.environ, "PYTHONPATH": str(folder), "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, __file__, "--ask", str(questions), str(kept)], env=paths, check=True)
    answers: list[str] = json.loads(kept.read_text(encoding="utf-8"))
    return answers


def _ask(questions: str, kept: Path) -> None:
    from tf_asking import Worker

    texts = json.loads(Path(questions).read_text(encoding="utf-8"))
    answers = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else []
    worker = Worker()
    while len(answers) < len(texts):
        portion = [Question.read(text) for text in texts[len(answers) : len(answers) + PORTION]]
        answers += [answer for answer, _ in worker.ask(portion)]
        kept.write_text(json.dumps(answers), encoding="utf-8")
        print(f"{len(answers)} of {len(texts)}", flush=True)
    worker.close()


if __name__ == "__main__":
    main()
