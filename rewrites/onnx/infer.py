"""Shape inference after an edit, by onnx's own inference on the model without its weights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..freeze import learn

if TYPE_CHECKING:
    from ...analyzer.ir.graph import Graph, Shape
    from ...analyzer.ir.model import Model


def infer_onnx(model: Model) -> None:
    """Write what onnx can tell about every tensor into the graph and its bodies.

    Types that the file states stay where inference knows less; a failed inference changes nothing.
    """
    from ...analyzer.formats.onnx.build import Builder
    from ...analyzer.formats.onnx.infer import infer_missing

    proto = Builder(model).model()
    _forget_open(proto.graph)
    _forget_negative(proto.graph)
    inferred, _, _ = infer_missing(proto, proto.SerializeToString())
    todo: list[tuple[Graph, Any]] = [(model.graph, inferred.graph)]
    while todo:
        graph, twin = todo.pop()
        for info in (*twin.value_info, *twin.output, *twin.input):
            dtype, shape = _type(info)
            learn(graph, info.name, dtype, shape)
        for op, node in zip(graph.ops(), twin.node, strict=True):
            bodies = (
                {attribute.name: attribute.g for attribute in node.attribute if attribute.HasField("g")}
                if op.graphs
                else {}
            )
            todo += [(body, bodies[key]) for key, body in op.graphs.items() if key in bodies]
    _note_plain_shapes(model)


def _note_plain_shapes(model: Model) -> None:
    """What a runtime will see that carries no values: most shapes are stated in the edited file."""
    from ...analyzer.formats.onnx.build import Builder
    from ...analyzer.formats.onnx.carried import note_plain_shapes
    from ...analyzer.formats.onnx.stale import forget_stale

    model.graph.facts = replace(model.graph.facts, plain_shapes={})  # those of the graph before its edits
    note_plain_shapes(
        model.graph,
        Builder(model).model(),
        lambda proto, twin: {info.name: _type(info) for info in (*twin.value_info, *twin.output)},
    )
    forget_stale(model.graph)


def _forget_open(graph: Any) -> None:
    """Drop stated shapes with open sizes: their symbols date from before the freeze, and inference would keep
    them.
    """
    closed = [info for info in graph.value_info if _is_closed(info)]
    copies = [type(info).FromString(info.SerializeToString()) for info in closed]
    del graph.value_info[:]
    graph.value_info.extend(copies)


def _forget_negative(graph: Any) -> None:
    """Clear sizes below 0 of results, which some exporters write for unknown ones: inference would keep
    them as known.
    """
    for info in graph.output:
        for dim in info.type.tensor_type.shape.dim if info.type.HasField("tensor_type") else ():
            if dim.HasField("dim_value") and dim.dim_value < 0:
                dim.Clear()


def _is_closed(info: Any) -> bool:
    kind = info.type.tensor_type
    return (
        info.type.HasField("tensor_type")
        and kind.HasField("shape")
        and all(dim.HasField("dim_value") for dim in kind.shape.dim)
    )


def _type(info: Any) -> tuple[str, Shape]:
    from ...analyzer.formats.onnx.proto import DTYPES
    from ...analyzer.formats.onnx.types import INVENTED, symbol

    if not info.type.HasField("tensor_type"):
        return "unknown", None
    kind = info.type.tensor_type
    dtype = DTYPES.get(kind.elem_type, "unknown")
    if not kind.HasField("shape"):
        return dtype, None
    named = (None if dim.dim_param.startswith(INVENTED) else symbol(dim.dim_param) for dim in kind.shape.dim)
    return dtype, tuple(
        name if not dim.HasField("dim_value") else dim.dim_value if dim.dim_value >= 0 else None
        for dim, name in zip(kind.shape.dim, named, strict=True)
    )
