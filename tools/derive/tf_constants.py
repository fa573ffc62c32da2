"""Ask TensorFlow's converter what it computes ahead of time: raw operators whose operands are constants.

    python tools/derive/tf_constants.py TABLE.tsv [--ops Abs,Erf] [--write]

Every call that ``tf_convertible.tsv`` tells of is made again with each operand stored, for two roads to the
converter: a SavedModel, and a function whose variables were frozen (TensorFlow's grappler runs on that one
alone). Operators with state, without operands, or with references or handles are never computed ahead of
time and are not asked about. One line per operator: the answer for each road, whether TensorFlow itself runs
the call, and the call. ``--write`` puts the operators that are computed into the table of the policy; of
those whose call is wrong for every kernel, the ones that have a kernel for the CPU.

``folded``: no operator of the TFLite model writes its results; ``kept``: one does; ``nothing``: it has none;
``flex``, ``custom``, ``illegal``, ``other`` and ``crash``: what refused it, as ``tf_asking.py`` has them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import textwrap
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tf_asking import Answer, Worker, blockers, function_of
from tf_convertible import by_operator, read
from tf_questions import HANDLES, Input, Question, build, definition, shown

HOME = Path(__file__).parent
ROADS = ("savedmodel", "function")
CHUNK = 120
"""Calls whose answers are written down together."""
TITLE = "# operator, answer for a SavedModel, for a frozen function (TensorFlow 2.21.0), runs, the call"
POLICY = HOME.parents[1] / "analyzer" / "policies" / "tensorflow.toml"
HEAD = """# What TensorFlow's converter computes ahead of time.
# Written by tools/derive/tf_constants.py --write from tf_constants.tsv.

[head]
runtime = "tensorflow"
policy = "folding/tensorflow"
dialect = "tf"

[head.tensors]
"*" = "float32[2,3]"
c = "const float32[2,3]"

[source.converter]
package = "tensorflow"
version = "2.21.0"
date = "2026-11-30"
evidence = "measured"

[[table]]
name = "kernels"
source = "converter"
since = "2.21.0"
note = "Types without state that a kernel of the CPU evaluates where all operands are known."
"""
EXAMPLE = """
[[table.examples]]
graph = ["a = {member}(c, c)", "b = AddV2(x, a)"]
of = "view"
others = ["RandomUniform", "ReadVariableOp", "Placeholder"]
gives = "without a"
otherwise = ""
"""
LOOK = (
    "Batch", "BatchFunction", "CheckPinned", "DebugIdentity", "DebugNanCount", "DebugNumericSummary",
    "Enter", "Exit", "LoopCond", "Merge", "NextIteration", "Switch",
)  # fmt: skip
"""Operators that look at values, wait for others or steer: none is computed by itself."""
_HANDLES = (20, 21)
"""DT_RESOURCE, DT_VARIANT."""


def main() -> None:
    """Ask about all operators, or those named, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--ops", default="")
    parser.add_argument("--write", action="store_true", help="write the policy's table from TABLE.tsv")
    options = parser.parse_args()
    if options.write:
        _write(read(options.out))
        return
    known: dict[str, Sequence[str]] = {}
    if options.out.exists():
        known = {row[0]: row for row in read(options.out)}
    told = by_operator(read(HOME / "tf_convertible.tsv"))
    askable = [op for op, rows in told.items() if rows[0][2] and plain(op)]
    waiting = options.ops.split(",") if options.ops else [op for op in askable if op not in known]
    asker, workers = Worker(), {road: Worker(__file__, batch=24, road=road) for road in ROADS}
    for start in range(0, len(waiting), CHUNK):
        found = [stored(Question.read(told[op][0][2])) for op in waiting[start : start + CHUNK]]
        calls = [call for call in found if call is not None]
        calls = [call for call, good in zip(calls, asker.accepted(calls), strict=True) if good]
        answers = [workers[road].ask(calls) for road in ROADS]
        for call, ran, *both in zip(calls, asker.runs(calls), *answers, strict=True):
            known[call.op] = (call.op, *(answer for answer, _ in both), ran.partition(":")[0], call.text())
        lines = [TITLE, *("\t".join(known[op]) for op in sorted(known))]
        options.out.write_text("\n".join(lines) + "\n")
    for worker in (asker, *workers.values()):
        worker.close()


def plain(op: str) -> bool:
    """Whether an operator may be computed ahead of time: no state, and values alone in and out."""
    found = definition(op)
    if found is None or found.is_stateful or not found.input_arg:
        return False
    return not any(arg.is_ref or arg.type in _HANDLES for arg in (*found.input_arg, *found.output_arg))


def stored(question: Question) -> Question | None:
    """The call with every operand stored; None where one is a resource, or has no size."""
    inputs: list[Any] = []
    for item in question.inputs:
        texts = [_stored(text) for text in (item if isinstance(item, list) else [item])]
        if None in texts:
            return None
        inputs.append(texts if isinstance(item, list) else texts[0])
    return question.changed(inputs=inputs)


