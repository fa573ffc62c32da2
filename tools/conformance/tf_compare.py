"""Hold the packs litert/builtins and litert/flex to TensorFlow's converter on fresh calls of raw operators.

    python tools/conformance/tf_compare.py TABLE.tsv OUT.json [--seed N] [--each N] [--most N] [--ops A,B]
    [--answers FILE] [--kept] [--write]

A fresh call is one that the table's own call of an operator turns into when several things change at once
(element types, attributes, ranks, open shapes, stored inputs, sizes), drawn by ``--seed``. Every registered
operator that could be called is drawn from alike, those that have a builtin ``--each`` times, the others
once. Answers are kept in ``--answers``, so that an edit of a pack is measured in seconds; ``--write`` puts
the figures into ``docs/conformance``.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "derive"))
from tf_asking import Worker
from tf_convertible import Row, by_operator, read, variations, with_select
from tf_figures import figures, save
from tf_questions import Calls, Input, Question

TAKES = {"litert/builtins": ("builtin",), "litert/flex": ("builtin", "flex")}
ELSEWHERE = ("Erf", "Erfc", "HashTable", "LookupTable", "TensorList", "EmptyTensorList", "VarHandleOp")
"""Beginnings of operators that only their neighbours decide: the whole models tell
(``tf_convertible_models.py``).
"""
SOURCES = {"Const", "HostConst", "Placeholder", "PlaceholderV2", "PlaceholderWithDefault"}
"""Operators that stand for values and inputs."""
SIZES = (1, 2, 3, 5, 8)
PORTION = 300
"""Calls that are asked about before their answers are written down."""
NO_CALL = "no call"
"""The answer to what TensorFlow's shape function refuses."""


