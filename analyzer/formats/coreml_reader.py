"""Core ML models: ``.mlpackage`` and ``.mlmodel``, ML Programs (dialect ``mil``) and NeuralNetworks (dialect ``nn``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import GraphError, ModelError
from ..graph import Graph, Operator, Source, Tensor
from ..model import Model
from . import coreml_mil, coreml_nn
from .coreml_mil import Place
from .coreml_package import Blobs, root_model
from .coreml_schema import message
from .coreml_wire import strip

if TYPE_CHECKING:
    from pathlib import Path

NETWORKS = ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor")
PIPELINES = ("pipeline", "pipelineClassifier", "pipelineRegressor")
_MAX_STAGES = 1024


@dataclass(eq=False)
class Stored:
    """The reader's record of the file, for the writer.

    Attributes:
        spec: the specification, its large values replaced by their places in ``file``.
        file: the specification file.
        package: the ``.mlpackage`` folder, None for an ``.mlmodel``.
        parts: by graph name, the ``MILSpec.Function`` or NeuralNetwork message that holds it.
        original: by graph name, the graph as it was read.
    """

    spec: Any
    file: Path
    package: Path | None
    parts: dict[str, Any] = field(default_factory=dict)
    original: dict[str, Graph] = field(default_factory=dict)


def read(path: Path) -> Model:
    """Read a Core ML model. Raises ModelError, which names the file and what to do."""
    package = path if path.is_dir() else None
    file = root_model(path) if package else path
    spec = _parse(path, file)
    stored = Stored(spec, file, package)
    try:
        graphs = _graphs(spec, "", stored, Place(path, file, Blobs(file, path)))
    except GraphError as error:
        raise ModelError(path, error.message, "the file is damaged: export it again") from error
    stored.original = {name: graph.copy() for name, graph in graphs.items()}
    return Model(path, "mlpackage" if package else "mlmodel", _main(spec, graphs), graphs, {}, _metadata(spec), stored)


def _parse(path: Path, file: Path) -> Any:
    from google.protobuf.message import DecodeError

    try:
        return message("Model").FromString(strip(file))
    except OSError as error:
        raise ModelError(path, f"cannot be read: {error.strerror}", "check the permissions") from error
    except DecodeError as error:
        raise ModelError(path, f"no Core ML specification: {error}", "the file is damaged or cut off: export it again") from error


def _graphs(spec: Any, prefix: str, stored: Stored, place: Place) -> dict[str, Graph]:
    """The entry graphs of a model, those of a pipeline's stages included. Raises ModelError when there are none."""
    kind = spec.WhichOneof("Type")
    if kind == "mlProgram":
        return _program(spec, prefix, stored, place)
    if kind in NETWORKS:
        net = getattr(spec, kind)
        name = prefix or "main"
        stored.parts[name] = net
        return {name: coreml_nn.network(name, net, spec.description, place)}
    if kind in PIPELINES:
        return _stages(spec, kind, prefix, stored, place)
    if kind is None:
        problem = "no model in the specification, or one of a kind that is newer than accelint"
        raise ModelError(place.path, problem, "update accelint, or export it again")
    problem = f"a {kind} model has no operators to place"
    raise ModelError(place.path, problem, "give a neural network, an ML Program or a pipeline with one")


def _program(spec: Any, prefix: str, stored: Stored, place: Place) -> dict[str, Graph]:
    functions = spec.mlProgram.functions
    names = {name: _join(prefix, name, alone=len(functions) == 1) for name in sorted(functions)}
    graphs = coreml_mil.functions(spec.mlProgram, spec.description, place, names)
    stored.parts.update((names[name], functions[name]) for name in names)
    return graphs


def _join(prefix: str, name: str, *, alone: bool) -> str:
    """The name of a function's graph: a pipeline's stage goes before it, and stands for its only function."""
    if not prefix:
        return name
    return prefix if alone else f"{prefix}.{name}"


def _stages(spec: Any, kind: str, prefix: str, stored: Stored, place: Place) -> dict[str, Graph]:
    """The graphs of a pipeline; a stage without operators (NonMaximumSuppression, ...) is one operator of its kind."""
    pipeline = getattr(spec, kind)
    pipeline = pipeline if kind == "pipeline" else pipeline.pipeline
    if len(pipeline.models) > _MAX_STAGES:
        raise ModelError(place.path, f"a pipeline of {len(pipeline.models)} stages", "the file is damaged")
    graphs: dict[str, Graph] = {}
    for index, stage in enumerate(pipeline.models):
        given = pipeline.names[index] if index < len(pipeline.names) else ""
        name = _join(prefix, given or f"stage{index}", alone=False)
        while name in graphs:
            name += f"#{index}"
        inner = stage.WhichOneof("Type")
        opaque = inner not in (*NETWORKS, *PIPELINES, "mlProgram")
        graphs.update({name: _opaque(name, stage, place)} if opaque else _graphs(stage, name, stored, place))
    if not any(name in stored.parts for name in graphs):
        raise ModelError(place.path, "a pipeline whose stages have no operators to place", "give a model with a neural network in it")
    return graphs


def _opaque(name: str, stage: Any, place: Place) -> Graph:
    """A stage that is one step of its own."""
    kind = stage.WhichOneof("Type") or "unknown"
    graph = Graph(name, "nn")
    reads = list(dict.fromkeys(item.name for item in stage.description.input))
    writes = list(dict.fromkeys(item.name for item in stage.description.output))
    for item in reads:
        graph.add_tensor(Tensor(item))
    outputs = [item if item not in reads else f"{item}#1" for item in writes]
    for item in outputs:
        graph.add_tensor(Tensor(item))
    graph.add_op(Operator(f"{name}/0", kind, tuple(reads), tuple(outputs), name=name, source=Source(str(place.path))))
    graph.set_interface(reads, outputs)
    return graph


def _main(spec: Any, graphs: dict[str, Graph]) -> Graph:
    """The default function, ``main``, or the stage with the most operators."""
    for name in (spec.description.defaultFunctionName, "main"):
        if name in graphs:
            return graphs[name]
    return max(graphs.values(), key=len)


def _metadata(spec: Any) -> dict[str, Any]:
    about = spec.description.metadata
    found = {
        "specification_version": spec.specificationVersion,
        "kind": spec.WhichOneof("Type"),
        "author": about.author,
        "description": about.shortDescription,
        "version": about.versionString,
        "license": about.license,
        "properties": {key: about.userDefined[key] for key in sorted(about.userDefined)},
    }
    return {key: value for key, value in found.items() if value}
