"""Ask TensorFlow's converter about every raw operator: TFLite builtin, Select TF op, custom op, or not to be asked this way.

    python benchmarks/tf_convertible.py OUT.tsv [--ops Abs,Erf]      (operators that OUT.tsv tells of are not asked again)

Each operator of ``analyzer/formats/tf_ops.tsv`` becomes a function of one operator with small static inputs: of the combinations
of shapes and stored index inputs, those that TensorFlow's own shape function takes. The converter is asked for every element type that the
operator's first type attribute allows. One line per question: operator, element type, answer, detail. ``other`` is a
refusal that says nothing about the operator in general (a relation between shapes, a resource that the function lacks).

One worker process at a time; an operator that kills it is answered ``crash`` and the rest goes to a new worker.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parents[1] / "analyzer" / "formats" / "tf_ops.tsv"
DTYPES = ["float32", "int32", "int64", "bool", "string", "uint8", "int8", "float64", "complex64", "float16", "int16", "uint32"]
"""Element types that functions of TFLite models may take and give; the others are refused at the model's edge."""
SHAPES = ([4, 4, 4, 4], [4, 4], [4], [], [4, 4, 4], [4, 4, 4, 4, 4])
STORED: tuple[Any, ...] = (
    1, 0, [1], [0], [4, 4], [4, 4, 4, 4], [0, 1, 2, 3], [1, 1, 1, 1], [0, 0, 0, 0], 2, [1, 1], [0, 1], [2, 2],
    [[0, 0], [0, 0], [0, 0], [0, 0]], [[0, 0], [0, 0]], [[0, 0]], [4], [1, 1, 1, 1, 1],
)  # fmt: skip
LISTS: tuple[list[int], ...] = ([1, 1, 1, 1], [1, 2, 2, 1], [1], [1, 1, 1, 1, 1], [1, 1], [])
PLANS: dict[str, list[dict[str, Any]]] = {
    "Slice": [{"shape": [4, 4]}, {"shape": [], "value": [0, 1]}, {"shape": [], "value": [2, 2]}],
    "OneHot": [{"shape": [4]}, {"shape": [], "value": 4}, {"shape": [], "value": 1}, {"shape": [], "value": 0}],
    "ScatterNd": [{"shape": [], "value": [[0], [2]]}, {"shape": [2, 4]}, {"shape": [], "value": [4, 4]}],
    "TensorScatterAdd": [{"shape": [4, 4]}, {"shape": [], "value": [[0], [2]]}, {"shape": [2, 4]}],
    "Einsum": [{"shape": [4, 4]}],
    "SpaceToBatchND": [{"shape": [4, 4, 4, 4]}, {"shape": [], "value": [2, 2]}, {"shape": [], "value": [[0, 0], [0, 0]]}],
    "Split": [{"shape": [], "value": 1}, {"shape": [4, 4]}],
    "SplitV": [{"shape": [4, 4]}, {"shape": [], "value": [2, 2]}, {"shape": [], "value": 1}],
    "Conv3DBackpropInputV2": [{"shape": [], "value": [4, 4, 4, 4, 4]}, {"shape": [2, 2, 2, 4, 4]}, {"shape": [4, 4, 4, 4, 4]}],
    "Conv2DBackpropInput": [{"shape": [], "value": [4, 4, 4, 4]}, {"shape": [], "value": [[[[1] * 4] * 4]]}, {"shape": [4, 4, 4, 4]}],
    "DynamicStitch": [{"shape": [], "value": [0, 1]}, {"shape": [2, 4]}],
    "ReverseSequence": [{"shape": [4, 4]}, {"shape": [], "value": [1, 2, 3, 4]}],
    "Bincount": [{"shape": [4]}, {"shape": [], "value": 4}, {"shape": [4]}],
    "Where": [{"shape": [4, 4]}],
    "CropAndResize": [{"shape": [4, 4, 4, 4]}, {"shape": [1, 4]}, {"shape": [], "value": [0]}, {"shape": [], "value": [2, 2]}],
}
"""Inputs of operators whose index inputs must fit each other."""
CHOSEN: dict[str, Any] = {"equation": "ij,jk->ik", "seq_dim": 1, "is_training": False}
"""Attributes that need a value which no default gives, or whose default is meant for training."""
INDEX = {"int16", "int32", "int64", "uint16"}


