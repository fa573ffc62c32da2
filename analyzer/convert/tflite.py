"""TensorFlow models to TFLite: the worker asked, its answer made part of the source model's story."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .. import jobs
from ..errors import JobRefused, MissingExtraError, RuntimeFailure, UsageError
from ..formats import load
from ..graph import Graph, Operator, Shape
from ..model import Model
from .opmap import OpMap, op_map
from .options import OPTIMIZATIONS, Options, fixed_shapes, input_names
from .refusals import Refusal, from_errors, from_text

WORKER = "accelint.analyzer.convert.tensorflow"


@dataclass(frozen=True, slots=True)
class Converted:
    """The outcome of a conversion.

    Attributes:
        path: the converted model, None when the converter refused. Without an output path it lies in a temporary
            folder that lives as long as this object.
        model: the converted model, loaded; None with ``path``.
        refusals: why the converter refused; empty when it did not.
        op_map: the converted operators' origins, None with ``path``.
        signature: the entry graph that was converted; ``others`` are those that were not.
        versions: of the converter.
    """

    path: Path | None
    model: Model | None
    refusals: tuple[Refusal, ...]
    op_map: OpMap | None
    signature: str
    others: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    _folder: Any = field(default=None, repr=False)


def to_tflite(source: Path | Model, options: Options | None = None, output: Path | None = None) -> Converted:
    """Convert a SavedModel, a GraphDef or a Keras file to TFLite with TensorFlow's converter.

    What the converter refuses is in the answer's ``refusals``. Raises UsageError for options that the model
    contradicts, ModelError when it cannot be read, MissingExtraError without TensorFlow, RuntimeFailure when the
    converter crashed or hung without a word about an operator.
    """
    options = options or Options()
    model = source if isinstance(source, Model) else load(source)
    request, signature, graph = _request(model, options)
    if model.format == "keras" and options.fixes_shapes:
        from ..formats.keras_reader import read_fixed

        model = read_fixed(model.path, fixed_shapes(graph, options))
        request, signature, graph = _request(model, options)
    folder = None if output else jobs.Scratch("accelint-tflite-")
    target = output or (folder.path if folder else Path()) / f"{model.path.stem}.tflite"
    request["output"] = str(target.absolute())
    others = tuple(sorted(name for name, other in model.graphs.items() if other is not graph))
    answer = _asked(request, options)
    versions = {"tensorflow": str(answer.get("tensorflow", ""))}
    if "size" not in answer:
        return Converted(None, None, _refusals(graph, answer), None, signature, others, versions)
    made = load(target)
    return Converted(target, made, (), op_map(graph, made), signature, others, versions, folder)


def _asked(request: dict[str, Any], options: Options) -> dict[str, Any]:
    if find_spec("tensorflow") is None:
        raise MissingExtraError("tensorflow", "tensorflow", "converting to TFLite")
    try:
        return jobs.run(WORKER, request, seconds=options.seconds, memory=options.memory)
    except JobRefused as error:
        return {"refused": [], "message": error.message}
    except RuntimeFailure as error:
        if from_text(error.message):
            return {"refused": [], "message": error.message}
        raise


def _request(model: Model, options: Options) -> tuple[dict[str, Any], str, Graph]:
    if model.dialect != "tf":
        raise UsageError(
            f"{model.path}: a {model.format} model is not converted by TensorFlow; give a SavedModel, a GraphDef or a .keras file"
        )
    if options.optimize not in OPTIMIZATIONS:
        raise UsageError(f"no optimization {options.optimize!r}: choose one of {', '.join(OPTIMIZATIONS)}")
    signature = options.signature or str(model.metadata.get("signature", "main"))
    if signature not in model.graphs:
        raise UsageError(f"{model.path} has no signature {signature!r}: choose one of {', '.join(sorted(model.graphs))}")
    graph = model.graphs[signature]
    shapes = fixed_shapes(graph, options)
    names = input_names(graph)
    folder = _folder(model)
    request = {
        "model": str(folder.absolute()),
        "kind": "savedmodel" if folder.is_dir() else "graphdef",
        "tags": list(model.metadata.get("tags", ())),
        "signature": signature,
        "inputs": {name: _plain(shape) for name, shape in shapes.items()},
        "dtypes": {name: graph.tensor(tensor).dtype for tensor, name in names.items()},
        "feeds": {name: tensor for tensor, name in names.items()},
        "fetches": {f"output_{index}": tensor for index, tensor in enumerate(graph.outputs)},
        "static": all(shape is not None and all(isinstance(dim, int) for dim in shape) for shape in shapes.values()),
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


def _refusals(graph: Graph, answer: dict[str, Any]) -> tuple[Refusal, ...]:
    """What the converter told, each refusal with the operator of the source model that it means."""
    message = str(answer.get("message", ""))
    found = from_errors(answer.get("refused", ())) or from_text(message)
    if not any(refusal.type for refusal in found):
        found = from_text(message) or found
    if not found:
        found = [Refusal("", "", "", "other", message.strip().splitlines()[-1] if message.strip() else "no reason given")]
    operators = {op.name: op for _, op in graph.walk()}
    return tuple(refusal for item in found for refusal in _placed(item, operators))


def _placed(refusal: Refusal, operators: dict[str, Operator]) -> Iterable[Refusal]:
    """The refusal at its operator; at every operator of its type when the converter named only that."""
    op = operators.get(refusal.node)
    if op is not None:
        return [replace(refusal, operator=op.id, code=op.source.code or refusal.code)]
    alike = [op for op in operators.values() if refusal.type and op.type == refusal.type] if not refusal.node else []
    return [replace(refusal, node=op.name, operator=op.id, code=op.source.code) for op in alike] or [refusal]
