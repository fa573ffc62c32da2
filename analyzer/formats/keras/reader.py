"""Keras v3 files: built by Keras in a worker process, then read as the SavedModel that Keras exports.

A ``.keras`` file holds a configuration, not a graph, so only Keras can tell the operators. No code inside a
model is ever run: what ``keras_config`` objects to is refused before the worker starts, and the worker loads
in safe mode.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...errors import JobFailed, MissingExtraError, ModelError, RuntimeFailure, WorkerKilled
from ...ir.graph import Dim, Shape
from ...ir.model import Model
from ...processes import job as jobs
from ..tf import reader as tf_reader
from .config import objection

MAX_CONFIG = 32 << 20
"""Bytes of config.json that are read; the largest published configurations have a few MB."""
MAX_VALUES = 1_000_000
"""Values in config.json: one takes up to 250 bytes when it is parsed, and two in the file."""


def read(path: Path) -> Model:
    """Read a Keras v3 file. The graph is TensorFlow's; ``metadata["layers"]`` lists the Keras layers.

    Raises ModelError for a damaged file, stored code, a custom class and a model that Keras cannot build,
    MissingExtraError without TensorFlow.
    """
    path = Path(path)
    about = vetted(path)
    if find_spec("tensorflow") is None or find_spec("keras") is None:
        raise MissingExtraError("tensorflow", "tensorflow", "reading a Keras file")
    folder = jobs.Scratch("accelint-keras-")
    answer = export(path, folder.path / "model")
    model = tf_reader.read(folder.path / "model")
    metadata = {
        **model.metadata,
        "producer": f"keras {about.get('keras_version', 'unknown')}",
        "layers": answer["layers"],
        "built_with": {"keras": answer["keras"], "tensorflow": answer["tensorflow"]},
    }
    # The constants' bytes stay in the exported folder, which lives as long as the model.
    return Model(path, "keras", model.graph, model.graphs, model.functions, metadata, stored=folder)


def vetted(path: Path) -> dict[str, Any]:
    """What metadata.json says of a file whose configuration may be given to Keras. Raises ModelError."""
    config, about = _members(path)
    found = objection(config)
    if found is not None:
        raise ModelError(path, found.problem, found.advice)
    return about


def read_static(path: Path, shapes: Mapping[str, Shape]) -> Model:
    """The same model traced with other shapes by input name, for converters that need them known while
    tracing.

    Recurrent layers bake the batch size into the graph: a SavedModel that was traced without one cannot get
    it later.
    """
    folder = jobs.Scratch("accelint-keras-")
    export(
        path,
        folder.path / "model",
        {name: list(shape) for name, shape in shapes.items() if shape is not None},
    )
    model = tf_reader.read(folder.path / "model")
    return Model(path, "keras", model.graph, model.graphs, model.functions, model.metadata, stored=folder)


def export(path: Path, output: Path, shapes: Mapping[str, Sequence[Dim]] | None = None) -> dict[str, Any]:
    """Let Keras export a file as a SavedModel into ``output``. Raises ModelError when it cannot."""
    request = {"model": str(path.absolute()), "output": str(output), "shapes": dict(shapes or {})}
    try:
        return jobs.run("accelint.analyzer.formats.keras.worker", request)
    except JobFailed as error:
        first = error.message.strip().splitlines()[0]
        raise ModelError(
            path, f"Keras cannot build it: {first}", "open it with keras.saving.load_model to see more"
        ) from error
    except WorkerKilled:
        raise  # it tells nothing about the file
    except RuntimeFailure as error:
        raise ModelError(
            path, f"Keras did not finish building it: {error.message}", "the file is damaged or too large"
        ) from error


def _members(path: Path) -> tuple[Any, dict[str, Any]]:
    """The parsed config.json and metadata.json."""
    try:
        with zipfile.ZipFile(path) as archive:
            config, about = (_json(path, archive, name) for name in ("config.json", "metadata.json"))
    except (
        zipfile.BadZipFile,
        zlib.error,
        OSError,
        KeyError,
        NotImplementedError,
        RuntimeError,
        EOFError,
    ) as error:
        raise ModelError(path, f"a damaged Keras file: {error}", "save it again") from error
    return config, about if isinstance(about, dict) else {}


def _json(path: Path, archive: zipfile.ZipFile, name: str) -> Any:
    if archive.getinfo(name).file_size > MAX_CONFIG:
        raise ModelError(
            path, f"{name} has {archive.getinfo(name).file_size} bytes", "the file is damaged or hostile"
        )
    with archive.open(name) as stream:
        data = stream.read(MAX_CONFIG)
    values = sum(data.count(mark) for mark in (b"[", b"{", b","))
    if values > MAX_VALUES:
        raise ModelError(path, f"{name} holds {values} values", "the file is damaged or hostile")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelError(path, f"{name} is no JSON: {error}", "save it again") from error
