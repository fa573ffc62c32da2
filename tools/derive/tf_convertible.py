"""Ask TensorFlow's converter about every raw operator: TFLite builtin, Select TF op, neither, or not to be
asked.

    python tools/derive/tf_convertible.py TABLE.tsv [--ops Abs,Erf]      (operators that TABLE.tsv tells of
    are not asked again)

Every operator that TensorFlow registers is called in ways that its shape function takes
(``tf_questions.py``), for the element types that its first type attribute allows. Of an operator that has a
builtin, everything else is varied then, one thing at a time: the other type attributes, every enumerated or
boolean attribute, integers and lists of integers, ranks, open shapes, and which inputs are stored.

One line per answer: operator, what was varied (empty: the call itself), its value, answer, detail; of an
operator without a builtin, element types only where their answer differs. ``refused`` stands for a Select TF
op that the converter does not convert with Select TF ops either.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tf_asking import Answer, Worker
from tf_questions import EDGE, HANDLES, INNER, Calls, Input, Question, default, definition

TABLE = Path(__file__).parents[2] / "analyzer" / "formats" / "tf" / "ops.tsv"
GOOD = ("builtin", "converts")
ORDER = [*GOOD, "flex", "custom", "illegal", "refused", "other", "crash"]
INTS = (-1, 0, 1, 2, 3, 4, 8)
INT_LISTS = (
    [],
    [1],
    [1, 1],
    [1, 1, 1],
    [1, 1, 1, 1],
    [1, 2, 2, 1],
    [1, 2, 1, 1],
    [2, 1, 1, 2],
    [1, 1, 2, 2],
    [1, 1, 1, 1, 1],
    [1, 2, 2, 2, 1],
)
EVERY = (*EDGE, *INNER, *HANDLES)
FLOATS = (0.0, 0.5, 1.0)
CHUNK = 48
"""Operators that are asked about together."""
Row = tuple[str, str, str, str, str]
Ask = Callable[[Sequence[Question]], list[Answer]]


def main() -> None:
    """Ask for all operators, or those named, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--ops", default="")
    options = parser.parse_args()
    listed = [
        line.split("\t")[0] for line in TABLE.read_text().splitlines() if line and not line.startswith("#")
    ]
    rows = read(options.out) if options.out.exists() else []
    known = {row[0] for row in rows}
    waiting = options.ops.split(",") if options.ops else [op for op in listed if op not in known]
    rows = [row for row in rows if row[0] not in waiting]
    worker, select = Worker(), Worker(select=True)
    title = "# operator, what was varied, value, answer of TensorFlow 2.21.0's converter, detail"
    for start in range(0, len(waiting), CHUNK):
        rows += told(
            waiting[start : start + CHUNK], worker, partial(with_select, worker=worker, select=select)
        )
        write(rows, options.out, title)
    worker.close()
    select.close()


def read(path: Path) -> list[Row]:
    """The table's lines."""
    return [tuple(line.split("\t")) for line in path.read_text().splitlines() if not line.startswith("#")]  # type: ignore[misc]


def write(rows: Sequence[Row], path: Path, title: str) -> None:
    """Write the table, sorted."""
    path.write_text("\n".join([title, *("\t".join(row) for row in sorted(set(rows)))]) + "\n")


Passed = Callable[[str, str], bool]


def told(
    ops: Sequence[str], worker: Worker, ask: Ask, kinds: Sequence[str] = EVERY, passed: Passed | None = None
) -> list[Row]:
    """Everything that a converter tells about some operators. ``worker`` makes the calls, ``ask`` answers.

    ``kinds`` are the element types that are asked about; what ``passed`` says of is not varied.
    """
    rows: list[Row] = []
    found: dict[str, dict[str, list[Question]]] = {}
    for op in ops:
        calls = worker.calls(op, _dtypes(Calls(op), kinds)) if definition(op) is not None else {}
        why = (
            "TensorFlow dies of the call"
            if calls is None
            else "no inputs that its shape function takes"
            if calls
            else "not registered"
        )
        if calls and any(calls.values()):
            found[op] = calls
        else:
            rows.append((op, "", "", "not-askable", why))
    best = _base(found, ask)
    varied: list[tuple[str, str, Question]] = []
    for op, answers in best.items():
        primary = Calls(op).primary
        question, answer = next(
            (item for item in answers.values() if item[1][0] in GOOD), next(iter(answers.values()))
        )
        rows.append((op, "", question.text(), *answer))
        telling = [
            (kind, item[1]) for kind, item in answers.items() if answer[0] in GOOD or item[1][0] != answer[0]
        ]
        rows += [(op, primary, kind, *told_of) for kind, told_of in telling if primary]
        if answer[0] in GOOD:
            varied += [
                (what, value, item)
                for what, value, item in variations(Calls(op), question)
                if what != primary
            ]
    varied = [item for item in varied if passed is None or not passed(*item[:2])]
    takes = worker.accepted([item for _, _, item in varied])
    varied = [item for item, accepted in zip(varied, takes, strict=True) if accepted]
    answers = ask([item for _, _, item in varied])
    return rows + [
        (item.op, what, value, *answer) for (what, value, item), answer in zip(varied, answers, strict=True)
    ]


def _dtypes(calls: Calls, kinds: Sequence[str]) -> list[str]:
    if not calls.primary:
        return [""]
    return [kind for kind in kinds if kind in calls.allowed(calls.primary)] or [""]