def main() -> None:
    """Ask for all operators, or those named, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--ops", default="")
    parser.add_argument("--worker", action="store_true")
    options = parser.parse_args()
    if options.worker:
        _work()
        return
    listed = [line.split("\t")[0] for line in TABLE.read_text().splitlines() if line and not line.startswith("#")]
    waiting = options.ops.split(",") if options.ops else listed
    rows: dict[tuple[str, str], str] = {}
    alone: set[str] = set()
    if options.out.exists():
        kept = [line for line in options.out.read_text().splitlines() if not line.startswith("#")]
        rows = {(line.split("\t")[0], line.split("\t")[2]): line for line in kept}
    waiting = [op for op in waiting if op not in {name for name, _ in rows}]
    while waiting:
        waiting = _ask(waiting, alone, rows, options.out)


def _write(rows: dict[tuple[str, str], str], path: Path) -> None:
    title = "# operator, first type attribute, element type, answer of TensorFlow 2.21.0's converter, detail"
    path.write_text("\n".join([title, *(rows[key] for key in sorted(rows))]) + "\n")


def _ask(ops: list[str], alone: set[str], rows: dict[tuple[str, str], str], path: Path) -> list[str]:
    """Let one worker answer until it ends; returns what it did not come to. Suspects of a crash are asked alone then."""
    command = [sys.executable, __file__, "unused", "--worker"]
    done: set[str] = set()
    batch: list[str] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as worker:
        assert worker.stdin and worker.stdout
        worker.stdin.write(json.dumps([ops, sorted(alone)]) + "\n")
        worker.stdin.close()
        for line in worker.stdout:
            tag, _, rest = line.rstrip("\n").partition(" ")
            if tag == "@batch":
                batch = rest.split()
            elif tag == "@done":
                done.update(rest.split())
                batch = []
                _write(rows, path)
            elif tag == "@row":
                op, _, dtype = rest.split("\t")[:3]
                rows[op, dtype] = rest
    left = [op for op in ops if op not in done]
    if len(batch) == 1:
        rows[batch[0], ""] = f"{batch[0]}\t\t\tcrash\t"
        left = [op for op in left if op != batch[0]]
    alone.update(batch)
    _write(rows, path)
    return left


BATCH = 16
"""Operators of one question to the converter: it tells all its refusals at once, by the names of the nodes."""


def _work() -> None:
    warnings.simplefilter("ignore")
    ops, alone = json.loads(sys.stdin.readline())
    ops = sorted(ops, key=lambda op: (op not in alone, ops.index(op)))
    for start in range(0, len(ops), 32):
        some = [Asked(op) for op in ops[start : start + 32]]
        asked = {item.op: item for item in some}
        waiting = [(op, *question) for op, item in asked.items() if (question := item.question()) is not None]
        while waiting:
            size = 1 if any(op in alone for op, *_ in waiting) else BATCH
            for first in range(0, len(waiting), size):
                for (op, dtype, _), answer in zip(
                    waiting[first : first + size], convert(waiting[first : first + size], asked), strict=True
                ):
                    asked[op].told(dtype, *answer)
            waiting = [(op, *question) for op, item in asked.items() if (question := item.question()) is not None]
        for item in some:
            for dtype, (answer, detail, _) in item.answers.items():
                print(f"@row {item.op}\t{item.primary}\t{dtype}\t{answer}\t{detail}", flush=True)
        print("@done", *asked, flush=True)


def convert(batch: list[tuple[str, str, Any]], asked: dict[str, Asked]) -> list[tuple[str, str]]:
    """The answers of a batch of (operator, element type, plan); halved where a refusal cannot be told to be of one node."""
    import tensorflow as tf

    print("@batch", *(op for op, *_ in batch), flush=True)
    specs: list[Any] = [tf.TensorSpec([4], "float32", name="x")]
    places = []
    for number, (op, dtype, plan) in enumerate(batch):
        found = asked[op].specs(dtype, plan, f"i{number}_")
        places.append({position: len(specs) + order for order, position in enumerate(found)})
        specs += found.values()

    def function(*values: Any) -> Any:
        results = [tf.identity(values[0])]
        for number, (op, dtype, plan) in enumerate(batch):
            inputs = {position: values[place] for position, place in places[number].items()}
            result = asked[op].build(dtype, plan, inputs, f"q{number}")
            results += (
                [] if result is None or isinstance(result, tf.Operation) else tf.nest.flatten(result[:1] if plan.get("first") else result)
            )
        return results

    try:
        concrete = tf.function(function, autograph=False).get_concrete_function(*specs)
        tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert()
    except Exception as error:
        answers = _refusals(error, len(batch))
        if answers is not None:
            return [item if item[0] else ("builtin", "") for item in answers]
        if len(batch) == 1:
            return [("other", " ".join(str(error).split())[-160:])]
        half = len(batch) // 2
        return convert(batch[:half], asked) + convert(batch[half:], asked)
    return [("builtin", "")] * len(batch)


_NODE = re.compile(r"^q(\d+)\b")


def _refusals(error: Exception, count: int) -> list[tuple[str, str]] | None:
    """By node: flex or custom, with the refused operator's type; None when a refusal is of another kind or of no node."""
    found = [("", "")] * count
    errors = [item for item in getattr(error, "errors", ()) if item.operator.name]
    for item in errors:
        nodes = [int(match[1]) for call in item.location.call if (match := _NODE.match(call.name))]
        if item.error_code not in (1, 2) or (not nodes and count > 1):
            return None
        node = nodes[0] if nodes else 0
        if item.operator.name == "tf.Placeholder":
            return None
        if node >= count or (found[node][0] == "custom"):
            continue
        found[node] = ("flex", "custom")[item.error_code - 1], item.operator.name.removeprefix("tf.")
    return found if errors else None


