"""Every operator gets a DequantizeLinear of its own: node units share none.

Source: core/optimizer/qdq_transformer/ensure_unique_dq_for_node_unit.cc of ONNX Runtime, which runs before
the first level and at its end.
"""

from __future__ import annotations

from dataclasses import replace

from ...ir.graph import Operator
from ..board import Board


def unshare(board: Board) -> None:
    """One walk over a graph."""
    for op in board.ops():
        if op.type == "DequantizeLinear" and board.edges(op) + board.gives_output(op) > 1:
            _unshare(board, op)


def _unshare(board: Board, op: Operator) -> None:
    """All readers but the first, or all where the result is an output or a subgraph reads it, get copies."""
    name = op.outputs[0] or ""
    places = [
        (reader.id, place)
        for reader in board.readers(name)
        for place, read in enumerate(reader.inputs)
        if read == name
    ]
    held = board.gives_output(op) or board.edges(op) > len(places)
    for id, place in places if held else places[1:]:
        reader = board.get(id)
        assert reader is not None
        new = board.fresh(f"{name}_copy")
        board.tensors[new] = replace(board.tensors[name], name=new)
        copy = replace(op, id=board.fresh_id(), outputs=(new,), name=f"{op.name}/copy")
        board.add(copy, board.log.made.get(op.id, op.id))
        inputs = list(reader.inputs)
        inputs[place] = new
        board.update(reader, inputs=tuple(inputs))
