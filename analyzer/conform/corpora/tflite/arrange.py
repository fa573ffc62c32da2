"""Corpus families: operators that move, cut, join, gather and reduce."""

from __future__ import annotations

from typing import Any

from .elementwise import DYN
from .family import family
from .net import KINDS, Net, Size, Skip, broadcast, rescaled

STORED = ("f32", "q8", "qu8", "i32", "i64", "bool", "i16", "f16")
TYPES = {"i32": "INT32", "i64": "INT64", "i16": "INT16"}


def param(net: Net, value: Any, p: Any, kind: str = "i32") -> str:
    """A parameter of the operator as a constant, or as a graph input of its shape."""
    import numpy as np

    return net.const(value, kind) if p.const else net.input(tuple(np.shape(value)), kind, static=True)


def _reshape(net: Net, p: Any) -> None:
    shape, target = p.shapes
    count = 1
    for dim in shape:
        count *= dim
    known = 1
    for dim in target:
        known *= max(dim, 1)
    out = tuple(count // known if dim == -1 else dim for dim in target)
    attrs = {"new_shape": target} if p.form in ("option", "both") else {}
    names = [net.input(shape, p.kind)]
    if p.form != "option":
        names.append(
            net.const(target) if p.form != "runtime" else net.input((len(target),), "i32", static=True)
        )
    net.op("RESHAPE", names, [net.result(out, p.kind, factor=rescaled(p))], attrs)


family(
    "RESHAPE",
    _reshape,
    mixes=40,
    kind=STORED,
    shapes=(
        ((1, 4, 4, 3), (1, 48)),
        ((1, 4, 4, 3), (48,)),
        ((1, 4, 4, 3), (1, -1)),
        ((1, 4, 4, 3), (1, 16, 3)),
        ((1, 4, 4, 3), (3, 4, 4, 1)),
        ((2, 4, 4, 3), (-1, 48)),
        ((48,), (1, 4, 4, 3)),
        ((1, 4, 4, 3), (1, 2, 2, 4, 3)),
        ((1, 2, 2, 4, 3), (1, 4, 4, 3)),
        ((1,), ()),
        ((), (1,)),
        ((2, 3, 4), (6, 4)),
        ((2, 3, 4), (1, 2, 3, 4)),
        ((2, 3, 4), (4, 3, 2)),
        ((1, 2, 1, 2, 3, 2), (24,)),
    ),
    form=("const", "option", "both", "runtime"),
    rescale=(1.0, 0.5),
    dyn=DYN,
)


def _squeeze(net: Net, p: Any) -> None:
    shape, dims = p.case
    drop = (
        {dim % len(shape) for dim in dims}
        if dims
        else {index for index, size in enumerate(shape) if size == 1}
    )
    net.op(
        "SQUEEZE",
        [net.input(shape, p.kind)],
        [net.result(tuple(size for index, size in enumerate(shape) if index not in drop), p.kind)],
        {"squeeze_dims": dims},
    )


family(
    "SQUEEZE",
    _squeeze,
    mixes=16,
    kind=STORED,
    case=(
        ((1, 4, 1, 3), ()),
        ((1, 4, 1, 3), (0,)),
        ((1, 4, 1, 3), (2,)),
        ((1, 4, 1, 3), (-2,)),
        ((1, 4, 1, 3), (0, 2)),
        ((1, 1, 1, 8), (1, 2)),
        ((1, 1), ()),
        ((1, 2, 3, 1, 5), (3,)),
        ((2, 3, 4), ()),
    ),
    dyn=DYN,
)


def _expand(net: Net, p: Any) -> None:
    axis = p.axis if p.axis >= 0 else p.axis + len(p.shape) + 1
    if not 0 <= axis <= len(p.shape):
        raise Skip("axis")
    where = param(net, p.axis if p.scalar else [p.axis], p, p.index)
    net.op(
        "EXPAND_DIMS",
        [net.input(p.shape, p.kind), where],
        [net.result((*p.shape[:axis], 1, *p.shape[axis:]), p.kind)],
    )


family(
    "EXPAND_DIMS",
    _expand,
    mixes=20,
    kind=STORED,
    shape=((2, 3, 4), (4,), (), (1, 4, 5, 3), (1, 2, 3, 4, 5)),
    axis=(0, 1, -1, 3, 4),
    scalar=(True, False),
    index=("i32", "i64"),
    const=(True, False),
    dyn=DYN,
)


def _transpose(net: Net, p: Any) -> None:
    shape, perm = p.case
    net.op(
        "TRANSPOSE",
        [net.input(shape, p.kind), param(net, perm, p)],
        [net.result(tuple(shape[index] for index in perm), p.kind, factor=rescaled(p))],
    )


family(
    "TRANSPOSE",
    _transpose,
    mixes=36,
    kind=(*STORED, "q16"),
    case=(
        ((1, 4, 5, 3), (0, 3, 1, 2)),
        ((1, 4, 5, 3), (0, 2, 1, 3)),
        ((1, 4, 5, 3), (0, 1, 2, 3)),
        ((1, 4, 5, 3), (3, 2, 1, 0)),
        ((2, 4, 5, 3), (1, 0, 2, 3)),
        ((2, 4, 5, 3), (0, 3, 1, 2)),
        ((3, 4), (1, 0)),
        ((2, 3, 4), (2, 0, 1)),
        ((2, 3, 4), (0, 2, 1)),
        ((5,), (0,)),
        ((1, 2, 3, 4, 5), (0, 4, 1, 2, 3)),
        ((1, 2, 3, 4, 5), (4, 3, 2, 1, 0)),
        ((1, 2, 1, 2, 3, 2), (5, 4, 3, 2, 1, 0)),
        ((1, 1, 4, 8), (0, 2, 3, 1)),
    ),
    const=(True, False),
    rescale=(1.0, 0.5),
    dyn=DYN,
)


def _concat(net: Net, p: Any) -> None:
    rank = len(p.shape)
    axis = p.axis % rank if -rank <= p.axis < rank else None
    if axis is None:
        raise Skip("axis")
    kind = KINDS[p.kind]
    shapes = [
        tuple(size + index if p.uneven and dim == axis else size for dim, size in enumerate(p.shape))
        for index in range(p.count)
    ]
    names: list[str] = []
    for index, shape in enumerate(shapes):
        names.append(
            names[0]
            if p.repeat and index
            else net.operand(shape if not p.repeat else shapes[0], kind, const=p.const and index == 1)
        )
    total = sum(net.shape_of(name)[axis] for name in names)
    out = net.result((*p.shape[:axis], total, *p.shape[axis + 1 :]), kind, factor=p.rescale)
    net.op("CONCATENATION", names, [out], {"axis": p.axis, "fused_activation_function": p.act})


family(
    "CONCATENATION",
    _concat,
    mixes=50,
    kind=("f32", "q8", "qu8", "i32", "i64", "i16", "bool", "u32"),
    shape=((1, 4, 5, 3), (2, 4, 5, 3), (3, 4), (2, 3, 4), (5,), (1, 2, 3, 4, 5)),
    axis=(-1, 0, 1, 2, 3, -2),
    count=(2, 1, 3, 5, 9),
    uneven=(False, True),
    const=(False, True),
    repeat=(False, True),
    act=("NONE", "RELU", "RELU6"),
    rescale=(1.0, 2.0),
    dyn=DYN,
)


def _pack(net: Net, p: Any) -> None:
    rank = len(p.shape) + 1
    if not -rank <= p.axis < rank:
        raise Skip("axis")
    axis = p.axis % rank
    names = [net.operand(p.shape, p.kind, const=p.const and index == 0) for index in range(p.count)]
    net.op(
        "PACK",
        names,
        [net.result((*p.shape[:axis], p.count, *p.shape[axis:]), p.kind)],
        {"values_count": p.count, "axis": p.axis},
    )


family(
    "PACK",
    _pack,
    mixes=24,
    kind=("f32", "q8", "qu8", "i32", "i64", "i16", "u32"),
    shape=((2, 3), (), (4,), (2, 3, 4), (1, 4, 5, 3)),
    axis=(0, 1, -1, 2, -2),
    count=(2, 1, 3),
    const=(False, True),
    dyn=DYN,
)


def _unpack(net: Net, p: Any) -> None:
    rank = len(p.shape)
    if not -rank <= p.axis < rank:
        raise Skip("axis")
    axis = p.axis % rank
    outs = [net.result((*p.shape[:axis], *p.shape[axis + 1 :]), p.kind) for _ in range(p.shape[axis])]
    net.op("UNPACK", [net.input(p.shape, p.kind)], outs, {"num": p.shape[axis], "axis": p.axis})


family(
    "UNPACK",
    _unpack,
    mixes=20,
    kind=("f32", "q8", "qu8", "i32", "bool", "i16"),
    shape=((2, 3), (3,), (2, 3, 4), (1, 4, 5, 3), (1, 2, 2, 3, 2)),
    axis=(0, 1, -1, 2),
    dyn=DYN,
)


def _split(net: Net, p: Any) -> None:
    rank = len(p.shape)
    if not -rank <= p.axis < rank or p.shape[p.axis] % p.count:
        raise Skip("axis")
    axis = p.axis % rank
    part = (*p.shape[:axis], p.shape[axis] // p.count, *p.shape[axis + 1 :])
    where = param(net, p.axis if p.scalar else [p.axis], p)
    net.op(
        "SPLIT",
        [where, net.input(p.shape, p.kind)],
        [net.result(part, p.kind) for _ in range(p.count)],
        {"num_splits": p.count},
    )


family(
    "SPLIT",
    _split,
    mixes=24,
    kind=("f32", "q8", "qu8", "i32", "i16"),
    shape=((1, 4, 6, 12), (2, 6), (12,), (4, 6, 2), (2, 4, 6, 2), (1, 2, 4, 6, 2)),
    axis=(-1, 0, 1, 2, 3),
    count=(2, 1, 3, 4),
    scalar=(True, False),
    const=(True, False),
    dyn=DYN,
)


def _split_v(net: Net, p: Any) -> None:
    rank = len(p.shape)
    if not -rank <= p.axis < rank or sum(p.sizes) != p.shape[p.axis]:
        raise Skip("sizes")
    axis = p.axis % rank
    told = [-1 if p.infer and index == len(p.sizes) - 1 else size for index, size in enumerate(p.sizes)]
    names = [net.input(p.shape, p.kind), param(net, told, p, p.index), net.const(p.axis)]
    outs = [net.result((*p.shape[:axis], size, *p.shape[axis + 1 :]), p.kind) for size in p.sizes]
    net.op("SPLIT_V", names, outs, {"num_splits": len(p.sizes)})


family(
    "SPLIT_V",
    _split_v,
    mixes=20,
    kind=("f32", "q8", "qu8", "i32", "i64", "i16"),
    shape=((1, 4, 6, 12), (2, 12), (12,), (1, 12, 2, 2), (12, 2, 2)),
    axis=(-1, 0, 1),
    sizes=((4, 8), (12,), (3, 4, 5), (6, 6)),
    infer=(False, True),
    index=("i32", "i64"),
    const=(True, False),
    dyn=DYN,
)


def _slice(net: Net, p: Any) -> None:
    shape, begin, size = p.case
    out = tuple(
        full - start if count == -1 else count for full, start, count in zip(shape, begin, size, strict=True)
    )
    starts = (
        net.const(begin, p.index) if p.const != "none" else net.input((len(begin),), p.index, static=True)
    )
    counts = net.const(size, p.index) if p.const == "both" else net.input((len(size),), p.index, static=True)
    net.op("SLICE", [net.input(shape, p.kind), starts, counts], [net.result(out, p.kind)])


family(
    "SLICE",
    _slice,
    mixes=40,
    kind=(*STORED, "q16", "u32"),
    case=(
        ((1, 4, 5, 3), (0, 1, 1, 0), (1, 2, 3, 3)),
        ((1, 4, 5, 3), (0, 0, 0, 1), (-1, -1, -1, -1)),
        ((1, 4, 5, 3), (0, 0, 0, 0), (1, 4, 5, 3)),
        ((2, 4, 5, 3), (1, 0, 0, 0), (1, 4, 5, 3)),
        ((1, 4, 5, 3), (0, 2, 0, 0), (1, 1, 5, 3)),
        ((6,), (2,), (3,)),
        ((3, 4), (1, 0), (2, 4)),
        ((2, 3, 4), (0, 1, 2), (2, 2, 2)),
        ((1, 2, 3, 4, 5), (0, 0, 1, 0, 0), (1, 2, 2, 4, 5)),
        ((1, 4, 5, 3), (0, 1, 1, 0), (1, -1, 3, 3)),
    ),
    index=("i32", "i64"),
    const=("both", "begin", "none"),
    dyn=DYN,
)


def _strided(net: Net, p: Any) -> None:
    shape, begin, end, strides = p.case
    masks = dict(
        zip(
            ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"),
            p.masks,
            strict=True,
        )
    )
    if masks["shrink_axis_mask"] >> len(begin) or any(
        step < 0 and masks["shrink_axis_mask"] >> i & 1 for i, step in enumerate(strides)
    ):
        raise Skip("masks")
    out = strided_shape(shape, begin, end, strides, masks)
    names = [
        net.input(shape, p.kind),
        param(net, begin, p),
        param(net, end, p),
        net.const(strides)
        if p.const or not p.all_runtime
        else net.input((len(strides),), "i32", static=True),
    ]
    net.op("STRIDED_SLICE", names, [net.result(out, p.kind)], masks)


def strided_shape(shape: Size, begin: Size, end: Size, strides: Size, masks: dict[str, int]) -> Size:
    """The shape that STRIDED_SLICE gives. Source: the documentation of ``tf.strided_slice``."""
    sparse: list[tuple[str, int]] = []
    spent = sum(
        1
        for index in range(len(begin))
        if not masks["new_axis_mask"] >> index & 1 and not masks["ellipsis_mask"] >> index & 1
    )
    if spent > len(shape):
        raise Skip("more indices than dimensions")
    ellipsis = False
    for index in range(len(begin)):
        if masks["ellipsis_mask"] >> index & 1:
            if ellipsis:
                raise Skip("two ellipses")
            ellipsis = True
            sparse += [("all", 0)] * (len(shape) - spent)
        elif masks["new_axis_mask"] >> index & 1:
            sparse.append(("new", 0))
        else:
            sparse.append(("cut", index))
    used = sum(1 for what, _ in sparse if what != "new")
    sparse += [("all", 0)] * (len(shape) - used)
    out: list[int] = []
    sizes = iter(shape)
    for what, index in sparse:
        if what == "new":
            out.append(1)
            continue
        size = next(sizes)
        if what == "all":
            out.append(size)
        elif masks["shrink_axis_mask"] >> index & 1:
            if not -size <= begin[index] < size:
                raise Skip("out of range")
        else:
            start = None if masks["begin_mask"] >> index & 1 else begin[index]
            stop = None if masks["end_mask"] >> index & 1 else end[index]
            out.append(len(range(*slice(start, stop, strides[index]).indices(size))))
    return tuple(out)


family(
    "STRIDED_SLICE",
    _strided,
    mixes=110,
    kind=STORED,
    case=(
        ((1, 8, 9, 4), (0, 1, 2, 0), (1, 7, 8, 4), (1, 1, 1, 1)),
        ((1, 8, 9, 4), (0, 0, 0, 0), (1, 8, 9, 4), (1, 2, 2, 1)),
        ((1, 8, 9, 4), (0, 0, 0, 1), (1, 8, 9, 3), (1, 1, 1, 1)),
        ((1, 8, 9, 4), (0, 7, 0, 0), (1, 0, 9, 4), (1, -1, 1, 1)),
        ((2, 8, 9, 4), (1, 0, 0, 0), (2, 8, 9, 4), (1, 1, 1, 1)),
        ((1, 8, 9, 4), (0, -3, 0, 0), (1, -1, 9, 4), (1, 1, 1, 1)),
        ((1, 8, 9, 4), (0, 1), (1, 5), (1, 1)),
        ((10,), (2,), (8,), (2,)),
        ((4, 6), (0, 1), (4, 5), (1, 1)),
        ((2, 4, 6), (0, 1, 2), (2, 4, 5), (1, 1, 1)),
        ((1, 2, 3, 4, 5), (0, 0, 1, 0, 0), (1, 2, 3, 4, 5), (1, 1, 1, 1, 1)),
        ((1, 8, 9, 4), (0, 0, 0, 0), (1, 8, 9, 4), (1, 1, 1, 2)),
        ((1, 8, 9, 4), (0, 3, 3, 0), (1, 3, 9, 4), (1, 1, 1, 1)),
    ),
    masks=(
        (0, 0, 0, 0, 0),
        (15, 0, 0, 0, 0),
        (0, 15, 0, 0, 0),
        (2, 2, 0, 0, 0),
        (0, 0, 0, 0, 1),
        (0, 0, 0, 0, 2),
        (0, 0, 0, 0, 8),
        (0, 0, 1, 0, 0),
        (0, 0, 2, 0, 0),
        (0, 0, 0, 1, 0),
        (0, 0, 0, 2, 0),
        (0, 0, 1, 2, 0),
        (1, 1, 0, 0, 2),
    ),
    const=(True, False),
    all_runtime=(False, True),
    dyn=DYN,
)


def _pad(net: Net, p: Any) -> None:
    shape, edges = p.case
    out = tuple(size + sum(edge) for size, edge in zip(shape, edges, strict=True))
    names = [net.input(shape, p.kind), param(net, edges, p, p.index)]
    if p.op == "PADV2":
        names.append(net.operand((), p.kind, const=p.value_const))
    net.op(p.op, names, [net.result(out, p.kind, factor=rescaled(p))])


_PADS = (
    ((1, 4, 5, 3), ((0, 0), (1, 1), (2, 2), (0, 0))),
    ((1, 4, 5, 3), ((0, 0), (0, 1), (0, 1), (0, 0))),
    ((1, 4, 5, 3), ((0, 0), (0, 0), (0, 0), (1, 2))),
    ((1, 4, 5, 3), ((1, 0), (0, 0), (0, 0), (0, 0))),
    ((1, 4, 5, 3), ((0, 0),) * 4),
    ((2, 4, 5, 3), ((0, 0), (1, 1), (1, 1), (0, 0))),
    ((2, 3), ((1, 1), (2, 0))),
    ((5,), ((2, 1),)),
    ((2, 3, 4), ((0, 1), (1, 0), (2, 2))),
    ((1, 2, 3, 4, 5), ((0, 0), (1, 1), (0, 0), (0, 1), (0, 0))),
    ((1, 4, 5, 3), ((0, 0), (1, 1), (1, 1), (1, 1))),
)
for _op in ("PAD", "PADV2"):
    family(
        _op,
        _pad,
        mixes=30,
        op=(_op,),
        kind=("f32", "q8", "qu8", "i32", "i64", "q16", "bool"),
        case=_PADS,
        index=("i32", "i64"),
        const=(True, False),
        value_const=(True, False) if _op == "PADV2" else (True,),
        rescale=(1.0, 0.5),
        dyn=DYN,
    )


def _mirror(net: Net, p: Any) -> None:
    shape, edges = p.case
    if any(max(edge) > size - (p.mode == "REFLECT") for size, edge in zip(shape, edges, strict=True)):
        raise Skip("a mirror wider than the input")
    out = tuple(size + sum(edge) for size, edge in zip(shape, edges, strict=True))
    net.op(
        "MIRROR_PAD",
        [net.input(shape, p.kind), param(net, edges, p)],
        [net.result(out, p.kind)],
        {"mode": p.mode},
    )


family(
    "MIRROR_PAD",
    _mirror,
    mixes=24,
    kind=("f32", "q8", "qu8", "i32", "i64", "q16"),
    case=_PADS,
    mode=("REFLECT", "SYMMETRIC"),
    const=(True, False),
    dyn=DYN,
)


def _tile(net: Net, p: Any) -> None:
    shape, times = p.case
    net.op(
        "TILE",
        [net.input(shape, p.kind), param(net, times, p, p.index)],
        [net.result(tuple(a * b for a, b in zip(shape, times, strict=True)), p.kind)],
    )


family(
    "TILE",
    _tile,
    mixes=20,
    kind=("f32", "q8", "qu8", "i32", "i64", "bool"),
    case=(
        ((1, 4, 5, 3), (1, 2, 2, 1)),
        ((1, 4, 5, 3), (1, 1, 1, 1)),
        ((1, 4, 5, 3), (2, 1, 1, 1)),
        ((1, 4, 5, 3), (1, 1, 1, 3)),
        ((3, 4), (2, 3)),
        ((5,), (4,)),
        ((2, 3, 4), (1, 2, 1)),
        ((1, 2, 3, 4, 5), (1, 1, 2, 1, 1)),
    ),
    index=("i32", "i64"),
    const=(True, False),
    dyn=DYN,
)


def _broadcast_to(net: Net, p: Any) -> None:
    shape, target = p.case
    net.op(
        "BROADCAST_TO",
        [net.input(shape, p.kind), param(net, target, p, p.index)],
        [net.result(target, p.kind)],
    )


family(
    "BROADCAST_TO",
    _broadcast_to,
    mixes=16,
    kind=("f32", "q8", "i32", "i64", "bool", "i16"),
    case=(
        ((1, 1, 1, 3), (1, 4, 5, 3)),
        ((3,), (2, 3)),
        ((), (2, 3)),
        ((1, 4, 5, 3), (1, 4, 5, 3)),
        ((2, 1), (2, 3)),
        ((1, 1), (2, 1, 2, 3, 4)),
    ),
    index=("i32", "i64"),
    const=(True, False),
    dyn=DYN,
)


def _broadcast_args(net: Net, p: Any) -> None:
    first, second = p.case
    names = (
        [net.const(first, p.kind), net.const(second, p.kind)]
        if p.const
        else [net.input((len(item),), p.kind, static=True) for item in p.case]
    )
    net.op("BROADCAST_ARGS", names, [net.result((len(broadcast(first, second)),), p.kind, static=True)])


family(
    "BROADCAST_ARGS",
    _broadcast_args,
    mixes=4,
    kind=("i32", "i64"),
    case=(((2, 3), (1, 3)), ((3,), (2, 1))),
    const=(False, True),
)


def _indices(net: Net, shape: Size, p: Any) -> str:
    """Indices that are in range everywhere: 0 and 1."""
    import numpy as np

    return (
        net.const(np.arange(int(np.prod(shape))).reshape(shape) % 2, p.index)
        if p.const
        else net.input(shape, p.index)
    )


def _gather(net: Net, p: Any) -> None:
    shape, places, axis, batch = p.case
    real = axis % len(shape)
    out = (*shape[:real], *places[batch:], *shape[real + 1 :])
    index = _indices(net, places, p)
    data = net.operand(shape, p.kind, const=p.table)
    net.op("GATHER", [data, index], [net.result(out, p.kind)], {"axis": axis, "batch_dims": batch})


family(
    "GATHER",
    _gather,
    mixes=40,
    kind=("f32", "q8", "qu8", "i32", "i64", "bool", "i16"),
    case=(
        ((10, 4), (3,), 0, 0),
        ((10, 4), (), 0, 0),
        ((10, 4), (2, 3), 0, 0),
        ((1, 4, 5, 3), (2,), 1, 0),
        ((1, 4, 5, 3), (2,), -1, 0),
        ((10,), (3,), 0, 0),
        ((2, 10, 4), (2, 3), 1, 1),
        ((1, 2, 3, 4, 5), (2,), 2, 0),
        ((2, 3, 4), (1,), 2, 0),
    ),
    index=("i32", "i64", "i16"),
    const=(False, True),
    table=(False, True),
    dyn=DYN,
)


def _gather_nd(net: Net, p: Any) -> None:
    shape, places = p.case
    depth = places[-1]
    out = (*places[:-1], *shape[depth:])
    index = _indices(net, places, p)
    net.op("GATHER_ND", [net.input(shape, p.kind), index], [net.result(out, p.kind)])


family(
    "GATHER_ND",
    _gather_nd,
    mixes=20,
    kind=("f32", "q8", "qu8", "i32", "i64", "i16", "bool"),
    case=(
        ((4, 5), (3, 2)),
        ((4, 5), (3, 1)),
        ((2, 3, 4), (2, 2, 2)),
        ((1, 4, 5, 3), (3, 4)),
        ((6,), (2, 1)),
        ((1, 2, 3, 4, 5), (2, 3)),
    ),
    index=("i32", "i64", "i16"),
    const=(False, True),
    dyn=DYN,
)


def _scatter_nd(net: Net, p: Any) -> None:
    shape, places = p.case
    updates = (*places[:-1], *shape[places[-1] :])
    index = net.const([[0] * places[-1]] * places[0]) if p.const else net.input(places, "i32")
    net.op(
        "SCATTER_ND",
        [
            index,
            net.input(updates, p.kind),
            net.const(shape) if p.shape_const else net.input((len(shape),), "i32", static=True),
        ],
        [net.result(shape, p.kind)],
    )


family(
    "SCATTER_ND",
    _scatter_nd,
    mixes=14,
    kind=("f32", "i32", "i64", "i8", "u8", "bool"),
    case=(((4, 5), (3, 2)), ((4, 5), (3, 1)), ((8,), (3, 1)), ((2, 3, 4), (2, 2))),
    const=(True, False),
    shape_const=(True, False),
    dyn=DYN,
)
