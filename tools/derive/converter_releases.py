"""Ask older releases of TensorFlow's converter and of coremltools about the calls that the newest converts.

    python tools/derive/converter_releases.py tensorflow|coremltools [RELEASE ...]

Each release is installed with what it needs below .work/releases and asked, in a process of its own, about
the table's call of every operator that converts and about each element type of it that converts
(``tf_convertible.tsv``, ``coreml_convertible.tsv``). Answers are kept below .work/releases, so an interrupted
run goes on. Writes ``tf_releases.tsv`` or ``coreml_releases.tsv`` beside this file: operator, element type,
the answer of the newest release, and by release what was answered otherwise.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "dev"))
from accelint.rules.versions import version_key
from tf_convertible import by_operator, read, variations
from tf_questions import Calls, Question
from wheels import HOME, packages, whole

HERE = Path(__file__).parent
PORTION = 240
"""Calls that are asked about before their answers are written down."""
Call = tuple[str, str, str, str]
"""Operator, element type (empty: the table's own call), the call as text, the newest release's answer."""


@dataclass(frozen=True)
class Converter:
    """A converter over its releases.

    Attributes:
        newest: the release of the table.
        good: answers of the table that are asked about; the first of them also by element type.
        folders: the packages of a release.
        script: what asks; empty for TensorFlow's own converter.
    """

    newest: str
    table: Path
    out: Path
    releases: tuple[str, ...]
    good: tuple[str, ...]
    folders: Callable[[str], list[Path]]
    script: str = ""


def _coremltools(release: str) -> list[Path]:
    """Releases before 8.0 hold protobuf code that TensorFlow 2.21's protobuf does not load."""
    old = [whole("tensorflow-cpu==2.15.1")] if version_key(release) < (8, 0) else []
    return packages(f"coremltools=={release}") + old


CONVERTERS = {
    "tensorflow": Converter(
        "2.21.0",
        HERE / "tf_convertible.tsv",
        HERE / "tf_releases.tsv",
        ("2.20.0", "2.19.1", "2.18.1", "2.17.1", "2.16.2", "2.15.1", "2.14.1"),
        ("builtin", "flex"),
        lambda release: [whole(f"tensorflow-cpu=={release}")],
    ),
    "coremltools": Converter(
        "9.0",
        HERE / "coreml_convertible.tsv",
        HERE / "coreml_releases.tsv",
        ("8.3.0", "8.2", "8.1", "8.0", "7.2", "7.1", "7.0"),
        ("converts",),
        _coremltools,
        str(HERE / "coreml_asking.py"),
    ),
}


def main() -> None:
    """Ask the releases, or the one that ``--ask`` names here, and write the table."""
    if sys.argv[1] == "--ask":
        _ask(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
        return
    name, *releases = sys.argv[1:]
    converter = CONVERTERS[name]
    calls = drawn(converter)
    told = {}
    for release in releases or converter.releases:
        questions = HOME / f"{name}-{release}.questions.json"
        questions.write_text(json.dumps([text for _, _, text, _ in calls]), encoding="utf-8")
        told[release] = _answers(name, release, questions)
        others = sum(call[3] != answer for call, answer in zip(calls, told[release], strict=True))
        print(f"{name} {release}: {others} of {len(calls)} answers differ from {converter.newest}")
    lines = [f"# what {name} {', '.join(told)} answer otherwise than {converter.newest}"]
    for place, (op, kind, _, answer) in enumerate(calls):
        other = [f"{release}={found[place]}" for release, found in told.items() if found[place] != answer]
        if other:
            lines.append("\t".join((op, kind, answer, *other)))
    converter.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def drawn(converter: Converter) -> list[Call]:
    """The calls, in the table's order."""
    found: list[Call] = []
    for op, rows in by_operator(read(converter.table)).items():
        base = next((row for row in rows if row[1] == "" and row[2]), None)
        if base is None or base[3] not in converter.good:
            continue
        found.append((op, "", base[2], base[3]))
        best = converter.good[0]
        kinds = {row[2] for row in rows if row[1] == Calls(op).primary and row[3] == best}
        if base[3] == best and kinds:
            found += [
                (op, value, item.text(), best)
                for what, value, item in variations(Calls(op), Question.read(base[2]))
                if what == Calls(op).primary and value in kinds
            ]
    return found


def _answers(name: str, release: str, questions: Path) -> list[str]:
    """What a release answers, asked in a process that finds it before the installed one."""
    kept = HOME / f"{name}-{release}.answers.json"
    folders = os.pathsep.join(str(folder.resolve()) for folder in CONVERTERS[name].folders(release))
    paths = {**os.environ, "PYTHONPATH": folders, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, __file__, "--ask", name, str(questions), str(kept)]
    subprocess.run(command, env=paths, check=True)
    answers: list[str] = json.loads(kept.read_text(encoding="utf-8"))
    return answers


def _ask(name: str, questions: Path, kept: Path) -> None:
    from tf_asking import Worker

    texts = json.loads(questions.read_text(encoding="utf-8"))
    answers = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else []
    script = CONVERTERS[name].script
    worker = Worker(script, batch=40, mixed=True, target="iOS15") if script else Worker()
    while len(answers) < len(texts):
        portion = [Question.read(text) for text in texts[len(answers) : len(answers) + PORTION]]
        answers += [answer for answer, _ in worker.ask(portion)]
        kept.write_text(json.dumps(answers), encoding="utf-8")
        print(f"{len(answers)} of {len(texts)}", flush=True)
    worker.close()


if __name__ == "__main__":
    main()
