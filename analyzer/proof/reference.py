"""The reference: what a model computes by the runtime whose numbers count as right for its dialect.

``Reference`` answers for any model file; ``Prover`` compares a model that is being changed with its original.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...rewrites.planner import Proof
from ...rewrites.promise import Promise, weakest
from ..errors import AccelintError, RuntimeFailure, UsageError, WorkerKilled
from ..files import sha256
from ..formats import emit
from ..ir.payloads import NOTHING
from ..processes.scratch import make
from ..runtimes import Request, Session, find
from ..runtimes.catalog import info
from .evaluators import evaluator, runtime_of
from .feeds import Feed, has_nan, milder
from .parity import compare

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..ir.graph import Graph
    from ..ir.model import Model
    from ..runtimes import Answer, RuntimeInfo

    Outputs = Mapping[str, NDArray[Any]]

SETS = (("random", 1), ("random", 2), ("boundary", 3))
"""Inputs of a proof: kind and seed."""
OPEN_SIZES = (2, 3, 5, 4, 7, 6)
"""Sizes that unknown dimensions take in a proof, in turn: distinct, so that swapped axes show."""
TIMEOUT = 300.0


def state(dialect: str) -> RuntimeInfo | None:
    """Whether what computes a dialect's reference is here; None where a dialect has none."""
    name = runtime_of(dialect)
    return None if name is None else info(find(name)[0])


class Reference:
    """The reference runtime of a dialect, one worker for all models and inputs.

    A dialect without a runtime here may be evaluated by that of another (``evaluators``): ``words`` says so.
    Models are run as they are stored unless ``options`` say otherwise. Where the runtime loads one only with
    its default optimizations (a kernel that is missing is folded away), that one and all after it are run so.

    Raises UsageError for a dialect that has none.
    """

    def __init__(
        self, dialect: str, *, timeout: float = TIMEOUT, options: Mapping[str, Any] = NOTHING
    ) -> None:
        name = runtime_of(dialect)
        if name is None:
            raise UsageError(f"{dialect} models cannot be run here: give an ONNX or TFLite reference")
        self.name = name
        self.runtime = ""
        self.options = options
        self.session = Session(name, timeout=timeout)
        self.evaluator = evaluator(dialect)
        self._folder: Path | None = None
        self._translated: dict[str, Path] = {}

    def outputs(self, model: Path, feeds: Path) -> dict[str, NDArray[Any]] | str:
        """What a model computes from the arrays of an ``.npz``, or why there is nothing.

        Raises RuntimeFailure, with the command that brings it, when the runtime is not here.
        """
        try:
            model = self._runnable(model)
        except UsageError as error:
            return error.message
        answer = self._ask(model, feeds, self.options)
        if answer.status == "refused" and self.name.startswith("onnxruntime/") and not self.options:
            again = self._ask(model, feeds, {"optimize": "default"})
            if again.ok:
                answer, self.options = again, {"optimize": "default"}
        if answer.status == "missing":
            raise RuntimeFailure(
                f"{self.name}, the reference, is not here: {answer.reason}: {answer.advice}".rstrip(": ")
            )
        if answer.status == "killed":
            raise WorkerKilled(f"{self.name}, the reference: {answer.reason}")
        said = self.words or find(self.name)[0].label
        self.runtime = f"{answer.runtime}, {said}" if said else answer.runtime
        return answer.tensors() if answer.ok else f"{self.name} {answer.status}: {answer.reason}"[:500]

    def _ask(self, model: Path, feeds: Path, options: Mapping[str, Any]) -> Answer:
        return self.session.ask(
            Request(model, inputs=feeds, outputs=True, placement=False, options=dict(options))
        )

    def spread(self, model: Path, feeds: Path, outputs: Outputs) -> dict[str, float]:
        """By output, how far LiteRT's reference kernels are from its built-in ones, whose numbers are given:
        what an integer model leaves open. Nothing for other dialects, or where they give no numbers.
        """
        if self.name != "litert/cpu":
            return {}
        answer = self._ask(model, feeds, {**self.options, "kernels": "reference"})
        return {} if not answer.ok else distances(outputs, answer.tensors())

    @property
    def words(self) -> str:
        """What the numbers are where no runtime of the dialect computes them; empty otherwise."""
        return "" if self.evaluator is None else self.evaluator.words

    def _runnable(self, model: Path) -> Path:
        """The model, or what an evaluator makes of it. Raises UsageError where it cannot be expressed."""
        if self.evaluator is None:
            return model
        key = sha256(model)
        if key not in self._translated:
            if self._folder is None:
                self._folder = make("evaluate-")
            place = self._folder / str(len(self._translated))
            place.mkdir()
            self._translated[key] = self.evaluator.translate(model, place)
        return self._translated[key]

    def close(self) -> None:
        """End the worker."""
        self.session.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


