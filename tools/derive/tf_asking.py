"""Ask TensorFlow's converter about calls of raw operators, many in one model, in worker processes that may
die.

``ask(questions)`` gives one answer each: ``builtin``, ``flex`` (refused, Select TF ops would take it),
``custom`` (neither), ``other`` (a refusal that is about something else), ``illegal`` (no mode takes it: a
type without a TFLite type, a TensorFlow 1 variable), ``crash``; with a detail. ``Worker`` keeps a process for
several calls.
"""

from __future__ import annotations

import json
import os
import queue
import re
import subprocess
import sys
import threading
import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from tf_questions import Calls, Question, build, shown, specs

BATCH = 24
"""Calls of one model: the converter tells all its refusals at once, by the names of the nodes."""
SECONDS = 100
"""Time for one batch, or for TensorFlow to start on a busy machine, before a worker is taken for hung."""

Answer = tuple[str, str]


class Worker:
    """A process that answers; started anew after a crash. ``script`` answers, with ``settings``."""

    def __init__(
        self, script: str = __file__, batch: int = BATCH, mixed: bool = False, **settings: Any
    ) -> None:
        self.script, self.batch, self.mixed, self.settings = script, batch, mixed, settings
        self._process: subprocess.Popen[str] | None = None
        self._killers: Counter[str] = Counter()
        self._at = ""
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._pump = threading.Thread()

    def ask(self, questions: Sequence[Question]) -> list[Answer]:
        """The converter's answers, in order.

        No two calls of one operator share a model, unless ``mixed``: TensorFlow's converter names one of them
        only. A call with a variable has a model of its own: one that stays a resource keeps the others from
        becoming builtins.
        """
        if self.mixed:
            starts = range(0, len(questions), self.batch)
            return [
                answer
                for start in starts
                for answer in self._batch(list(questions[start : start + self.batch]))
            ]
        answers: list[Answer] = [("", "")] * len(questions)
        waiting: dict[str, list[int]] = defaultdict(list)
        for place, question in enumerate(questions):
            if "resource" in question.inputs:
                answers[place] = self._batch([question])[0]
            else:
                waiting[question.op].append(place)
        while waiting:
            longest = sorted(waiting, key=lambda op: -len(waiting[op]))[: self.batch]
            places = [waiting[op].pop() for op in longest]
            waiting = defaultdict(list, {op: left for op, left in waiting.items() if left})
            for place, answer in zip(
                places, self._batch([questions[place] for place in places]), strict=True
            ):
                answers[place] = answer
        return answers

    def calls(self, op: str, dtypes: Sequence[str]) -> dict[str, list[Question]] | None:
        """Calls of an operator by the element type of its first type attribute; None when TensorFlow dies of
        one.
        """
        found = self._told({"op": op, "dtypes": list(dtypes)})
        return (
            None
            if found is None
            else {dtype: [Question.read(text) for text in texts] for dtype, texts in found.items()}
        )

    def accepted(self, questions: Sequence[Question]) -> list[bool]:
        """Whether TensorFlow's shape functions take the calls; a call that kills the worker is not taken."""
        return [answer == "1" for answer in self._one_by_one("accepted", questions)]

    def runs(self, questions: Sequence[Question]) -> list[str]:
        """Whether TensorFlow's kernels run the calls (``tf_running.runs``); empty for a call that kills the
        worker.
        """
        return self._one_by_one("runs", questions)

    def _one_by_one(self, what: str, questions: Sequence[Question]) -> list[str]:
        answers: list[str] = []
        killers: Counter[str] = Counter()
        while len(answers) < len(questions):
            rest = questions[len(answers) :]
            told: list[str] = []
            self._told(
                {what: [question.text() if killers[question.op] < 3 else "" for question in rest]}, told
            )
            answers += told
            if len(told) < len(rest):
                killers[rest[len(told)].op] += 1
                answers.append("")
        return answers

    def _batch(self, questions: list[Question]) -> list[Answer]:
        """Answers to one batch. An operator that killed the worker or hung it twice is not asked again."""
        asked = [question for question in questions if self._killers[question.op] < 2]
        found = self._told({"ask": [question.text() for question in asked], **self.settings}) if asked else []
        if found is not None:
            told = iter([(answer, detail) for answer, detail in found])
            return [next(told) if self._killers[question.op] < 2 else ("crash", "") for question in questions]
        if len(questions) == 1:
            self._killers[questions[0].op] += 1
            return [("crash", "")]
        if self._at:
            self._killers[self._at] += 2
            return self._batch(questions)
        half = len(questions) // 2
        return self._batch(questions[:half]) + self._batch(questions[half:])

    def _told(self, request: dict[str, Any], parts: list[str] | None = None) -> Any:
        """The worker's answer to one request; None when it died or hung over it. ``parts`` takes what came
        before that.
        """
        if self._process is None or self._process.poll() is not None:
            self._start()
        assert self._process and self._process.stdin
        self._at = ""
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        while True:
            try:
                line = self._lines.get(timeout=SECONDS)
            except queue.Empty:
                line = None
            if line is None:
                self.close()
                return None
            if line.startswith("@at "):
                self._at = line.removeprefix("@at ")
            if parts is not None and line.startswith("@part "):
                parts.append(line.removeprefix("@part "))
            if line.startswith("@answer "):
                return json.loads(line.removeprefix("@answer "))

    def _start(self) -> None:
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
        command = [sys.executable, self.script]
        self._lines = queue.Queue()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self._pump = threading.Thread(target=_pump, args=(self._process, self._lines), daemon=True)
        self._pump.start()

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._pump.join()
            for stream in (self._process.stdin, self._process.stdout):
                if stream:
                    stream.close()
            self._process = None