def main() -> None:
    """Draw, ask, predict, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=30)
    parser.add_argument("--ops", default="")
    parser.add_argument("--answers", type=Path)
    parser.add_argument("--most", type=int, default=0, help="so many of the calls, drawn evenly")
    parser.add_argument("--kept", action="store_true", help="ask nothing: compare what the answers' file has")
    parser.add_argument("--write", action="store_true", help="write the figures into docs/conformance")
    options = parser.parse_args()
    rows = by_operator(read(options.table))
    if options.ops:
        rows = {op: found for op, found in rows.items() if op in options.ops.split(",")}
    kept = options.answers or options.out.with_suffix(".answers.jsonl")
    drawn = list(_drawn(rows, options.seed, options.each))
    if options.most:
        drawn = random.Random(options.seed).sample(drawn, min(options.most, len(drawn)))
    portions = 0 if options.kept else len(drawn)
    asked = _kept(kept, drawn, portions, {op for op, found in rows.items() if _converts(found)})
    found = [Asked(Question.read(text), *rest) for text, *rest in asked if '"func"' not in text]
    found = [item for item in found if not item.question.op.startswith(ELSEWHERE)]
    told = {target: _compared(found, target, takes) for target, takes in TAKES.items()}
    options.out.write_text(
        json.dumps({target: item["wrong"] for target, item in told.items()}, indent=1) + "\n"
    )
    command = (
        f"python tools/conformance/tf_compare.py tools/derive/tf_convertible.tsv OUT.json "
        f"--seed {options.seed} --each {options.each}"
    )
    command += f" --most {options.most} --write" if options.most else " --write"
    for target, item in told.items():
        print(target, item["counts"])
        if options.write:
            save(target, "generated", item["run"], command)


@dataclass(frozen=True, slots=True)
class Asked:
    """A call, the converter's answer, and whether TensorFlow's own kernel runs it."""

    question: Question
    answer: str
    detail: str
    runs: str = "open"


# ---- drawing -------------------------------------------------------------------------------


def _drawn(rows: dict[str, Any], seed: int, each: int) -> Iterator[Question]:
    for op, found in rows.items():
        base = next((row for row in found if row[1] == "" and row[2]), None)
        if base is None or op in SOURCES:
            continue
        rng = random.Random(f"{seed} {op}")
        converts = _converts(found)
        for _ in range(each if converts else 1):
            yield _changed(op, Question.read(base[2]), rng, rng.choice((0, 1, 1, 2, 2, 3)) if converts else 0)


def _converts(rows: Sequence[Row]) -> bool:
    """Whether some call of an operator has a builtin."""
    return any(row[3] == "builtin" for row in rows)


def _changed(op: str, question: Question, rng: random.Random, changes: int) -> Question:
    question = _resized(question, rng)
    for _ in range(changes):
        kinds: dict[str, list[Question]] = {}
        for what, _, changed in variations(Calls(op), question):
            kinds.setdefault(what, []).append(changed)
        question = rng.choice(kinds[rng.choice(sorted(kinds))]) if kinds else question
    return question


def _resized(question: Question, rng: random.Random) -> Question:
    """Other sizes in place of each size; equal ones stay equal."""
    sizes = {size: rng.choice(SIZES) for size in (2, 3, 4)} if rng.random() < 0.5 else {}

    def one(text: str) -> str:
        item = Input.read(text)
        if item.stored or item.shape is None:
            return text
        return Input(
            item.dtype, tuple(sizes.get(dim, dim) if dim is not None else None for dim in item.shape)
        ).text

    inputs = [
        [one(text) for text in item] if isinstance(item, list) else one(item) for item in question.inputs
    ]
    return question.changed(inputs=inputs)


def _kept(
    file: Path, drawn: Sequence[Question], portions: int, varied: set[str]
) -> list[tuple[str, str, str, str]]:
    """The answers in a file, which are asked for where it has none, at most so many portions: an interrupted
    run goes on where it was.

    TensorFlow itself is asked to run calls of ``varied`` operators; the others are called as in the table,
    and may block or write files.
    """
    fresh = list({question.text(): question for question in drawn}.values())
    known = {row[0]: row for row in map(json.loads, file.read_text().splitlines() if file.exists() else ())}
    waiting = [question for question in fresh if question.text() not in known]
    random.Random(1).shuffle(waiting)  # so that a batch has calls of many operators
    worker, select = Worker(), Worker(select=True)
    for start in range(0, len(waiting), PORTION)[:portions]:
        found = _asked(waiting[start : start + PORTION], varied, worker, select)
        known.update({row[0]: row for row in found})
        with file.open("a") as stream:
            stream.writelines(json.dumps(row) + "\n" for row in found)
    for item in (worker, select):
        item.close()
    rows = [known[question.text()] for question in fresh if question.text() in known]
    return [row for row in rows if row[1] != NO_CALL]


def _asked(
    questions: Sequence[Question], varied: set[str], worker: Worker, select: Worker
) -> list[tuple[str, str, str, str]]:
    """The converter's answers to those that TensorFlow's shape functions take, and whether TensorFlow runs
    them.
    """
    accepted = worker.accepted(questions)
    fresh = [question for question, good in zip(questions, accepted, strict=True) if good]
    run = [question for question in fresh if question.op in varied]
    runs = dict(zip([question.text() for question in run], worker.runs(run), strict=True))
    answers = with_select(fresh, worker, select)
    rows = [
        (question.text(), *answer, runs.get(question.text(), "open"))
        for question, answer in zip(fresh, answers, strict=True)
    ]
    return rows + [
        (question.text(), NO_CALL, "", "")
        for question, good in zip(questions, accepted, strict=True)
        if not good
    ]


# ---- comparing -----------------------------------------------------------------------------


def _compared(found: Sequence[Asked], target: str, takes: tuple[str, ...]) -> dict[str, Any]:
    """What is wrong by call, the counts of outcomes, and the figures as ``conform.py`` reads them.

    A call that TensorFlow's own kernel refuses (``tf_running.py``) is no call, whatever the converter or the
    pack says of it.
    """
    counts: Counter[str] = Counter()
    confusion: dict[str, Counter[str]] = {}
    wrong = []
    for item, (told, rules) in zip(found, predicted([item.question for item in found], target), strict=True):
        verdict = told if told in ("accelerated", "unknown") else "rejected"
        outcome = _outcome(item, verdict, takes)
        counts[outcome] += 1
        if outcome not in ("no answer", "invalid"):
            confusion.setdefault(verdict, Counter())[
                "accelerated" if item.answer in takes else "rejected"
            ] += 1
        if outcome not in ("right", "invalid"):
            wrong.append([outcome, item.question.text(), item.answer, item.detail[:80], rules])
    return {
        "wrong": wrong,
        "counts": dict(counts),
        "run": figures(confusion, invalid=counts["invalid"], unmapped=counts["no answer"]),
    }


def _outcome(item: Asked, verdict: str, takes: tuple[str, ...]) -> str:
    if item.runs.startswith("refused"):
        return "invalid"
    if item.answer == "crash":
        return "no answer"
    if verdict == "unknown":
        return "unknown"
    if item.answer == "other" and not _about(item):
        return "no answer"
    return "right" if (verdict == "accelerated") == (item.answer in takes) else f"false {verdict}"


def _about(item: Asked) -> bool:
    """Whether a refusal without a code is about the operator: its verifier names it, or what it became.

    The others are about the function around the call: one that Python could not trace, or the reader of a
    variant's result.
    """
    return (
        not item.detail.startswith("converts otherwise")
        and "'prune'" not in item.detail
        and "tf.DatasetCardinality" not in item.detail
    )


def predicted(questions: Sequence[Question], target: str) -> list[tuple[str, str]]:
    """The pack's verdict on each call, with the names of the rules behind it."""
    verdicts: list[tuple[str, str]] = []
    for start in range(0, len(questions), 200):
        verdicts += _predicted(questions[start : start + 200], target)
    return verdicts


def _predicted(questions: Sequence[Question], target: str) -> list[tuple[str, str]]:
    from accelint.analyzer.check.judge import judge
    from accelint.analyzer.formats import load
    from accelint.rules.registry import choose
    from tf_asking import graph_of

    graph, _, _ = graph_of(questions)
    chosen = choose(target)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "asked.pb"
        path.write_bytes(graph.as_graph_def(add_shapes=True).SerializeToString())
        model = load(path)
        operators = {op.name: op for op in model.graph.ops()}
        found = []
        for number in range(len(questions)):
            op = operators.get(f"q{number}")
            if op is None:  # a constant
                found.append(("accelerated", ""))
                continue
            verdict, findings = judge(model.graph, op, chosen)
            found.append((str(verdict.value), ", ".join(item.rule for item in findings)))
    return found


if __name__ == "__main__":
    main()
