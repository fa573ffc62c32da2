"""Shapes in TFLite models, worked out by LiteRT's own kernels: the model is loaded and its tensors are
planned, nothing is run.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from ...rewrites.freeze import learn
from ..errors import RuntimeFailure
from ..processes.scratch import temporary

if TYPE_CHECKING:
    from ..ir.graph import Graph, Operator
    from ..ir.model import Model

Shapes = dict[str, tuple[int, ...]]


def infer_litert(model: Model) -> None:
    """Write every shape that LiteRT knows before the model runs into the main graph.

    Raises RuntimeFailure, with the runtime's words, when LiteRT is missing or cannot plan the model in these
    shapes.
    """
    from ..formats.tflite.writer import tensors_in_order, to_bytes
    from ..runtimes import Request, Session

    with temporary("shapes-") as folder, Session("litert/cpu") as session:
        file = folder / "model.tflite"
        file.write_bytes(to_bytes(model))
        answer = session.ask(Request(file, placement=False, options={"shapes": True}))
    if not answer.ok:
        advice = f": {answer.advice}" if answer.advice else ""
        raise RuntimeFailure(f"LiteRT cannot work out the shapes of {model.path}: {answer.reason}{advice}")
    names = [tensor.name for tensor in tensors_in_order(model)]
    planned = {
        names[int(index)]: tuple(shape) for index, shape in answer.notes["shapes"] if int(index) < len(names)
    }
    for name, shape in trusted(model.graph, planned).items():
        tensor = model.graph.tensor(name)
        if not tensor.static:
            learn(model.graph, name, tensor.dtype, shape)


def trusted(graph: Graph, planned: Shapes) -> Shapes:
    """The planned shapes that follow from the inputs.

    A RESHAPE to a computed shape is planned in the file's stored sizes, with ones for the unknown ones; that
    is right only when the number of elements fits. What is behind a wrong or unplanned tensor is not taken
    over.
    """
    known: Shapes = {name: planned[name] for name in graph.inputs if name in planned}
    for op in graph.ops():
        computed = [name for name in op.inputs if name and graph.constant(name) is None]
        if any(name not in known for name in computed) or not _follows(graph, op, planned):
            continue
        known.update((name, planned[name]) for name in op.outputs if name and name in planned)
    return known


def _follows(graph: Graph, op: Operator, planned: Shapes) -> bool:
    if op.type != "RESHAPE" or len(op.inputs) < 2 or graph.constant(op.inputs[1]) is not None:
        return True
    before, after = planned.get(op.inputs[0] or ""), planned.get(op.outputs[0] or "")
    return before is not None and after is not None and prod(before) == prod(after)
