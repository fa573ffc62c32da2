"""Operators through which a transpose can be pushed: see ``transposes``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ...ir.graph import Constant, Operator, Shape, Tensor
from .. import values
from ..board import Board

BY = "TransposeOptimizer"
Perm = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Push:
    """A transpose that is pushed through an operator."""

    board: Board
    transpose: Operator
    op: Operator
    perm: Perm
    places: tuple[int, ...]

    @property
    def inverse(self) -> Perm:
        """What undoes it."""
        return inverted(self.perm)


@dataclass(frozen=True, slots=True)
class Handler:
    """How a transpose goes through an operator: at which operands, what is changed, and whether the results
    are transposed then.
    """

    places: Callable[[Board, Operator], tuple[int, ...]]
    push: Callable[[Push], bool]
    outputs: bool = True


def inverted(perm: Perm) -> Perm:
    """The permutation that undoes another."""
    found = [0] * len(perm)
    for place, axis in enumerate(perm):
        found[axis] = place
    return tuple(found)


def perm_of(op: Operator | None) -> Perm | None:
    """The axes of a Transpose that states them."""
    if op is None or op.type != "Transpose" or op.domain:
        return None
    perm = op.attrs.get("perm")
    return tuple(perm) if perm and sorted(perm) == list(range(len(perm))) else None


def handler_of(board: Board, op: Operator) -> Handler | None:
    """How a transpose goes through an operator; None where it does not."""
    kind = board.book.kinds("pushed").get(op.type) if not op.domain else None
    return None if kind is None else _HANDLERS[kind]


def stored_behind(board: Board, name: str | None) -> Operator | None:
    """The DequantizeLinear with one scale that gives a value, where it reads a constant and is read once."""
    maker = board.maker(name)
    if maker is None or maker.type != "DequantizeLinear" or board.sole(maker) is None:
        return None
    scale = board.constant(maker.input(1))
    stored = board.constant(maker.inputs[0]) is not None and scale is not None and scale.elements == 1
    return maker if stored else None


# ---- what every push does --------------------------------------------------------------------


def _permuted(shape: Shape, perm: Perm) -> Shape:
    return tuple(shape[axis] for axis in perm) if shape is not None and len(shape) == len(perm) else None


def _transposed(value: Constant, perm: Perm) -> Constant:
    """A constant with its axes moved, computed when its bytes are asked for."""
    op = Operator("", "Transpose", ("x",), ("y",), {"perm": perm}, version=13)
    shape = tuple(value.shape[axis] for axis in perm)
    return values.later(op, [value], 0, Constant(value.dtype, shape))


def _stored(board: Board, stem: str, value: Constant) -> str:
    name = board.fresh(f"{stem}_transposed")
    board.tensors[name] = Tensor(name, value.dtype, value.shape, value)
    return name


def _made(push: Push, source: str, perm: Perm, result: str = "") -> str:
    """A Transpose of a tensor that stands for the pushed one."""
    board, old = push.board, push.board.find(source)
    name = result or board.fresh(f"{source}_transposed")
    dtype = old.dtype if old is not None else "unknown"
    board.tensors.setdefault(name, Tensor(name, dtype, _permuted(board.shape(source), perm)))
    origin = board.log.made.get(push.transpose.id, push.transpose.id)
    made = Operator(
        board.fresh_id(), "Transpose", (source,), (name,), {"perm": perm},
        name=f"{push.transpose.name}/pushed", version=push.transpose.version, source=push.transpose.source,
    )  # fmt: skip
    board.add(made, origin)
    return name


def _drop_unread(board: Board, op: Operator | None) -> None:
    current = board.get(op.id) if op is not None else None
    if current is not None and not board.edges(current) and not board.gives_output(current):
        board.drop(current, BY)


def _read(board: Board, op: Operator, place: int, name: str) -> Operator:
    inputs = list(op.inputs)
    inputs[place] = name
    return board.update(op, inputs=tuple(inputs))


def transpose_input(push: Push, op: Operator, place: int, perm: Perm) -> Operator:
    """Let an operator read an operand with its axes moved."""
    board, name = push.board, op.inputs[place]
    if not name:
        return op
    value = board.constant(name)
    if value is not None:
        if value.elements == 1 or len(value.shape) != len(perm):
            return op
        return _read(board, op, place, _stored(board, name, _transposed(value, perm)))
    behind = stored_behind(board, name)
    if behind is not None:
        stored = board.constant(behind.inputs[0])
        assert stored is not None
        if stored.elements > 1 and len(stored.shape) == len(perm):
            _read(board, behind, 0, _stored(board, behind.inputs[0] or "", _transposed(stored, perm)))
            old = board.tensors[name]
            board.tensors[name] = replace(old, shape=_permuted(old.shape, perm))
        return op
    maker = board.maker(name)
    found = perm_of(maker)
    if maker is not None and found is not None and len(found) == len(perm):
        source = maker.inputs[0] or ""
        if found != inverted(perm):
            source = _made(push, source, tuple(found[axis] for axis in perm))
        op = _read(board, op, place, source)
        _drop_unread(board, maker)
        return op
    for reader in board.readers(name):
        if perm_of(reader) == perm and reader.outputs[0]:
            return _read(board, op, place, reader.outputs[0])
    return _read(board, op, place, _made(push, name, perm))


def _transpose_outputs(push: Push, op: Operator, perm: Perm) -> None:
    """Let an operator write its results with their axes moved, each transposed back."""
    if perm == tuple(range(len(perm))):
        return
    board = push.board
    for place, name in enumerate(op.outputs):
        if not name:
            continue
        old = board.tensors[name]
        new = board.fresh(f"{name}_untransposed")
        board.tensors[new] = Tensor(new, old.dtype, _permuted(board.shape(name), inverted(perm)))
        outputs = list(op.outputs)
        outputs[place] = new
        op = board.update(op, outputs=tuple(outputs))
        _made(push, new, perm, result=name)


def _all(push: Push, op: Operator, out: Perm | None = None) -> bool:
    for place in push.places:
        op = transpose_input(push, op, place, push.inverse)
    _transpose_outputs(push, op, push.perm if out is None else out)
    return True


# ---- operators -------------------------------------------------------------------------------


def _every(board: Board, op: Operator) -> tuple[int, ...]:
    return tuple(range(len(op.inputs)))


def _first(board: Board, op: Operator) -> tuple[int, ...]:
    return (0,)


def _not_scalar(board: Board, op: Operator) -> tuple[int, ...]:
    return tuple(place for place, name in enumerate(op.inputs) if board.shape(name) != ())


def _simple(push: Push) -> bool:
    return _all(push, push.op)


def _broadcast(push: Push) -> bool:
    """Operands of fewer dimensions get leading ones first."""
    board, op, rank = push.board, push.op, len(push.perm)
    shapes = [board.shape(op.inputs[place]) for place in push.places]
    if any(shape is None or len(shape) > rank for shape in shapes):
        return False
    for place, shape in zip(push.places, shapes, strict=True):
        if shape is not None and len(shape) < rank:
            op = _unsqueezed(push, op, place, rank - len(shape))
    return _all(push, op)


def _unsqueezed(push: Push, op: Operator, place: int, count: int) -> Operator:
    board, name = push.board, op.inputs[place] or ""
    value = board.constant(name)
    if value is not None:
        wide = values.reshaped(value, (1,) * count + value.shape)
        return _read(board, op, place, _stored(board, name, wide))
    axes, result = values.listed(range(count)), board.fresh(f"{name}_unsqueezed")
    stored = _stored(board, f"{name}_axes", axes)
    old, shape = board.find(name), board.shape(name) or ()
    board.tensors[result] = Tensor(result, old.dtype if old else "unknown", (1,) * count + shape)
    old_form = op.version < 13
    made = Operator(
        board.fresh_id(), "Unsqueeze", (name,) if old_form else (name, stored), (result,),
        {"axes": tuple(range(count))} if old_form else {}, name=f"{op.name}/unsqueeze", version=op.version,
    )  # fmt: skip
    board.add(made, board.log.made.get(op.id, op.id))
    return _read(board, op, place, result)


def axis_of(op: Operator, rank: int, default: int | None) -> int | None:
    """The axis of an operator, counted from the first; None where there is none of that number."""
    axis = op.attrs.get("axis", default)
    return int(axis) % rank if axis is not None and -rank <= axis < rank else None


def _with_axis(default: int | None) -> Callable[[Push], bool]:
    def push_it(push: Push) -> bool:
        axis = axis_of(push.op, len(push.perm), default)
        if axis is None:
            return False
        op = push.board.update(push.op, attrs={**push.op.attrs, "axis": push.perm[axis]})
        return _all(push, op)

    return push_it


def _softmax(push: Push) -> bool:
    if push.op.version >= 13:
        return _with_axis(-1)(push)
    axis = axis_of(push.op, len(push.perm), 1)
    if axis is None or any((at < axis) != (to < axis) for at, to in enumerate(push.perm)):
        return False
    return _all(push, push.op)


def _axes(push: Push, place: int, since: int) -> list[int] | None:
    """Axes that are an attribute before an operator set and a constant operand from it on."""
    op = push.op
    found = op.attrs.get("axes") if op.version < since else push.board.numbers(op.input(place))
    return None if found is None else [int(axis) for axis in found]


def _with_axes(push: Push, axes: Sequence[int], place: int, since: int) -> Operator:
    op = push.op
    if op.version < since:
        return push.board.update(op, attrs={**op.attrs, "axes": tuple(axes)})
    inputs = [*op.inputs, *[None] * (place + 1 - len(op.inputs))]
    inputs[place] = _stored(push.board, "axes", values.listed(axes))
    return push.board.update(op, inputs=tuple(inputs))


def _moved(axes: Sequence[int], perm: Perm) -> list[int] | None:
    rank = len(perm)
    if any(not -rank <= axis < rank for axis in axes):
        return None
    return [perm[axis % rank] for axis in axes]


def _without(axes: Sequence[int], perm: Perm) -> Perm:
    """The permutation of what is left when axes are taken away."""
    left = [axis for axis in perm if axis not in axes]
    return tuple(axis - sum(1 for gone in axes if gone < axis) for axis in left)


def _reduce(push: Push) -> bool:
    op = push.op
    since = 13 if op.type == "ReduceSum" else 18
    given = op.attrs.get("axes") if op.version < since else op.input(1)
    keeps = bool(op.attrs.get("keepdims", 1))
    if not given:
        stays = keeps or bool(op.attrs.get("noop_with_empty_axes", 0))
        return _all(push, op, push.perm if stays else ())
    axes = _axes(push, 1, since)
    moved = None if axes is None else _moved(axes, push.perm)
    if moved is None:
        return False
    op = _with_axes(push, sorted(moved), 1, since)
    return _all(push, op, push.perm if keeps else _without(moved, push.perm))


def _arg(push: Push) -> bool:
    axis = axis_of(push.op, len(push.perm), 0)
    if axis is None:
        return False
    moved = push.perm[axis]
    op = push.board.update(push.op, attrs={**push.op.attrs, "axis": moved})
    return _all(push, op, push.perm if op.attrs.get("keepdims", 1) else _without([moved], push.perm))


def _squeeze(push: Push) -> bool:
    axes = _axes(push, 1, 13)
    moved = None if axes is None else _moved(axes, push.perm)
    if moved is None:
        return False
    return _all(push, _with_axes(push, sorted(moved), 1, 13), _without(moved, push.perm))


def _unsqueeze(push: Push) -> bool:
    axes = _axes(push, 1, 13)
    if axes is None:
        return False
    rank = len(push.perm) + len(axes)
    fixed = {axis % rank for axis in axes}
    others = [axis for axis in range(rank) if axis not in fixed]
    out = list(range(rank))
    for place, axis in enumerate(others):
        out[axis] = others[push.perm[place]]
    return _all(push, push.op, tuple(out))


def _slice(push: Push) -> bool:
    op, board = push.op, push.board
    if op.version < 10:
        axes = list(op.attrs.get("axes", range(len(op.attrs.get("starts", ())))))
    elif op.input(3):
        found = board.numbers(op.input(3))
        if found is None:
            return False
        axes = [int(axis) for axis in found]
    else:
        sizes = board.sizes(op.input(1))
        if sizes is None or len(sizes) != 1:
            return False
        axes = list(range(sizes[0]))
    moved = _moved(axes, push.perm)
    return moved is not None and _all(push, _with_axes(push, moved, 3, 10))


def _pad(push: Push) -> bool:
    op, rank = push.op, len(push.perm)
    order = [*push.inverse, *(axis + rank for axis in push.inverse)]
    if op.version < 11:
        pads = list(op.attrs.get("pads", ()))
        if len(pads) != 2 * rank:
            return False
        return _all(push, push.board.update(op, attrs={**op.attrs, "pads": tuple(pads[at] for at in order)}))
    found = push.board.numbers(op.input(1))
    if found is None or len(found) != 2 * rank or op.input(3):
        return False
    name = _stored(push.board, "pads", values.listed([int(found[at]) for at in order]))
    return _all(push, _read(push.board, op, 1, name))


def _tile(push: Push) -> bool:
    found = push.board.numbers(push.op.input(1))
    if found is None:
        return False
    name = _stored(push.board, "repeats", values.listed([int(found[axis]) for axis in push.inverse]))
    return _all(push, _read(push.board, push.op, 1, name))


def _shape(push: Push) -> bool:
    """Shape of what was transposed is a Gather from the Shape of what was not."""
    board, op = push.board, push.op
    perm = push.perm[slice(op.attrs.get("start", 0), op.attrs.get("end"))]
    result = op.outputs[0] or ""
    attrs = {key: value for key, value in op.attrs.items() if key not in ("start", "end")}
    inner = board.fresh(f"{result}_sizes")
    board.tensors[inner] = Tensor(inner, "int64", (len(push.perm),))
    op = board.update(op, outputs=(inner,), attrs=attrs)
    indices = _stored(board, f"{result}_order", values.listed(perm))
    made = Operator(
        board.fresh_id(), "Gather", (inner, indices), (result,), {"axis": 0}, name=f"{op.name}/gather",
        version=op.version,
    )  # fmt: skip
    board.add(made, board.log.made.get(op.id, op.id))
    transpose_input(push, op, 0, push.inverse)
    return True


def _quantize(push: Push) -> bool:
    op = push.op
    scale = push.board.shape(op.input(1))
    if op.version >= 13 and scale != ():
        axis = axis_of(op, len(push.perm), 1)
        if axis is None:
            return False
        op = push.board.update(op, attrs={**op.attrs, "axis": push.perm[axis]})
    return _all(push, op)


def _transpose(push: Push) -> bool:
    perm = perm_of(push.op)
    return perm is not None and len(perm) == len(push.perm) and _joined(push, perm)


def _joined(push: Push, perm: Perm) -> bool:
    """Two transposes, or one and a Reshape that is like one, become one or none."""
    board, op, source = push.board, push.op, push.transpose.inputs[0] or ""
    if perm != push.inverse:
        composed = tuple(push.perm[axis] for axis in perm)
        board.update(op, type="Transpose", inputs=(source,), attrs={"perm": composed})
        _drop_unread(board, push.transpose)
        return True
    result, writer = op.outputs[0] or "", board.maker(source)
    if result not in board.outputs:
        board.redirect(result, source)
        board.drop(op, BY)
    elif writer is not None and source not in board.outputs:
        board.remove(op, BY)
        board.rename_result(writer, source, result)
    else:
        board.update(op, type="Identity", inputs=(source,), attrs={})
    _drop_unread(board, push.transpose)
    return True


def _reshape(push: Push) -> bool:
    """A Reshape that only moves sizes of 1 is a transpose."""
    board, op = push.board, push.op
    before, after = board.sizes(push.transpose.outputs[0]), board.sizes(op.outputs[0])
    if before is None or after is None or len(before) != len(after) or board.constant(op.input(1)) is None:
        return False
    left: list[int | None] = list(before)
    perm: list[int] = []
    for wanted in after:
        at = _next(left, wanted)
        if at is None:
            return False
        perm.append(at)
        left[at] = None
    return _joined(push, tuple(perm))


def _next(left: Sequence[int | None], wanted: int) -> int | None:
    for at, size in enumerate(left):
        if size == wanted:
            return at
        if size is not None and size != 1 and wanted != 1:
            return None
    return None


_HANDLERS: Mapping[str, Handler] = {
    "each-element": Handler(_every, _simple),
    "broadcast": Handler(_not_scalar, _broadcast),
    "reduction": Handler(_first, _reduce),
    "first-operand": Handler(_first, _simple),
    "softmax": Handler(_first, _softmax),
    "quantization": Handler(_first, _quantize),
    "arg": Handler(_first, _arg),
    "transpose": Handler(_first, _transpose, outputs=False),
    "concat": Handler(_every, _with_axis(None)),
    "split": Handler(_first, _with_axis(0)),
    "shape": Handler(_first, _shape, outputs=False),
    "pad": Handler(_first, _pad),
    "squeeze": Handler(_first, _squeeze),
    "unsqueeze": Handler(_first, _unsqueeze),
    "slice": Handler(_first, _slice),
    "tile": Handler(_first, _tile),
    "reshape": Handler(_first, _reshape, outputs=False),
}
"""By the kinds of the table of what transposes are pushed through."""
