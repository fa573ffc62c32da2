"""Shapes that a GraphDef file does not store, inferred by TensorFlow in a process of its own."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...errors import JobFailed, MissingExtraError, ModelError
from ...ir.graph import Shape
from ...ir.model import Model
from ...processes import job as jobs


def infer(model: Model) -> int:
    """Give the tensors of a GraphDef's main graph the shapes that TensorFlow infers; returns how many were
    unknown and are known now.

    SavedModels store their shapes, so nothing is asked for them. Raises MissingExtraError without TensorFlow
    and ModelError when TensorFlow cannot import the graph.
    """
    graph = model.graph
    unknown = [tensor for tensor in graph.tensors.values() if tensor.shape is None]
    if not unknown or not model.path.is_file() or "frozen" not in model.metadata:
        return 0
    if find_spec("tensorflow") is None:
        raise MissingExtraError("tensorflow", "tensorflow", "inferring the shapes of a GraphDef")
    try:
        shapes = jobs.run(__name__, {"model": str(model.path.absolute())})["shapes"]
    except JobFailed as error:
        raise ModelError(
            model.path,
            f"TensorFlow cannot import the graph: {error.message.splitlines()[0]}",
            "export it again",
        ) from error
    found = 0
    for tensor in unknown:
        shape = _shape(shapes.get(tensor.name))
        if shape is not None:
            graph.set_tensor(replace(tensor, shape=shape))
            found += 1
    return found


def _shape(dims: list[int | None] | None) -> Shape:
    return None if dims is None else tuple(dims)


def run(request: dict[str, Any]) -> dict[str, Any]:
    """In the worker: the shape of every output of every node, None where the rank is unknown."""
    import tensorflow as tf

    graph_def = tf.compat.v1.GraphDef.FromString(Path(request["model"]).read_bytes())
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")
    tensors = [tensor for op in graph.get_operations() for tensor in op.outputs]
    return {
        "shapes": {
            tensor.name: tensor.shape.as_list() if tensor.shape.rank is not None else None
            for tensor in tensors
        }
    }
