"""What is known before the model runs is computed when it is loaded.

Source: onnxruntime/core/optimizer/constant_folding.cc, ``RemoveNodesWithOneOutputBottomUp`` of
core/graph/graph_utils.cc and ``InlineIfSubgraph`` of core/graph/graph.cc; measured on 1.31.1. The exceptions:

- a Shape is folded only where every size of its input is known, even when that one is all that is asked
  for (``Shape -> Gather`` of a partly dynamic shape stays);
- Size is folded where its input is a constant, however well the input's shape is known;
- operators of Microsoft's and other domains stay, and what draws random numbers, holds subgraphs or gives
  something else than a tensor;
- operators whose result's size depends on values in a way that no inference follows stay (NonZero, Compress);
- DequantizeLinear stays, unless a QuantizeLinear follows behind one operator and the whole unit is constant;
- what the CPU provider has no kernel for stays: most arithmetic on float16 and all on bfloat16.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ...errors import GraphError
from ...ir.graph import Constant, Operator, Tensor
from .. import values
from ..board import Board, Fate
from ..likes import like

Kernel = Callable[[Board, Operator], bool]
"""Whether ONNX Runtime's CPU provider has a kernel for an operator."""
_BY = "ConstantFolding"


def fold(board: Board, kernel: Kernel) -> None:
    """One walk over a graph."""
    stays = board.types("stays") | board.types("random")
    for op in board.ops():
        op = board.get(op.id) or op
        if board.get(op.id) is None or op.domain != "" or op.type == "Constant":
            continue
        if op.type == "If":
            _inline_branch(board, op)
        elif op.type == "Shape":
            _fold_shape(board, op)
        elif op.type not in stays and not op.graphs:
            _fold(board, op, kernel)


def _fold_shape(board: Board, op: Operator) -> None:
    sizes = board.sizes(op.input(0))
    if sizes is None or not op.outputs[0]:
        return
    span = slice(op.attrs.get("start", 0), op.attrs.get("end"))
    _replace(board, op, [values.listed(sizes[span])])


def _fold(board: Board, op: Operator, kernel: Kernel) -> None:
    if not op.inputs and op.type != "Constant" and not op.outputs:
        return
    inputs: list[Constant | None] = []
    for name in op.inputs:
        value = board.constant(name) if name else None
        if name and value is None:
            return
        inputs.append(value)
    if op.type == "DequantizeLinear" and not _unit_folds(board, op):
        return
    if not _has_kernel(board, op, kernel):
        return
    results = _results(board, op, inputs)
    if results is not None:
        _replace(board, op, results)


def _has_kernel(board: Board, op: Operator, kernel: Kernel) -> bool:
    """Whether there is a kernel; of float16 one of its own, since casts are only inserted afterwards."""
    if any(board.dtype(name) == "float16" for name in (*op.inputs, *op.outputs) if name):
        return op.type in board.types("half-kernels")
    return kernel(board, op)


def _results(board: Board, op: Operator, inputs: list[Constant | None]) -> list[Constant] | None:
    """The constants that an operator gives, those of known shape to be computed when they are asked for."""
    told = [board.find(name) if name else Tensor("", "float32", ()) for name in op.outputs]
    if any(tensor is None for tensor in told):
        return None
    likes = [_like(tensor) for tensor in told if tensor is not None]
    if None in likes:
        alone = like(op, inputs)
        likes = [alone] if alone is not None else likes
    try:
        made = values.now(op, inputs) if None in likes else []
    except GraphError:
        return None
    if made and all(item.length <= values.HELD for item in made):
        return made
    # what is large is computed anew when somebody asks: kept, a chain of weights would be kept at every step
    return [
        values.later(op, inputs, place, item) for place, item in enumerate(made or likes) if item is not None
    ]


def _like(tensor: Tensor) -> Constant | None:
    if tensor.shape is None or not all(isinstance(dim, int) for dim in tensor.shape):
        return None
    sizes = tuple(dim for dim in tensor.shape if isinstance(dim, int))
    return Constant(tensor.dtype, sizes) if values.known(tensor.dtype, sizes) else None


def _unit_folds(board: Board, op: Operator) -> bool:
    """DequantizeLinear, one operator of one operand, QuantizeLinear: all of it is constant."""
    inner = board.sole(op)
    if inner is None or inner.graphs or len(inner.inputs) != 1 or len(inner.outputs) != 1:
        return False
    after = board.sole(inner, "QuantizeLinear")
    return after is not None and all(board.constant(name) is not None for name in after.inputs[1:] if name)


def _replace(board: Board, op: Operator, results: list[Constant]) -> None:
    makers = [maker for name in op.inputs if (maker := board.maker(name)) is not None]
    board.remove(op, _BY)
    for name, value in zip(op.outputs, results, strict=False):
        if name:
            board.store(name, value)
    for maker in makers:
        remove_unread(board, maker)


def remove_unread(board: Board, start: Operator) -> None:
    """Take away an operator whose only result was read by one that is gone, and what only fed it."""
    todo = [start]
    while todo:
        op = todo.pop()
        if board.get(op.id) is not op or board.edges(op) or board.gives_output(op) or op.type == "Constant":
            continue
        makers = [maker for name in op.inputs if (maker := board.maker(name)) is not None]
        board.drop(op, _BY)
        todo += makers


def _inline_branch(board: Board, op: Operator) -> None:
    """An If whose condition is a constant becomes the operators of the branch that is taken."""
    condition = board.number(op.inputs[0])
    branch = board.bodies.get(op.id, {}).get("then_branch" if condition else "else_branch")
    if condition is None or branch is None or not board.has("InlineIf"):
        return
    names: dict[str, str] = {}
    moved = branch.ops()
    results = dict(zip(branch.outputs, op.outputs, strict=False))
    for name, tensor in branch.tensors.items():
        target = results.get(name) if branch.constant(name) is None or branch.maker(name) else None
        names[name] = target or board.fresh(name)
        board.tensors.setdefault(names[name], replace(tensor, name=names[name]))
    bodies = {inner.id: branch.bodies[inner.id] for inner in moved if inner.id in branch.bodies}
    if bodies:
        return
    board.bodies[op.id] = {key: body for key, body in board.bodies[op.id].items() if body is not branch}
    board.remove(op, _BY)
    for inner in moved:
        inputs = tuple(names.get(name, name) if name else None for name in inner.inputs)
        outputs = tuple(names[name] if name else None for name in inner.outputs)
        board.put(replace(inner, inputs=inputs, outputs=outputs))
    _give(board, op, branch, names)


def _give(board: Board, op: Operator, branch: Board, names: dict[str, str]) -> None:
    """Results of the If that no operator of the branch writes are copies of what the branch gives back."""
    for inner, result in zip(branch.outputs, op.outputs, strict=False):
        source = names.get(inner, inner)
        if not result or source == result:
            continue
        made = Operator(board.fresh_id(), "Identity", (source,), (result,), version=op.version)
        board.log.made[made.id] = op.id
        board.put(made)


__all__ = ["Fate", "Kernel", "fold", "remove_unread"]