class Prover:
    """Compares the model as it is now with the original file, both on the reference runtime and on the same
    inputs; ``look`` has a word about the file that is compared (an objection, empty when there is none).

    Nothing runs before the first proof is asked for. A runtime that is missing, and a model that it cannot
    run, are said and not hidden (``problem``). ``loaded`` is an optimization level at which the changed model
    is compared as well, within rounding: there the runtime fuses operators.
    """

    def __init__(
        self, model: Model, look: Callable[[Path], str] | None = None, *, loaded: str | None = None
    ) -> None:
        self.model = model
        self.original = model.path
        self.look = look
        self.problem = ""
        self.proved = ""
        """Digest of the last file that was proved."""
        self._folder: Path | None = None
        self._reference: Reference | None = None
        self._loaded = None if loaded is None else Reference(model.dialect, options={"optimize": loaded})
        self._expected: list[tuple[Path, Outputs]] = []
        self._asked = 0
        self.replaced = 0
        """Sets of inputs that were replaced, since the original computed NaN of the first values."""
        self._in_steps = quantizes(model.graph)

    def __enter__(self) -> Prover:
        return self

    def __exit__(self, *exception: object) -> None:
        for reference in (self._reference, self._loaded):
            if reference is not None:
                reference.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def __call__(self, promise: Promise) -> Proof:
        """Write the model as it is now to a file of its own and compare that within ``promise``."""
        try:
            place = self._place()
            file = place / f"changed{self.original.suffix}"
            emit(self.model, file)
            proof = self.file(file, promise)
            shutil.rmtree(place)
        except WorkerKilled:
            raise
        except AccelintError as error:
            return Proof("failed", f"the changed model cannot be written: {error.message}")
        return proof

    def file(self, file: Path, promise: Promise) -> Proof:
        """Compare a file within what ``promise`` allows."""
        objection = "" if self.look is None else self.look(file)
        if objection:
            return Proof("failed", objection)
        try:
            if self._reference is None:
                self._open()
            return Proof("not proved", self.problem) if self.problem else self._compare(file, promise)
        except WorkerKilled:
            raise
        except AccelintError as error:
            self.problem = error.message
            return Proof("not proved", error.message)

    def _place(self) -> Path:
        if self._folder is None:
            self._folder = make("proof-")
        self._asked += 1
        place = self._folder / str(self._asked)
        place.mkdir()
        return place

    def _open(self) -> None:
        """Start the runtime and run the original on every set of inputs."""
        self._reference = Reference(self.model.dialect)
        place = self._place()
        sizes = self._sizes()
        for attempt in ({}, sizes, dict.fromkeys(sizes, 1)):
            self.problem = self._run_original(place, attempt)
            if not self.problem:
                return

    def _sizes(self) -> dict[str, int]:
        names = [
            dim
            for name in self.model.graph.inputs
            for dim in self.model.graph.tensor(name).shape or ()
            if isinstance(dim, str)
        ]
        return {
            "": OPEN_SIZES[0],
            **{name: OPEN_SIZES[index % len(OPEN_SIZES)] for index, name in enumerate(dict.fromkeys(names))},
        }

    def _run_original(self, place: Path, sizes: Mapping[str, int]) -> str:
        """The outputs that are expected; what went wrong, or nothing."""
        from ..runtimes import inputs, tensors

        assert self._reference is not None
        graph = self.model.graph
        self._expected, self.replaced = [], 0
        if not sizes and any(not graph.tensor(name).static for name in graph.inputs):
            return "the shapes are dynamic"
        for number, (kind, seed) in enumerate(SETS):
            arrays = inputs.for_graph(graph, seed=seed, boundary=kind == "boundary", sizes=sizes)
            feed = Feed("", tensors.write(place / f"inputs-{number}.npz", arrays), kind=kind)
            found = self._reference.outputs(self.original, feed.path)
            if isinstance(found, str):
                return f"the reference does not run the original: {found}"
            if has_nan(found):
                feed, found = self._milder(feed, found, seed, sizes)
            self._expected.append((feed.path, found))
        return ""

    def _milder(
        self, feed: Feed, found: dict[str, NDArray[Any]], seed: int, sizes: Mapping[str, int]
    ) -> tuple[Feed, dict[str, NDArray[Any]]]:
        """Inputs of which the original computes numbers, where some are found in place of those that give
        NaN.
        """
        assert self._reference is not None
        for other in milder(feed, self.model, seed, sizes):
            again = self._reference.outputs(self.original, other.path)
            if not isinstance(again, str) and not has_nan(again):
                self.replaced += 1
                return other, again
        return feed, found

    def _compare(self, file: Path, promise: Promise) -> Proof:
        assert self._reference is not None
        worst, precision = 0.0, "int8" if computes_integers(self.model.graph) else "fp32"
        if has_halves(self.model.graph):
            # runtimes compute float16 in float32 here and there, and round where the graph lets them
            promise, precision = weakest(promise, Promise.ROUNDING), "fp16"
        if self._in_steps and promise is not Promise.BIT_EXACT:
            # the original rounds to 8 bits while it runs: a sum in another order moves some values by a step
            precision = "int8"
        for feeds, expected in self._expected:
            found = self._reference.outputs(file, feeds)
            if isinstance(found, str):
                return Proof("failed", f"the reference does not run the changed model: {found}")
            parity = compare(expected, found, str(promise), precision)
            if not parity.agrees:
                return Proof("failed", "; ".join(parity.problems[:3]))
            worst = max([worst, *(item.max_abs or 0.0 for item in parity.outputs)])
        objection = self._as_loaded(file, weakest(promise, Promise.ROUNDING), precision)
        if objection:
            return Proof("failed", objection)
        self.proved = sha256(file)
        told = f", {self.replaced} of them replaced since the original computed NaN" if self.replaced else ""
        also = "" if self._loaded is None else f", and with its {self._level} optimizations"
        return Proof(
            "proved",
            f"largest difference {worst:g} on {len(self._expected)} sets of inputs{told}, "
            f"{self._reference.runtime or self._reference.name}, as {promise}{also}",
        )

    @property
    def _level(self) -> str:
        return "" if self._loaded is None else str(self._loaded.options["optimize"])

    def _as_loaded(self, file: Path, promise: Promise, precision: str) -> str:
        """What speaks against the changed model as the runtime optimizes it: numbers that are neither those
        of the original as stored nor those of the original at that level.
        """
        if self._loaded is None or self._reference is None or self._reference.options:
            return ""  # a model that is loaded with optimizations alone was compared with them already
        for feeds, expected in self._expected:
            found = self._loaded.outputs(file, feeds)
            if isinstance(found, str):
                return (
                    f"the reference does not run the changed model with {self._level} optimizations: {found}"
                )
            if compare(expected, found, str(promise), precision).agrees:
                continue
            before = self._loaded.outputs(self.original, feeds)
            if isinstance(before, str):
                continue
            parity = compare(before, found, str(promise), precision)
            if not parity.agrees:
                words = "; ".join(parity.problems[:3])
                return f"with {self._level} optimizations of {self._loaded.name}: {words}"
        return ""