def _default(attr: Any) -> Any:
    """An attribute's default as op_def_library takes it."""
    value = attr.default_value
    if value.WhichOneof("value") != "list":
        return getattr(value, value.WhichOneof("value"))
    fields = {"int": "i", "float": "f", "string": "s", "bool": "b", "type": "type", "shape": "shape"}
    return list(getattr(value.list, fields[attr.type[5:-1]]))


class Asked:
    """One operator and the ways to make a function of it."""

    def __init__(self, op: str) -> None:
        import tensorflow as tf
        from tensorflow.python.framework import op_def_registry

        self.tf = tf
        self.op = op
        self.definition = op_def_registry.get(op)
        self.attrs = {attr.name: attr for attr in self.definition.attr} if self.definition else {}
        types = [arg.type_attr for arg in self.definition.input_arg if arg.type_attr] if self.definition else []
        types += [name for name, attr in self.attrs.items() if attr.type == "type"]
        types = [name for name in types if not set(self._allowed(name)) <= INDEX]
        self.primary = types[0] if types else ""
        self.answers: dict[str, tuple[str, str, Any]] = {}
        self.plans: dict[str, Iterator[Any]] = {}
        self.tries: dict[str, int] = {}
        self.made: Any = None
        self.asking: Any = None
        functions = any(attr.type in ("func", "list(func)") and not attr.HasField("default_value") for attr in self.attrs.values())
        self.waiting = [] if functions or self.definition is None else self._dtypes()
        if not self.waiting:
            self.answers[""] = "not-askable", "takes functions" if functions else "not registered", None

    def question(self) -> tuple[str, Any] | None:
        """The next element type and plan to ask about, None when all is known that will be."""
        if not self.waiting:
            return None
        dtype = self.waiting[0]
        if dtype not in self.plans:
            self.plans[dtype] = self._ways(dtype)
            self.tries[dtype] = 0
        limit = 1 if self.made is not None else 4
        plan = next(self.plans[dtype], None) if self.tries[dtype] < limit else None
        if plan is not None:
            self.tries[dtype] += 1
            self.asking = plan
            return dtype, plan
        self.answers.setdefault(dtype, ("not-askable", "no inputs that its shape function takes", None))
        self._next()
        return self.question()

    def _ways(self, dtype: str) -> Iterator[Any]:
        """The plan that worked for another element type, else those that the shape function takes, else unknown ranks."""
        if self.made is not None and self._taken(dtype, self.made):
            yield self.made
            return
        none = True
        for plan in self._plans(dtype):
            none = False
            yield plan
        plan = {"inputs": [{"shape": None} for _ in self.definition.input_arg], "ints": LISTS[0], "number": 2, "unknown": True}
        if none and self._taken(dtype, plan):
            yield plan

    def told(self, dtype: str, answer: str, detail: str) -> None:
        """The converter's answer to the latest question."""
        plan = self.asking
        if plan.get("unknown"):
            answer, detail = (answer, "unknown rank") if answer in ("flex", "custom") else ("not-askable", "no static shapes were found")
        stored = any(item.get("stored") for item in plan["inputs"])
        remarks = [detail if detail != self.op else "", "others stored" if stored else "", "first output only" if plan.get("first") else ""]
        order = ["builtin", "flex", "custom", "other", "not-askable"]
        old = self.answers.get(dtype)
        if old is None or order.index(answer) < order.index(old[0]):
            self.answers[dtype] = answer, ", ".join(item for item in remarks if item), plan
        if answer == "builtin":
            self.made = self.made or plan
        if answer in ("builtin", "custom"):
            self._next()
            self.waiting = [] if answer == "custom" and self.made is None else self.waiting

    def _next(self) -> None:
        self.waiting.pop(0)
        if self.made is None and len(self.answers) >= 2:
            self.waiting = []

    def _dtypes(self) -> list[str]:
        if not self.primary:
            return [""]
        allowed = self._allowed(self.primary)
        return [name for name in DTYPES if name in allowed] or [""]

    def _allowed(self, name: str) -> list[str]:
        values = self.attrs[name].allowed_values.list.type
        return [self.tf.as_dtype(value).name for value in values] if values else [*DTYPES, "variant", "resource"]

    def _plans(self, dtype: str) -> Iterator[dict[str, Any]]:
        """Combinations that the shape function takes, one of a kind of ranks; each also with all but the first input stored."""
        if self.op in PLANS:
            ready = {"inputs": PLANS[self.op], "ints": LISTS[0], "number": 2}
            yield from [ready] if self._taken(dtype, ready) else []
        kinds: set[Any] = set()
        for number, plan in enumerate(self._combinations()):
            if number > 400 or (kinds and number > 200):
                return
            if not self._taken(dtype, plan):
                continue
            kind = tuple(len(item["shape"] or ()) for item in plan["inputs"][:1])
            if kind in kinds:
                continue
            kinds.add(kind)
            yield plan
            if len(self.definition.output_arg) > 1:
                yield {**plan, "first": True}
            if len(plan["inputs"]) > 1:
                rest = [{**item, "stored": True} for item in plan["inputs"][1:]]
                yield {**plan, "inputs": [plan["inputs"][0], *rest], "first": len(self.definition.output_arg) > 1}

    def _combinations(self) -> Iterator[dict[str, Any]]:
        args = list(self.definition.input_arg)
        index = [self._is_index(arg) for arg in args]
        index = [False, *index[1:]] if all(index) and index else index
        lists = LISTS if any(attr.type == "list(int)" and not attr.HasField("default_value") for attr in self.attrs.values()) else LISTS[:1]
        numbers = (1, 2, 4)
        if not any(attr.type == "int" and not attr.HasField("default_value") for attr in self.attrs.values()):
            numbers = (2,)
        stored = STORED if any(index) else STORED[:1]
        shapes = SHAPES if index else SHAPES[:1]
        for shape, value, ints, number in itertools.product(shapes, stored, lists, numbers):
            inputs = [{"shape": [], "value": value} if is_index else {"shape": shape} for is_index in index]
            yield {"inputs": inputs, "ints": ints, "number": number}
        if len(args) < 2:
            return  # the product above is complete
        for (first, rest), value, ints in itertools.product(itertools.permutations(SHAPES, 2), stored, lists):
            inputs = [{"shape": [], "value": value} if is_index else {"shape": rest} for is_index in index[1:]]
            yield {"inputs": [{"shape": first}, *inputs], "ints": ints, "number": numbers[0]}
        rng = random.Random(self.op)
        for _ in range(150):
            inputs = [
                {"shape": [], "value": rng.choice(STORED)} if is_index and rng.random() < 0.8 else {"shape": rng.choice(SHAPES)}
                for is_index in index
            ]
            yield {"inputs": inputs, "ints": rng.choice(lists), "number": rng.choice(numbers)}

    def _is_index(self, arg: Any) -> bool:
        if arg.type_attr:
            attr = self.attrs[arg.type_attr]
            allowed = set(self._allowed(arg.type_attr))
            return arg.type_attr != self.primary and allowed <= INDEX and attr.type == "type"
        return bool(arg.type) and self.tf.as_dtype(arg.type).name in ("int32", "int64")

    def _kinds(self, dtype: str) -> dict[str, Any]:
        kinds: dict[str, Any] = {}
        for name, attr in self.attrs.items():
            if attr.type == "type":
                allowed = self._allowed(name)
                default = self.tf.as_dtype(attr.default_value.type).name if attr.HasField("default_value") else ""
                guesses = [dtype if name == self.primary else default, dtype if name == "T" else "", "float32", "int32", *allowed]
                kinds[name] = next(item for item in guesses if item in allowed)
            elif attr.type == "list(type)" and not attr.HasField("default_value"):
                kinds[name] = ["float32"]
        return kinds

    def _arguments(self, dtype: str, plan: dict[str, Any], values: dict[int, Any]) -> dict[str, Any]:
        """Keyword arguments of the raw operator; ``values`` takes the computed inputs by position."""
        tf = self.tf
        kinds = self._kinds(dtype)
        arguments: dict[str, Any] = {}
        for position, (arg, item) in enumerate(zip(self.definition.input_arg, plan["inputs"], strict=True)):
            kind = kinds[arg.type_attr] if arg.type_attr else (tf.as_dtype(arg.type).name if arg.type else "float32")
            if "value" in item:
                one = tf.constant(item["value"], kind)
            elif item.get("stored"):
                one = tf.constant({"string": "a", "bool": True}.get(kind, 1), kind, item["shape"])
            else:
                one = values[position] if position in values else tf.compat.v1.placeholder(kind, item["shape"])
            many = bool(arg.number_attr or arg.type_list_attr)
            arguments[arg.name] = [one] * (2 if arg.number_attr else 1) if many else one
        for name, attr in self.attrs.items():
            if any(name in (arg.type_attr, arg.number_attr, arg.type_list_attr) for arg in self.definition.input_arg):
                continue
            if name in CHOSEN:
                arguments[name] = CHOSEN[name]
            elif attr.HasField("default_value") and attr.type != "type":
                arguments[name] = _default(attr)
            else:
                arguments[name] = self._attribute(name, attr, kinds, plan)
        return arguments

    def _attribute(self, name: str, attr: Any, kinds: dict[str, Any], plan: dict[str, Any]) -> Any:
        allowed = [item.decode() for item in attr.allowed_values.list.s]
        simple = {"int": plan["number"], "float": 0.5, "bool": False, "string": allowed[0] if allowed else "x", "shape": [4]}
        lists = {"list(int)": plan["ints"], "list(float)": [0.5], "list(string)": ["x"], "list(shape)": [[4]], "list(bool)": [False]}
        if name in kinds:
            return kinds[name]
        if attr.type == "tensor":
            return self.tf.make_tensor_proto([1.0])
        return simple[attr.type] if attr.type in simple else lists[attr.type]

    def _taken(self, dtype: str, plan: dict[str, Any]) -> bool:
        """Whether TensorFlow's shape function takes the combination."""
        with self.tf.Graph().as_default():
            try:
                self.build(dtype, plan, {}, "asked")
            except Exception:  # whatever it is, this is no way to build the operator
                return False
        return True

    def specs(self, dtype: str, plan: dict[str, Any], prefix: str) -> dict[int, Any]:
        """Specs of the computed inputs by position."""
        tf = self.tf
        kinds = self._kinds(dtype)
        specs = {}
        for position, (arg, item) in enumerate(zip(self.definition.input_arg, plan["inputs"], strict=True)):
            if "value" not in item and not item.get("stored"):
                kind = kinds[arg.type_attr] if arg.type_attr else (tf.as_dtype(arg.type).name if arg.type else "float32")
                specs[position] = tf.TensorSpec(item["shape"], kind, name=f"{prefix}{position}")
        return specs

    def build(self, dtype: str, plan: dict[str, Any], values: dict[int, Any], name: str) -> Any:
        """The operator's results in the graph that is being made."""
        from tensorflow.python.framework import op_def_library

        return op_def_library.apply_op(self.op, name=name, **self._arguments(dtype, plan, values))


if __name__ == "__main__":
    main()