def _stored(text: str) -> str | None:
    item = Input.read(text)
    if item.stored or item.dtype == "variant":
        return text
    if item.dtype in HANDLES or item.shape is None:
        return None
    return f"=@{','.join(str(dim or 1) for dim in item.shape)}@{item.dtype}"


# ---- the policy's table --------------------------------------------------------------------


def _write(rows: Sequence[Sequence[str]]) -> None:
    """Operators that have not been asked about yet count by their kernels alone."""
    told = {row[0]: row for row in rows}
    others = (op for op in by_operator(read(HOME / "tf_convertible.tsv")) if op not in told)
    members = [op for op in told if _ahead(told[op])]
    members += [op for op in others if op not in LOOK and plain(op) and _kernel(op)]
    lines = textwrap.wrap(", ".join(f'"{op}"' for op in sorted(members)), 140)
    POLICY.write_text(HEAD + "members = [\n    " + "\n    ".join(lines) + ",\n]\n" + EXAMPLE)
    print(len(members), "operators,", len(told), "asked about")


def _ahead(row: Sequence[str]) -> bool:
    """Whether the converter computes an operator: it did, or it has a kernel that did not take the call."""
    op, answer, _, runs, _ = row
    if answer == "folded":
        return True
    return answer in ("flex", "custom", "kept") and runs == "refused" and op not in LOOK and _kernel(op)


def _kernel(op: str) -> bool:
    from tensorflow.python.framework import kernels

    return any(kernel.device_type == "CPU" for kernel in kernels.get_registered_kernels_for_op(op).kernel)


# ---- in the worker -------------------------------------------------------------------------


def _work() -> None:
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        request = json.loads(line)
        found = convert([Question.read(text) for text in request["ask"]], request["road"])
        print("@answer " + json.dumps(found), flush=True)


def convert(questions: list[Question], road: str) -> list[Answer]:
    """The answers to a batch; halved where a refusal cannot be told to be of one node."""
    print(f"@at {questions[0].op if len(questions) == 1 else ''}", flush=True)
    try:
        return [(answer, "") for answer in _made(questions, road)]
    except Exception as error:
        answers = blockers(error, questions)
        if answers is None and len(questions) == 1:
            return [("other", " ".join(str(error).split())[:200])]
        if answers is not None and len(questions) == 1 and answers[0][0]:
            return answers
        known_to_block = [
            answers is not None and bool(item[0]) for item in answers or [("", "")] * len(questions)
        ]
    if any(known_to_block) and answers is not None:
        rest = [question for question, bad in zip(questions, known_to_block, strict=True) if not bad]
        told = iter(convert(rest, road) if rest else [])
        return [answer if bad else next(told) for answer, bad in zip(answers, known_to_block, strict=True)]
    half = len(questions) // 2
    return convert(questions[:half], road) + convert(questions[half:], road)


def _made(questions: Sequence[Question], road: str) -> list[str]:
    """``folded`` or ``kept`` for each call of a model that converts."""
    import tensorflow as tf

    if road == "function":
        function = function_of(questions)
        data = tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()
    else:
        with tempfile.TemporaryDirectory() as folder:
            module = tf.Module()
            function = module.call = function_of(questions)
            tf.saved_model.save(module, folder, signatures={"serving_default": _named(function)})
            data = tf.lite.TFLiteConverter.from_saved_model(
                folder, signature_keys=["serving_default"]
            ).convert()
    written = _written(tf, data)
    counts = [_results(question) for question in questions]
    starts = [1 + sum(counts[:place]) for place in range(len(counts))]
    return [
        "nothing" if not count else "kept" if any(written[start : start + count]) else "folded"
        for start, count in zip(starts, counts, strict=True)
    ]


def _named(function: Any) -> Any:
    """The function with a name for each result that sorts as they are given."""
    import tensorflow as tf

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([4], "float32", name="x")])
    def named(x: Any) -> Any:
        return {f"r{place:04d}": value for place, value in enumerate(tf.nest.flatten(function(x)))}

    return named


def _written(tf: Any, data: bytes) -> list[bool]:
    """Whether an operator writes a result, in the order of results."""
    interpreter = tf.lite.Interpreter(
        model_content=data, experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF
    )
    writes = {index for op in interpreter._get_ops_details() for index in op["outputs"]}
    signatures = interpreter._get_full_signature_list()
    if signatures:
        named = next(iter(signatures.values()))["outputs"]
        places = [index for _, index in sorted(named.items())]
    else:
        places = [item["index"] for item in interpreter.get_output_details()]
    return [place in writes for place in places]


def _results(question: Question) -> int:
    import tensorflow as tf

    with tf.Graph().as_default():
        return len(shown(build(question, {}, "q"), "q", question.first))


if __name__ == "__main__":
    main() if len(sys.argv) > 1 else _work()