def _pump(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert process.stdout
    for line in process.stdout:
        lines.put(line.rstrip("\n"))
    lines.put(None)


# ---- in the worker -------------------------------------------------------------------------


def _work() -> None:
    warnings.simplefilter("ignore")
    from tf_questions import accepted

    for line in sys.stdin:
        request = json.loads(line)
        if "op" in request:
            every = Calls(request["op"]).everywhere(request["dtypes"])
            found: Any = {
                dtype: [question.text() for question in questions] for dtype, questions in every.items()
            }
        elif "accepted" in request:
            for text in request["accepted"]:
                print(f"@part {int(bool(text) and accepted(Question.read(text)))}", flush=True)
            found = []
        elif "runs" in request:
            from tf_running import runs

            for text in request["runs"]:
                print(f"@part {runs(Question.read(text)) if text else ''}", flush=True)
            found = []
        else:
            found = convert([Question.read(text) for text in request["ask"]], request.get("select", False))
        print("@answer " + json.dumps(found), flush=True)


def function_of(questions: Sequence[Question], scalars: bool = True) -> Any:
    """One concrete function that makes all the calls, node ``q3`` being the fourth. ``scalars``: as ``specs``
    takes it.
    """
    import tensorflow as tf

    inputs: list[Any] = [tf.TensorSpec([4], "float32", name="x")]
    places = []
    for number, question in enumerate(questions):
        found = specs(question, f"i{number}_", scalars)
        places.append({place: len(inputs) + order for order, place in enumerate(found)})
        inputs += found.values()

    def function(*values: Any) -> Any:
        results = [tf.identity(values[0])]
        for number, question in enumerate(questions):
            fed = {place: values[at] for place, at in places[number].items()}
            results += shown(build(question, fed, f"q{number}"), f"q{number}", question.first)
        return results

    return tf.function(function, autograph=False).get_concrete_function(*inputs)


def convert(questions: list[Question], select: bool = False) -> list[Answer]:
    """The answers to a batch; halved where a refusal cannot be told to be of one node."""
    print(f"@at {questions[0].op if len(questions) == 1 else ''}", flush=True)
    try:
        _converter(questions, select).convert()
    except Exception as error:
        answers = blockers(error, questions)
        if answers is not None:
            return [item if item[0] else ("builtin", "") for item in answers]
        if len(questions) == 1:
            return [_again(questions[0], error, select)]
        half = len(questions) // 2
        return convert(questions[:half], select) + convert(questions[half:], select)
    return [("builtin", "")] * len(questions)


def _converter(questions: Sequence[Question], select: bool, frozen: bool = False) -> Any:
    import tensorflow as tf

    if frozen:
        graph, given, results = graph_of(questions)
        converter = tf.compat.v1.lite.TFLiteConverter(graph.as_graph_def(add_shapes=True), given, results)
    else:
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function_of(questions)])
    if select:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    return converter


