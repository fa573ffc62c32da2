"""What runtimes did with the models of the corpora: where they stopped, and what they computed beside the
reference. `wrong_numbers.py` and `phases.py` make their pages of it.

An answer is kept as a line of JSON a model in .work/asked, so that an interrupted sweep goes on where it
stopped; predictions are not kept, they are made anew for a page.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelint.analyzer.conform.corpora import Item, corpus
from accelint.analyzer.errors import AccelintError
from accelint.analyzer.flows.optimized import OFF, check_at
from accelint.analyzer.formats import load
from accelint.analyzer.ir.graph import Graph
from accelint.analyzer.ir.model import Model
from accelint.analyzer.processes.scratch import temporary
from accelint.analyzer.proof.feeds import dynamic_sizes
from accelint.analyzer.proof.parity import compare
from accelint.analyzer.proof.reference import Reference
from accelint.analyzer.runtimes import Request, Session, find, inputs, tensors
from accelint.analyzer.runtimes.catalog import info
from accelint.rules.pack import Chosen
from accelint.rules.registry import choose

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".work" / "asked"
TARGETS = (
    "onnxruntime/cpu", "onnxruntime/qnn:sm8650", "onnxruntime/openvino", "onnxruntime/webgpu",
    "litert/xnnpack", "litert/gpu", "litert/gpu:alone",
)  # fmt: skip
"""``alone`` is no variant of a target: the GPU without the CPU behind it."""
SIZE = 2
"""Of dynamic dimensions."""
PRECISION = {"onnxruntime/qnn": ("rounding", "fp16")}
"""Promise and precision that a runtime is compared by; SwiftShader, OpenVINO's CPU plug-in and XNNPACK
compute in float32, by formulas of their own.
"""
PLAIN = ("approximate", "fp32")
QUANTIZED = ("approximate", "int8")
HALF_MAX = 65504.0
CHANCE = {
    "RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli",
    "RANDOM_UNIFORM", "RANDOM_STANDARD_NORMAL", "MULTINOMIAL", "STABLEHLO_RNG_BIT_GENERATOR",
}  # fmt: skip
ELEMENTWISE = {
    "Abs", "Add", "Sub", "Mul", "Div", "Mod", "Max", "Min", "Neg", "Sign", "Equal", "Greater", "Less",
    "GreaterOrEqual", "LessOrEqual", "Sum", "Mean", "Relu", "Clip", "Cast",
    "ABS", "ADD", "SUB", "MUL", "DIV", "FLOOR_DIV", "FLOOR_MOD", "MAXIMUM", "MINIMUM", "NEG", "SIGN", "EQUAL",
    "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "SQUARED_DIFFERENCE", "CAST", "RELU",
}  # fmt: skip
"""Operators that take integers of either sign; others may read them as places, lengths or axes."""


@dataclass(frozen=True)
class Row:
    """A model beside what became of it: the target's ``status`` and words, the same of the reference, the
    types that the accelerator ran, and what differs (None: not compared).
    """

    item: Item
    model: Model
    chosen: Chosen
    told: dict[str, Any]


def arguments(words: str, page: Path) -> argparse.ArgumentParser:
    """What both commands take."""
    parser = argparse.ArgumentParser(description=words)
    parser.add_argument("targets", nargs="*", help=f"one of {', '.join(TARGETS)}; default: those here")
    parser.add_argument("--limit", type=int, default=600, help="models of each corpus, an even sample")
    parser.add_argument("--ops", help="only these operator types, with commas")
    parser.add_argument(
        "--seed", type=int, help="models chosen by this seed instead, several changes in each"
    )
    parser.add_argument("--kept", action="store_true", help="ask nothing: a page of what was asked")
    parser.add_argument("--cache", type=Path, default=KEPT, help="folder of the answers")
    parser.add_argument("--page", type=Path, default=page)
    return parser


def here(targets: list[str]) -> list[str]:
    """The targets that answer on this machine, of those named."""
    return [name for name in targets or TARGETS if info(find(_runtime(name)[0])[0]).available]


def _runtime(target: str) -> tuple[str, dict[str, Any]]:
    name = target.removesuffix(":alone")
    return name, {} if name == target else {"gpu_only": True}


def _installed(name: str) -> Chosen:
    """The target in the release that answers, where the pack has data for it."""
    try:
        return choose(f"{name}@{version(name).rpartition(' ')[2]}")
    except AccelintError:
        return choose(name)


def version(target: str) -> str:
    """Package and version of the runtime behind a target."""
    from accelint.analyzer.runtimes.catalog import identity

    return identity(find(_runtime(target)[0])[0])


def rows(target: str, options: argparse.Namespace) -> Iterator[Row]:
    """The models of the target's corpora with what is known of each; what is not known is asked unless
    ``options.kept``.
    """
    from accelint.analyzer.conform.corpora import GENERATED, SEEDED

    name, extra = _runtime(target)
    chosen = _installed(name)
    dialect = chosen.pack.dialect
    ops = frozenset(options.ops.split(",")) if options.ops else None
    options.cache.mkdir(parents=True, exist_ok=True)
    path = options.cache / f"{target.replace('/', '_').replace(':', '_')}.jsonl"
    known = _known(path)
    kinds, seed = (GENERATED, 0) if options.seed is None else (SEEDED, options.seed)
    items = (item for each in kinds[dialect] for item in corpus(dialect, each, seed, options.limit, ops))
    with temporary("asked-") as folder, path.open("a", encoding="utf-8") as stream:
        asker = None if options.kept else _Asker(name, dialect, extra, folder)
        for item in items:
            digest = hashlib.sha256(item.data or b"").hexdigest()
            if digest not in known and asker is None:
                continue
            file = folder / f"model.{dialect}"
            file.write_bytes(item.data or b"")
            try:
                model = load(file)
            except AccelintError:
                continue
            if digest not in known and asker is not None:
                known[digest] = {"model": digest, "name": item.name, **asker.ask(model, file)}
                stream.write(json.dumps(known[digest]) + "\n")
                stream.flush()
            yield Row(item, model, chosen, known[digest])
        if asker is not None:
            asker.close()


def _known(path: Path) -> dict[str, dict[str, Any]]:
    if not path.is_file():
        return {}
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue  # the line that was being written when the last sweep was cut off
        found[row["model"]] = row
    return found


class _Asker:
    """One worker of the target and one of the reference for all models."""

    def __init__(self, target: str, dialect: str, extra: dict[str, Any], folder: Path) -> None:
        self.target = target
        self.extra = extra
        self.folder = folder
        self.session = Session(target, timeout=60)
        self.reference = Reference(dialect, timeout=60)

    def close(self) -> None:
        self.session.close()
        self.reference.close()

    def ask(self, model: Model, file: Path) -> dict[str, Any]:
        """What became of one model, by one run on inputs that the reference takes."""
        feeds = self._feeds(model)
        self.reference.options = {}
        right = self.reference.outputs(file, feeds) if feeds is not None else "no inputs can be made"
        runs = feeds is not None and not isinstance(right, str)
        answer = self.session.ask(
            Request(file, inputs=feeds if runs else None, outputs=runs, options=dict(self.extra))
        )
        row: dict[str, Any] = {
            "status": answer.status,
            "reason": (answer.reason or answer.signal or "")[:1600],
            "reference": right[:300] if isinstance(right, str) else "ok",
            "accelerated": sorted({item.type for item in answer.placement if item.device == "accelerator"}),
            "differs": None,
        }
        if answer.status in ("crashed", "hung", "exhausted") and runs:
            row["loaded"] = self.session.ask(Request(file, placement=False, options=dict(self.extra))).status
        if answer.ok and runs and not isinstance(right, str):
            row |= _compared(self.target, model.graph, right, answer.tensors())
        return row

    def _feeds(self, model: Model) -> Path | None:
        sizes = dict.fromkeys(dynamic_sizes(model), SIZE) | _stored(model)
        try:
            arrays = inputs.for_graph(model.graph, seed=1, sizes=sizes)
        except AccelintError:
            return None
        fitted = {name: _exact(model.graph, name, array) for name, array in arrays.items()}
        return tensors.write(self.folder / "inputs.npz", fitted)


def _stored(model: Model) -> dict[str, int]:
    """The sizes that a TFLite file stores for dimensions that its signature leaves dynamic, as the input's
    dimension.
    """
    if model.dialect != "tflite":
        return {}
    from accelint.analyzer.runtimes.workers.tflite_file import TfliteFile

    file = TfliteFile(model.path)
    return {
        f"{file.name(tensor)}[{axis}]": int(size)
        for tensor in file.inputs
        for axis, size in enumerate(file.stored_shape(tensor))
    }


def _exact(graph: Graph, name: str, array: Any) -> Any:
    """Floats on a grid of eighths in [-4, 4) without 0, which float16 has exactly: what differs is not the
    rounding of inputs; integers of either sign, none of them 0, where only arithmetic reads them; quantized
    values of 16 bits within a range that the scales of the corpora make small floats of.
    """
    import numpy as np

    if array.dtype.kind == "f":
        steps = np.floor(array.astype(np.float64) * 32) / 8
        return np.where(steps == 0, 0.125, steps).astype(array.dtype)
    if array.dtype.name in ("int16", "uint16"):
        low = 0 if array.dtype.kind == "u" else -80
        return np.random.default_rng(array.size).integers(low, low + 160, array.shape).astype(array.dtype)
    readers = {op.type for op in graph.consumers(name)}
    if array.dtype.name not in ("int32", "int64") or not readers or not readers <= ELEMENTWISE:
        return array
    spread = np.random.default_rng(array.size).integers(1, 10, array.shape)
    return (spread * np.where(array % 2, 1, -1)).astype(array.dtype)


def _compared(target: str, graph: Graph, right: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    import numpy as np

    halves = any(tensor.dtype in ("float16", "bfloat16") for tensor in graph.tensors.values())
    steps = any("uant" in op.type or op.type == "QUANTIZE" for op in graph.ops()) or any(
        tensor.quant is not None for tensor in graph.tensors.values()
    )
    promise, precision = PRECISION.get(target.partition(":")[0], PLAIN)
    if steps:
        promise, precision = QUANTIZED
    elif halves and precision == "fp32":
        promise, precision = "rounding", "fp16"
    parity = compare(right, found, promise, precision)
    sizes = [float(np.abs(array[np.isfinite(array)]).max(initial=0)) for array in map(_wide, right.values())]
    return {
        "differs": [problem[:200] for problem in parity.problems[:3]],
        "largest": max(sizes, default=0.0),
    }


def _wide(array: Any) -> Any:
    import numpy as np

    return array.astype(np.float64) if array.dtype.kind in "biuf" else np.zeros(0)


def chance(graph: Graph) -> bool:
    """Whether a random operator is in the graph."""
    return any(op.type in CHANCE for op in graph.ops())


def prediction(row: Row) -> Any:
    """The coverage of the model as it is stored."""
    return check_at(row.model, row.chosen, OFF)