QUANTIZING = ("DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM")
"""Operators that round activations to 8 bits by the range that they find."""


def quantizes(graph: Graph) -> bool:
    """True when activations of the graph, or of its bodies, are quantized while it runs."""
    return any(op.type in QUANTIZING for _, op in graph.walk())


def distances(one: Outputs, other: Outputs) -> dict[str, float]:
    """By output, the largest difference of finite elements."""
    import numpy as np

    found = {}
    for name, array in one.items():
        twin = other.get(name)
        if twin is None or twin.shape != array.shape or array.dtype.kind not in "iuf":
            continue
        apart = np.abs(array.astype(np.float64) - twin.astype(np.float64))
        found[name] = float(apart[np.isfinite(apart)].max(initial=0.0))
    return found


QUANTIZED = ("int8", "uint8", "int16", "uint16")
"""Types of tensors that hold quantized values."""


def computes_integers(graph: Graph) -> bool:
    """Whether operators of the model compute quantized values: their results are known to a few steps of the
    quantization, whatever kernels compute them.
    """
    if graph.dialect == "onnx":
        return any(op.type in ("QuantizeLinear", "DynamicQuantizeLinear") for op in graph.ops())
    tensors = (graph.find(name) for op in graph.ops() for name in op.outputs if name)
    return any(item is not None and item.quant is not None and item.dtype in QUANTIZED for item in tensors)


def has_halves(graph: Graph) -> bool:
    """Whether a tensor of the graph is of 16-bit floats."""
    return any(tensor.dtype in ("float16", "bfloat16") for tensor in graph.tensors.values())