_ILLEGAL = re.compile(
    r"'tf\.\w+' op is illegal in a TFLite pipeline|Failed to convert element type '[^']+': Unsupported type"
)


def _again(question: Question, first: Exception, select: bool) -> Answer:
    """A call that failed without a word about it, asked other ways: with tensor lists left alone, and as a
    frozen graph.
    """
    words = " ".join(str(first).split())
    if match := _ILLEGAL.search(words):
        return "illegal", match[0]
    for lists, frozen in ((False, False), (True, True), (False, True)):
        try:
            converter = _converter([question], select, frozen)
            converter._experimental_lower_tensor_list_ops = lists
            converter.convert()
        except Exception as error:
            answers = blockers(error, [question])
            if answers is not None and answers[0][0]:
                return answers[0][0], ", ".join(
                    [answers[0][1], *(["frozen"] if frozen else []), *([] if lists else ["lists kept"])]
                )
            if match := _ILLEGAL.search(" ".join(str(error).split())):
                return "illegal", match[0]
        else:
            return ("builtin", "lists kept") if select else ("other", f"converts otherwise: {words[:200]}")
    return "other", words[:300]


def graph_of(questions: Sequence[Question]) -> tuple[Any, list[Any], list[Any]]:
    """A graph, its inputs and its results, for calls that no function may hold (reference types)."""
    import tensorflow as tf

    graph = tf.Graph()
    with graph.as_default():
        given = [tf.compat.v1.placeholder("float32", [4], name="x")]
        results = [tf.identity(given[0])]
        for number, question in enumerate(questions):
            fed = {
                place: tf.compat.v1.placeholder(spec.dtype, spec.shape, name=spec.name)
                for place, spec in specs(question, f"i{number}_").items()
            }
            given += fed.values()
            results += shown(build(question, fed, f"q{number}"), f"q{number}", question.first)
    return graph, given, results


_NODE = re.compile(r"^q(\d+)\b")
_AROUND = re.compile(r"^[ps]q?\d+|^[ps]asked")


def blockers(error: Exception, questions: Sequence[Question]) -> list[Answer] | None:
    """By node: flex or custom, with the refused operator's type; None when a refusal is of another kind or of
    no node.
    """
    count, asked = len(questions), {question.op for question in questions}
    found = [("", "")] * count
    errors = [item for item in getattr(error, "errors", ()) if item.operator.name]
    for item in errors:
        names = [call.name for call in item.location.call]
        nodes = [int(match[1]) for name in names if (match := _NODE.match(name))]
        if item.error_code not in (1, 2) or item.operator.name == "tf.Placeholder":
            return None
        if (
            not nodes
            and any(_AROUND.match(name) for name in names)
            and item.operator.name.removeprefix("tf.") not in asked
        ):
            continue
        if not nodes and count > 1:
            return None
        node = nodes[0] if nodes else 0
        kind = item.operator.name.removeprefix("tf.")
        if count > 1 and kind in asked and node < count and questions[node].op != kind:
            return (
                None  # the converter names one operator of a kind: the call of that kind would pass for taken
            )
        if node >= count or found[node][0] == "custom":
            continue
        found[node] = ("flex", "custom")[item.error_code - 1], kind
    return found if errors else None


if __name__ == "__main__":
    _work()
