"""TensorFlow models to TFLite: the worker asked, its answer made part of the source model's story."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from ..errors import AccelintError, MissingExtraError, RuntimeFailure, UsageError, WorkerKilled
from ..formats import load
from ..ir.graph import Graph, Operator, Shape
from ..ir.model import Model
from ..processes import job as jobs
from .blockers import Blocker, from_errors, from_text
from .opmap import OpMap, op_map
from .options import OPTIMIZATIONS, Options, input_names, static_shapes

SOURCE, TARGET, FORMAT, FOLDER = "tf", "tflite", "tflite", False
TITLE = "TensorFlow"
DEFAULTS = Options()
WORKER = "accelint.analyzer.convert.workers.tf_to_tflite"


@dataclass(frozen=True, slots=True)
class Converted:
    """The outcome of a conversion.

    Attributes:
        path: the converted model, None where the model is not convertible. Without an output path it lies in
        a temporary folder that lives as long as this object. model: the converted model, loaded; None with
        ``path``. blockers: what is not convertible; empty where the model is. op_map: the converted
        operators' origins, None with ``path``. signature: the entry graph that was converted; ``others`` are
        those that were not. versions: of the converter.
    """

    path: Path | None
    model: Model | None
    blockers: tuple[Blocker, ...]
    op_map: OpMap | None
    signature: str
    others: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    _folder: Any = field(default=None, repr=False)


def to_tflite(source: Path | Model, options: Options | None = None, output: Path | None = None) -> Converted:
    """Convert a SavedModel, a GraphDef or a Keras file to TFLite with TensorFlow's converter.

    What the model is not convertible is in the answer's ``blockers``. Raises UsageError for options that the
    model contradicts, ModelError when it cannot be read, MissingExtraError without TensorFlow, RuntimeFailure
    when the converter crashed or hung without a word about an operator.
    """
    job = _prepared(source, options or Options(), output)
    return _alone(job)


def all_to_tflite(sources: Sequence[tuple[Path | Model, Options]]) -> list[Converted | AccelintError]:
    """Convert several models with one worker, which spares the import of TensorFlow for all but one.

    What ``to_tflite`` would raise for a model stands in its place. When the worker crashes or runs out of
    time or memory, each model gets a worker of its own.
    """
    jobs_ = [_or_error(partial(_prepared, source, options, None)) for source, options in sources]
    ready = [job for job in jobs_ if isinstance(job, _Job)]
    try:
        answers = iter(_asked(ready) if ready else [])
    except MissingExtraError as error:
        return [error if isinstance(job, _Job) else job for job in jobs_]
    except WorkerKilled:
        raise
    except RuntimeFailure:
        return [_or_error(partial(_alone, job)) if isinstance(job, _Job) else job for job in jobs_]
    return [
        _or_error(partial(_finished, job, next(answers))) if isinstance(job, _Job) else job for job in jobs_
    ]


def _alone(job: _Job) -> Converted:
    return _finished(job, _asked([job])[0])


T = TypeVar("T")


def _or_error(make: Callable[[], T]) -> T | AccelintError:
    try:
        return make()
    except AccelintError as error:
        return error


@dataclass(frozen=True, slots=True)
class _Job:
    """One conversion: what the worker is told, and what its answer is read against."""

    request: dict[str, Any]
    signature: str
    graph: Graph
    model: Model
    options: Options
    target: Path
    folder: Any

    @property
    def others(self) -> tuple[str, ...]:
        """The entry graphs that are not converted."""
        return tuple(sorted(name for name, other in self.model.graphs.items() if other is not self.graph))


def _prepared(source: Path | Model, options: Options, output: Path | None) -> _Job:
    """Raises MissingExtraError before anything is read."""
    if find_spec("tensorflow") is None:
        raise MissingExtraError("tensorflow", "tensorflow", "converting to TFLite")
    return prepared(source, options, output, ".tflite")


def prepared(source: Path | Model, options: Options, output: Path | None, ending: str) -> _Job:
    """What a worker is told about a model; a Keras model is traced again when shapes are fixed."""
    model = source if isinstance(source, Model) else load(source)
    request, signature, graph = _request(model, options)
    if model.format == "keras" and options.fixes_shapes:
        from ..formats.keras.reader import read_static

        model = read_static(model.path, static_shapes(graph, options))
        request, signature, graph = _request(model, options)
    folder = None if output else jobs.Scratch("accelint-convert-")
    target = output or (folder.path if folder else Path()) / f"{model.path.stem}{ending}"
    return _Job(
        {**request, "output": str(target.absolute())}, signature, graph, model, options, target, folder
    )


def _asked(asked: Sequence[_Job]) -> list[dict[str, Any]]:
    """The worker's answers; a crash that names operators is an answer of its own."""
    seconds, memory = sum(job.options.seconds for job in asked), _most(job.options.memory for job in asked)
    request = {"requests": [job.request for job in asked]}
    try:
        answers: list[dict[str, Any]] = jobs.run(WORKER, request, seconds=seconds, memory=memory)["answers"]
    except RuntimeFailure as error:
        if len(asked) == 1 and from_text(error.message):
            return [{"refused": [], "message": error.message}]
        raise
    return answers


