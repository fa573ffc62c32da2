"""Hold the packs litert/builtins and litert/flex to TensorFlow's converter on fresh calls of raw operators.

    python benchmarks/tf_hold.py TABLE.tsv OUT.json [--seed N] [--each N] [--ops A,B] [--answers FILE]

A fresh call is one that the table's own call of an operator turns into when several things change at once (element types, attributes,
ranks, open shapes, stored inputs, sizes), drawn by ``--seed``. Every registered operator that could be called is drawn from alike, those
that have a builtin ``--each`` times, the others once. Answers are kept in ``--answers``, so that an edit of a pack is measured in seconds.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tf_asking import Worker
from tf_convertible import by_operator, read, variations, with_select
from tf_questions import Calls, Input, Question

TAKES = {"litert/builtins": ("builtin",), "litert/flex": ("builtin", "flex")}
ELSEWHERE = ("Erf", "Erfc", "HashTable", "LookupTable", "TensorList", "EmptyTensorList", "VarHandleOp")
"""Beginnings of operators that only their neighbours decide: the whole models tell (``tf_convertible_models.py``)."""
SOURCES = {"Const", "HostConst", "Placeholder", "PlaceholderV2", "PlaceholderWithDefault"}
"""Operators that stand for values and inputs."""
SIZES = (1, 2, 3, 5, 8)


def main() -> None:
    """Draw, ask, predict, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=30)
    parser.add_argument("--ops", default="")
    parser.add_argument("--answers", type=Path)
    options = parser.parse_args()
    rows = by_operator(read(options.table))
    if options.ops:
        rows = {op: found for op, found in rows.items() if op in options.ops.split(",")}
    kept = options.answers or options.out.with_suffix(".answers.jsonl")
    if not kept.exists():
        drawn = list(_drawn(rows, options.seed, options.each))
        kept.write_text("".join(json.dumps([question.text(), *answer]) + "\n" for question, answer in _asked(drawn)))
    asked = [json.loads(line) for line in kept.read_text().splitlines()]
    found = [(Question.read(text), answer, detail) for text, answer, detail in asked if '"func"' not in text]
    found = [item for item in found if not item[0].op.startswith(ELSEWHERE)]
    options.out.write_text(json.dumps(_compared(found), indent=1) + "\n")


# ---- drawing -------------------------------------------------------------------------------


def _drawn(rows: dict[str, Any], seed: int, each: int) -> Iterator[Question]:
    for op, found in rows.items():
        base = next((row for row in found if row[1] == "" and row[2]), None)
        if base is None or op in SOURCES:
            continue
        rng = random.Random(f"{seed} {op}")
        converts = any(row[3] == "builtin" for row in found)
        for _ in range(each if converts else 1):
            yield _changed(op, Question.read(base[2]), rng, rng.choice((0, 1, 1, 2, 2, 3)) if converts else 0)


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
        return Input(item.dtype, tuple(sizes.get(dim, dim) if dim is not None else None for dim in item.shape)).text

    inputs = [[one(text) for text in item] if isinstance(item, list) else one(item) for item in question.inputs]
    return question.changed(inputs=inputs)


def _asked(drawn: Sequence[Question]) -> list[tuple[Question, tuple[str, str]]]:
    """The converter's answers to those that TensorFlow takes, each question once."""
    worker, select = Worker(), Worker(select=True)
    fresh = list({question.text(): question for question in drawn}.values())
    fresh = [question for question, taken in zip(fresh, worker.taken(fresh), strict=True) if taken]
    answers = with_select(fresh, worker, select)
    for item in (worker, select):
        item.close()
    return list(zip(fresh, answers, strict=True))


# ---- comparing -----------------------------------------------------------------------------


def _compared(found: list[tuple[Question, str, str]]) -> dict[str, Any]:
    report: dict[str, Any] = {"questions": len(found), "operators": len({question.op for question, *_ in found})}
    for target, takes in TAKES.items():
        counts: Counter[str] = Counter()
        wrong = []
        for (question, answer, detail), (verdict, rules) in zip(found, predicted([item[0] for item in found], target), strict=True):
            if answer == "crash":
                outcome = "no answer"
            elif verdict == "unknown":
                outcome = "unknown"
            else:
                outcome = "right" if (verdict == "accelerated") == (answer in takes) else f"false {verdict}"
            counts[outcome] += 1
            if outcome != "right":
                wrong.append([outcome, question.text(), answer, detail[:80], rules])
        report[target] = {"counts": dict(counts), "wrong": wrong}
    return report


def predicted(questions: Sequence[Question], target: str) -> list[tuple[str, str]]:
    """The pack's verdict on each call, with the names of the rules behind it."""
    verdicts: list[tuple[str, str]] = []
    for start in range(0, len(questions), 200):
        verdicts += _predicted(questions[start : start + 200], target)
    return verdicts


def _predicted(questions: Sequence[Question], target: str) -> list[tuple[str, str]]:
    from accelint.analyzer.check import judge
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
