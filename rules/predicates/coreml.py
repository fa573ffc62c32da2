"""Predicates of the Core ML packs."""

from __future__ import annotations

from ...analyzer.ir.graph import Graph, Operator
from ..conditions import Context, Outcome
from . import holds_if, predicate

_BLOCKWISE = ("constexpr_blockwise_shift_scale", "constexpr_sparse_blockwise_shift_scale")


@predicate("weights_without_blocks")
def weights_without_blocks(graph: Graph, op: Operator, context: Context) -> Outcome:
    """No operand has a scale for each block: the scales of a compressed weight vary along one axis at most.

    iOS 18 stores per-tensor, per-channel and blockwise quantization in one operator; only the scale's shape
    tells.
    """
    for name in op.inputs:
        writer = graph.producer(name)
        if writer is None or writer.type not in _BLOCKWISE:
            continue
        names = tuple(writer.attrs.get("input_names", ()))
        scale = graph.find(writer.inputs[names.index("scale")] or "") if "scale" in names else None
        if scale is None or scale.shape is None or sum(dim != 1 for dim in scale.shape) > 1:
            return holds_if(
                False,
                f"{writer.type} with scales of shape {None if scale is None else scale.shape}",
                "scales along one axis",
            )
    return holds_if(True, "", "")


@predicate("no_scale_over_a_table")
def no_scale_over_a_table(graph: Graph, op: Operator, context: Context) -> Outcome:
    """No weight is a lookup table of float16 values with scales over it."""
    for name in op.inputs:
        writer = graph.producer(name)
        if writer is None or writer.type not in _BLOCKWISE:
            continue
        under = graph.producer(writer.input(0))
        if under is not None and under.type.startswith("constexpr_lut_to"):
            return holds_if(False, f"{writer.type} over {under.type}", "one of them")
    return holds_if(True, "", "")


@predicate("states_at_most")
def states_at_most(graph: Graph, op: Operator, context: Context, most: int) -> Outcome:
    """The function that the operator belongs to has at most ``most`` states."""
    function = graph
    while function.outer is not None:
        function = function.outer
    count = sum(1 for name in function.inputs if function.tensor(name).attrs.get("is_variable"))
    return holds_if(count <= most, f"{count} states", f"{most} states")