def _base(
    found: dict[str, dict[str, list[Question]]], ask: Ask
) -> dict[str, dict[str, tuple[Question, Answer]]]:
    """The best answer of each operator for each element type, with the call that got it.

    Three types are asked in every way; once none has a builtin, the others are asked in one.
    """
    best: dict[str, dict[str, tuple[Question, Answer]]] = {op: {} for op in found}
    for turn in range(2):
        flat = []
        for op, calls in found.items():
            kinds = [kind for kind, questions in calls.items() if questions]
            most = 99 if not turn or any(answer[0] in GOOD for _, answer in best[op].values()) else 1
            flat += [
                (kind, question)
                for kind in (kinds[3:] if turn else kinds[:3])
                for question in calls[kind][:most]
            ]
        for (kind, question), answer in zip(flat, ask([question for _, question in flat]), strict=True):
            old = best[question.op].get(kind)
            if old is None or ORDER.index(answer[0]) < ORDER.index(old[1][0]):
                best[question.op][kind] = question, answer
    return best


def with_select(questions: Sequence[Question], worker: Worker, select: Worker) -> list[Answer]:
    """TensorFlow's answers; a Select TF op that does not convert as one is ``refused``."""
    answers = worker.ask(questions)
    flex = [place for place, answer in enumerate(answers) if answer[0] == "flex"]
    for place, answer in zip(flex, select.ask([questions[place] for place in flex]), strict=True):
        if answer[0] != "builtin":
            answers[place] = "refused", f"{answer[0]} with Select TF ops: {answer[1]}"[:160]
    return answers


# ---- one thing at a time -------------------------------------------------------------------


def variations(calls: Calls, question: Question) -> Iterator[tuple[str, str, Question]]:
    """What is varied, its value, and the call."""
    if len(calls.definition.output_arg) > 1:
        yield "outputs", "all", question.changed(first=False)
        yield "outputs", "first", question.changed(first=True)
    yield from _types(calls, question)
    yield from _attributes(calls, question)
    yield from _inputs(question)


def _types(calls: Calls, question: Question) -> Iterator[tuple[str, str, Question]]:
    for name, kind in question.types.items():
        if isinstance(kind, str):
            for other in calls.allowed(name):
                yield name, other, calls.retyped(question, name, other)


def _attributes(calls: Calls, question: Question) -> Iterator[tuple[str, str, Question]]:
    told_by_inputs = {
        name for arg in calls.args for name in (arg.type_attr, arg.number_attr, arg.type_list_attr)
    }
    for name, attr in calls.attrs.items():
        if name in told_by_inputs or name in question.types:
            continue
        values: Sequence[Any] = {
            "bool": (False, True),
            "int": INTS,
            "float": FLOATS,
            "list(int)": INT_LISTS,
        }.get(attr.type, ())
        if attr.type == "string":
            values = [item.decode() for item in attr.allowed_values.list.s]
        if attr.type in ("bool", "int", "float", "string", "list(int)") and attr.HasField("default_value"):
            values = [*values, *([default(attr)] if default(attr) not in values else [])]
        for value in values:
            yield name, json.dumps(value), question.changed(attrs={**question.attrs, name: value})


def _inputs(question: Question) -> Iterator[tuple[str, str, Question]]:
    """Ranks and open shapes of the computed inputs, together and one by one, and which inputs are stored."""
    flat = [(place, Input.read(item)) for place, item in enumerate(question.inputs) if isinstance(item, str)]
    computed = [(place, item) for place, item in flat if not item.stored and item.shape is not None]
    for rank in range(7):
        yield (
            "rank",
            str(rank),
            _with(question, {place: Input(item.dtype, (4,) * rank) for place, item in computed}),
        )
        for place, item in computed if len(computed) > 1 else ():
            yield f"input {place} rank", str(rank), _with(question, {place: Input(item.dtype, (4,) * rank)})
    opened = {
        "batch": lambda item: Input(item.dtype, (None, *(item.shape or (None,))[1:])) if item.shape else item,
        "all": lambda item: Input(item.dtype, (None,) * len(item.shape or ())),
        "rank": lambda item: Input(item.dtype),
    }
    for name, change in opened.items():
        yield "open", name, _with(question, {place: change(item) for place, item in computed})
        for place, item in computed if len(computed) > 1 else ():
            yield f"input {place} open", name, _with(question, {place: change(item)})
    for place, item in flat:
        if item.stored:
            yield (
                f"input {place}",
                "computed",
                _with(question, {place: Input(item.dtype, _shape_of(item.value))}),
            )
        elif item.shape is not None and None not in item.shape:
            text = f"=@{','.join(map(str, item.shape))}@{item.dtype}"
            inputs = [text if place == at else old for at, old in enumerate(question.inputs)]
            yield f"input {place}", "stored", question.changed(inputs=inputs)


def _with(question: Question, changed: dict[int, Input]) -> Question:
    return question.changed(
        inputs=[changed[place].text if place in changed else old for place, old in enumerate(question.inputs)]
    )


def _shape_of(value: Any) -> tuple[int, ...]:
    if isinstance(value, str) and value[:1] == "@":
        return tuple(int(dim) for dim in value[1:-1].split(",") if dim)
    return (
        (len(value), *_shape_of(value[0]))
        if isinstance(value, list) and value
        else (0,)
        if isinstance(value, list)
        else ()
    )


def by_operator(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The table's lines by operator."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row[0]].append(row)
    return dict(found)


if __name__ == "__main__":
    main()