def _most(limits: Iterable[int | None]) -> int | None:
    """The largest limit, None when one of them has none of its own."""
    given = list(limits)
    return None if None in given else max(filter(None, given))


def _finished(job: _Job, answer: dict[str, Any]) -> Converted:
    versions = {"tensorflow": str(answer.get("tensorflow", ""))}
    if "size" not in answer:
        return Converted(None, None, _blockers(job.graph, answer), None, job.signature, job.others, versions)
    made = load(job.target)
    return Converted(
        job.target, made, (), op_map(job.graph, made), job.signature, job.others, versions, job.folder
    )


def _request(model: Model, options: Options) -> tuple[dict[str, Any], str, Graph]:
    if model.dialect != "tf":
        raise UsageError(
            f"{model.path}: {model.format} models are not converted; give a SavedModel, a "
            f"GraphDef or a .keras file"
        )
    if options.optimize not in OPTIMIZATIONS:
        raise UsageError(f"no optimization {options.optimize!r}: choose one of {', '.join(OPTIMIZATIONS)}")
    signature = options.signature or str(model.metadata.get("signature", "main"))
    if signature not in model.graphs:
        raise UsageError(
            f"{model.path} has no signature {signature!r}: choose one of {', '.join(sorted(model.graphs))}"
        )
    graph = model.graphs[signature]
    shapes = static_shapes(graph, options)
    names = input_names(graph)
    folder = _folder(model)
    stored = model.metadata.get("signatures", {}).get(signature, {})
    request = {
        "model": str(folder.absolute()),
        "kind": "savedmodel" if folder.is_dir() else "graphdef",
        "tags": list(model.metadata.get("tags", ())),
        "signature": signature,
        "inputs": {name: _plain(shape) for name, shape in shapes.items()},
        "dtypes": {name: graph.tensor(tensor).dtype for tensor, name in names.items()},
        "feeds": {name: tensor for tensor, name in names.items()},
        "fetches": stored.get("outputs")
        or {f"output_{index}": tensor for index, tensor in enumerate(graph.outputs)},
        "static": all(
            shape is not None and all(isinstance(dim, int) for dim in shape) for shape in shapes.values()
        ),
        "select_tf_ops": options.select_tf_ops,
        "allow_custom_ops": options.allow_custom_ops,
        "optimize": options.optimize,
        "data": str(options.data.absolute()) if options.data else None,
        "samples": options.samples,
        "seed": options.seed,
    }
    return request, signature, graph


def _folder(model: Model) -> Path:
    """The SavedModel or GraphDef behind a model; a Keras file's is the one that its reader exported."""
    if model.format == "keras":
        return Path(model.stored.path) / "model"
    if model.path.is_file() and "tags" in model.metadata:
        return model.path.parent
    return model.path


def _plain(shape: Shape) -> list[int | None] | None:
    return None if shape is None else [dim if isinstance(dim, int) else None for dim in shape]


def _blockers(graph: Graph, answer: dict[str, Any]) -> tuple[Blocker, ...]:
    """What the converter told, each blocker with the operator of the source model that it means."""
    message = str(answer.get("message", ""))
    found = from_errors(answer.get("refused", ())) or from_text(message)
    if not any(blocker.type for blocker in found):
        found = from_text(message) or found
    if not found:
        found = [
            Blocker(
                "",
                "",
                "",
                "other",
                message.strip().splitlines()[-1] if message.strip() else "no reason given",
            )
        ]
    operators = {op.name: op for _, op in graph.walk()}
    return tuple(blocker for item in found for blocker in _placed(item, operators))


def _placed(blocker: Blocker, operators: dict[str, Operator]) -> Iterable[Blocker]:
    """The blocker at its operator; at every operator of its type when the converter named only that."""
    op = operators.get(blocker.node)
    if op is not None:
        return [replace(blocker, operator=op.id, code=op.source.code or blocker.code)]
    alike = (
        [op for op in operators.values() if blocker.type and op.type == blocker.type]
        if not blocker.node
        else []
    )
    return [replace(blocker, node=op.name, operator=op.id, code=op.source.code) for op in alike] or [blocker]


convert = to_tflite
