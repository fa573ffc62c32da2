"""Corpus families: operators that reduce, scan, search, select and look up."""

from __future__ import annotations

from typing import Any

from .arrange import STORED, TYPES, param
from .elementwise import DYN, LOG_UNIT, SHAPES, SIGMOID
from .family import family
from .net import KINDS, Net, Skip


def _reduce(net: Net, p: Any) -> None:
    rank = len(p.shape)
    if any(not -rank <= axis < rank for axis in p.axes):
        raise Skip("axes")
    drop = {axis % rank for axis in p.axes}
    if len(drop) < len(p.axes):
        raise Skip("an axis twice")
    kept = [1 if index in drop else size for index, size in enumerate(p.shape)]
    out = tuple(kept) if p.keep else tuple(size for index, size in enumerate(kept) if index not in drop)
    axes = param(net, p.axes[0] if p.scalar and len(p.axes) == 1 else p.axes, p)
    factor = p.rescale if p.kind in ("q8", "qu8", "q16") and p.op in ("MEAN", "SUM") else 1.0
    net.op(
        p.op,
        [net.input(p.shape, p.kind), axes],
        [net.result(out, p.kind, factor=factor)],
        {"keep_dims": p.keep},
    )


REDUCED = {
    "MEAN": ("f32", "q8", "qu8", "q16", "i32", "i64"),
    "SUM": ("f32", "q8", "qu8", "i32", "i64"),
    "REDUCE_MAX": ("f32", "q8", "qu8", "q16", "i32", "i64"),
    "REDUCE_MIN": ("f32", "q8", "qu8", "q16", "i32", "i64"),
    "REDUCE_PROD": ("f32", "q8", "q16", "i32", "i64"),
    "REDUCE_ANY": ("bool",),
    "REDUCE_ALL": ("bool",),
}
for _op, _kinds in REDUCED.items():
    family(
        _op,
        _reduce,
        mixes=50 if len(_kinds) > 1 else 16,
        op=(_op,),
        kind=_kinds,
        shape=(
            (1, 4, 5, 3),
            (2, 4, 5, 3),
            (3, 4),
            (2, 3, 4),
            (6,),
            (1, 2, 3, 4, 5),
            (1, 1, 1, 8),
            (1, 70, 70, 2),
        ),
        axes=((1, 2), (-1,), (0,), (1,), (2,), (3,), (1, 2, 3), (0, 1, 2, 3), (0, 1), (2, 1), (-1, -2), ()),
        keep=(True, False),
        scalar=(False, True),
        const=(True, False),
        rescale=(1.0, 0.5),
        dyn=DYN,
    )


def _arg(net: Net, p: Any) -> None:
    rank = len(p.shape)
    if not -rank <= p.axis < rank:
        raise Skip("axis")
    axis = p.axis % rank
    out = (*p.shape[:axis], *p.shape[axis + 1 :])
    net.op(
        p.op,
        [net.input(p.shape, p.kind), param(net, p.axis if p.scalar else [p.axis], p)],
        [net.result(out, p.to)],
        {"output_type": TYPES[p.to]},
    )


for _op in ("ARG_MAX", "ARG_MIN"):
    family(
        _op,
        _arg,
        mixes=24,
        op=(_op,),
        kind=("f32", "q8", "qu8", "i32", "bool"),
        shape=((1, 4, 5, 3), (2, 4, 5, 3), (3, 4), (6,), (2, 3, 4), (1, 2, 3, 4, 5)),
        axis=(-1, 0, 1, 3),
        to=("i64", "i32"),
        scalar=(True, False),
        const=(True, False),
        dyn=DYN,
    )


def _softmax(net: Net, p: Any) -> None:
    kind = KINDS[p.kind]
    results = SIGMOID if p.op == "SOFTMAX" else LOG_UNIT
    net.op(
        p.op,
        [net.input(p.shape, kind)],
        [net.result(p.shape, results.get(p.kind, kind))],
        {"beta": p.beta} if p.op == "SOFTMAX" else {},
    )


family(
    "SOFTMAX",
    _softmax,
    mixes=24,
    op=("SOFTMAX",),
    kind=("f32", "q8", "qu8", "q16"),
    shape=SHAPES[:9],
    beta=(1.0, 0.5, 2.0, 0.0),
    dyn=DYN,
)
family(
    "LOG_SOFTMAX",
    _softmax,
    mixes=12,
    op=("LOG_SOFTMAX",),
    kind=("f32", "q8", "qu8"),
    shape=SHAPES[:9],
    beta=(1.0,),
    dyn=DYN,
)


def _cumsum(net: Net, p: Any) -> None:
    rank = len(p.shape)
    if not -rank <= p.axis < rank:
        raise Skip("axis")
    net.op(
        "CUMSUM",
        [net.input(p.shape, p.kind), param(net, p.axis, p)],
        [net.result(p.shape, p.kind)],
        {"exclusive": p.exclusive, "reverse": p.reverse},
    )


family(
    "CUMSUM",
    _cumsum,
    mixes=14,
    kind=("f32", "i32", "i64"),
    shape=((1, 4, 5, 3), (3, 4), (6,), (1, 2, 3, 4, 5)),
    axis=(-1, 0, 1),
    exclusive=(False, True),
    reverse=(False, True),
    const=(True, False),
    dyn=DYN,
)


def _reverse(net: Net, p: Any) -> None:
    rank = len(p.shape)
    if any(not -rank <= axis < rank for axis in p.axes):
        raise Skip("axes")
    net.op("REVERSE_V2", [net.input(p.shape, p.kind), param(net, p.axes, p)], [net.result(p.shape, p.kind)])


family(
    "REVERSE_V2",
    _reverse,
    mixes=14,
    kind=("f32", "q8", "qu8", "i32", "i64", "i16", "bool"),
    shape=((1, 4, 5, 3), (3, 4), (6,), (1, 2, 3, 4, 5)),
    axes=((1,), (0,), (3,), (1, 2), (-1,)),
    const=(True, False),
    dyn=DYN,
)


def _reverse_sequence(net: Net, p: Any) -> None:
    names = [
        net.input((3, 4, 5, 2)[: p.rank], p.kind),
        net.input((3,), p.index) if not p.const else net.const((1, 2, 3), p.index),
    ]
    net.op(
        "REVERSE_SEQUENCE",
        names,
        [net.result((3, 4, 5, 2)[: p.rank], p.kind)],
        {"seq_dim": p.seq, "batch_dim": 0},
    )


family(
    "REVERSE_SEQUENCE",
    _reverse_sequence,
    mixes=6,
    kind=("f32", "i32", "i64", "u8"),
    rank=(4, 3, 2),
    seq=(1,),
    index=("i32", "i64"),
    const=(False, True),
    dyn=DYN,
)


def _shape_like(net: Net, p: Any) -> None:
    out = (len(p.shape),) if p.op == "SHAPE" else ()
    attrs = {"out_type": TYPES[p.to]} if p.op == "SHAPE" else {}
    net.op(p.op, [net.input(p.shape, p.kind)], [net.result(out, p.to, static=True)], attrs)


family(
    "SHAPE", _shape_like, mixes=10, op=("SHAPE",), kind=STORED, shape=SHAPES[:7], to=("i32", "i64"), dyn=DYN
)
family("RANK", _shape_like, mixes=4, op=("RANK",), kind=STORED[:4], shape=SHAPES[:7], to=("i32",), dyn=DYN)


def _fill(net: Net, p: Any) -> None:
    net.op(
        "FILL",
        [param(net, p.shape, p, p.index), net.operand((), p.kind, const=p.value_const)],
        [net.result(p.shape, p.kind)],
    )


family(
    "FILL",
    _fill,
    mixes=14,
    kind=("f32", "i32", "i64", "bool", "q8", "i16", "f16"),
    shape=((2, 3), (1, 4, 5, 3), (4,)),
    index=("i32", "i64"),
    const=(True, False),
    value_const=(True, False),
)


def _range(net: Net, p: Any) -> None:
    names = [net.const(value, p.kind) if p.const else net.input((), p.kind) for value in (0, 6, 2)]
    net.op("RANGE", names, [net.result((3,), p.kind)])


family("RANGE", _range, mixes=2, kind=("i32", "f32", "i64"), const=(True, False))


def _one_hot(net: Net, p: Any) -> None:
    rank = len(p.shape) + 1
    if not -1 <= p.axis < rank:
        raise Skip("axis")
    axis = rank - 1 if p.axis == -1 else p.axis
    depth = net.const(5) if p.const else net.input((), "i32")
    values = [net.operand((), p.kind, const=p.value_const) for _ in range(2)]
    net.op(
        "ONE_HOT",
        [net.input(p.shape, p.index), depth, *values],
        [net.result((*p.shape[:axis], 5, *p.shape[axis:]), p.kind)],
        {"axis": p.axis},
    )


family(
    "ONE_HOT",
    _one_hot,
    mixes=16,
    kind=("f32", "i32", "i64", "bool", "i8", "u8", "i16"),
    shape=((4,), (), (2, 3), (1, 2, 3)),
    index=("i32", "i64"),
    axis=(-1, 0, 1),
    const=(True, False),
    value_const=(True, False),
    dyn=DYN,
)


def _topk(net: Net, p: Any) -> None:
    out = (*p.shape[:-1], p.k)
    count = net.const(p.k, p.count) if p.const else net.input((), p.count)
    net.op(
        "TOPK_V2", [net.input(p.shape, p.kind), count], [net.result(out, p.kind), net.result(out, p.index)]
    )


family(
    "TOPK_V2",
    _topk,
    mixes=16,
    kind=("f32", "i32", "i64", "q8", "qu8", "i16"),
    shape=((1, 8), (8,), (2, 3, 8), (1, 4, 5, 8)),
    k=(3, 1, 8),
    count=("i32", "i16"),
    index=("i32", "i16"),
    const=(True, False),
    dyn=DYN,
)


def _dynamic_update(net: Net, p: Any) -> None:
    shape, part = p.case
    start = (
        net.const([0] * len(shape), p.index) if p.const else net.input((len(shape),), p.index, static=True)
    )
    net.op(
        "DYNAMIC_UPDATE_SLICE",
        [net.input(shape, p.kind), net.input(part, p.kind), start],
        [net.result(shape, p.kind)],
    )


family(
    "DYNAMIC_UPDATE_SLICE",
    _dynamic_update,
    mixes=14,
    kind=("f32", "q8", "i32", "i64", "bool", "f16", "i16"),
    case=(((4, 5), (2, 3)), ((6,), (2,)), ((1, 4, 5, 3), (1, 1, 5, 3)), ((2, 8, 4), (2, 1, 4))),
    index=("i32", "i64"),
    const=(False, True),
    dyn=DYN,
)


def _where(net: Net, p: Any) -> None:
    net.op("WHERE", [net.input(p.shape, p.kind)], [net.result((1, len(p.shape)), "i64")])


family(
    "WHERE",
    _where,
    mixes=6,
    kind=("bool", "f32", "i32", "i64", "u8", "i8", "u32"),
    shape=((3, 4), (5,), (2, 3, 4)),
    dyn=DYN,
)


def _unique(net: Net, p: Any) -> None:
    net.op(
        "UNIQUE",
        [net.input(p.shape, p.kind)],
        [net.result(p.shape, p.kind), net.result(p.shape, p.to)],
        {"idx_out_type": TYPES[p.to]},
    )


family(
    "UNIQUE",
    _unique,
    mixes=4,
    kind=("f32", "i32", "i64", "i8", "u8", "i16"),
    shape=((6,), (1,)),
    to=("i32", "i64"),
    dyn=DYN,
)


def _segment(net: Net, p: Any) -> None:
    names = [
        net.input(p.shape, p.kind),
        net.const((0, 0, 1, 2)) if p.const else net.input((4,), "i32", static=True),
    ]
    if p.op != "SEGMENT_SUM":
        names.append(net.const(3) if p.count_const else net.input((), "i32"))
    net.op(p.op, names, [net.result((3, *p.shape[1:]), p.kind)])


for _op in (
    "SEGMENT_SUM",
    "UNSORTED_SEGMENT_SUM",
    "UNSORTED_SEGMENT_PROD",
    "UNSORTED_SEGMENT_MAX",
    "UNSORTED_SEGMENT_MIN",
):
    family(
        _op,
        _segment,
        mixes=4,
        op=(_op,),
        kind=("f32", "i32"),
        shape=((4, 5), (4,), (4, 2, 3)),
        const=(True, False),
        count_const=(True,) if _op == "SEGMENT_SUM" else (True, False),
        dyn=DYN,
    )


def _diagonal(net: Net, p: Any) -> None:
    if p.op == "MATRIX_DIAG":
        net.op("MATRIX_DIAG", [net.input(p.shape, p.kind)], [net.result((*p.shape, p.shape[-1]), p.kind)])
    else:
        full = (*p.shape, p.shape[-1])
        net.op(
            "MATRIX_SET_DIAG",
            [net.input(full, p.kind), net.input(p.shape, p.kind)],
            [net.result(full, p.kind)],
        )


for _op in ("MATRIX_DIAG", "MATRIX_SET_DIAG"):
    family(
        _op,
        _diagonal,
        mixes=4,
        op=(_op,),
        kind=("f32", "i32", "i64", "i8", "u8", "i16"),
        shape=((4,), (2, 4), (2, 3, 4)),
        dyn=DYN,
    )


def _sparse_to_dense(net: Net, p: Any) -> None:
    index = net.const([[0, 1], [1, 2]], p.index) if p.const else net.input((2, 2), p.index)
    names = [index, net.const((3, 4), p.index), net.input((2,), p.kind), net.const(0, p.kind)]
    net.op("SPARSE_TO_DENSE", names, [net.result((3, 4), p.kind)], {"validate_indices": p.validate})


family(
    "SPARSE_TO_DENSE",
    _sparse_to_dense,
    mixes=4,
    kind=("f32", "i32", "i64", "i8", "u8"),
    index=("i32", "i64"),
    const=(True, False),
    validate=(False, True),
)


def _embedding(net: Net, p: Any) -> None:
    channels = 0 if p.channels and p.kind in ("q8s", "q4") else None
    table = net.weights((10, 8), p.kind, channels=channels)
    net.op(
        "EMBEDDING_LOOKUP",
        [net.input((p.rows,), "i32"), table],
        [net.result((p.rows, 8), "f32" if p.kind in ("q8s", "q4") else p.kind)],
    )


family(
    "EMBEDDING_LOOKUP",
    _embedding,
    mixes=4,
    kind=("f32", "q8s", "q4"),
    rows=(3, 1),
    channels=(False, True),
    dyn=DYN,
)


def _embedding_sparse(net: Net, p: Any) -> None:
    names = [
        net.input((3,), "i32"),
        net.const([[0, 0], [1, 0], [1, 1]]),
        net.const((2, 2)),
        net.input((3,), "f32"),
        net.weights((10, 4), "f32"),
    ]
    net.op("EMBEDDING_LOOKUP_SPARSE", names, [net.result((2, 4), "f32")], {"combiner": p.combiner})


family("EMBEDDING_LOOKUP_SPARSE", _embedding_sparse, mixes=0, combiner=("SUM", "MEAN", "SQRTN"))


def _lookup(net: Net, p: Any) -> None:
    names = [net.input((3,), "i32"), net.const((1, 2, 4, 6)), net.weights((4, *p.row), p.kind)]
    net.op("HASHTABLE_LOOKUP", names, [net.result((3, *p.row), p.kind), net.result((3,), "u8")])


family("HASHTABLE_LOOKUP", _lookup, mixes=0, kind=("f32", "i32"), row=((2,), ()))


def _suppress(net: Net, p: Any) -> None:
    boxes, scores = net.input((6, 4), "f32"), net.input((6,), "f32")
    limits = [net.const(3) if p.const else net.input((), "i32"), net.const(0.5, "f32"), net.const(0.1, "f32")]
    outs = [net.result((3,), "i32"), net.result((), "i32")]
    if p.op == "NON_MAX_SUPPRESSION_V5":
        limits.append(net.const(0.5, "f32"))
        outs.insert(1, net.result((3,), "f32"))
    net.op(p.op, [boxes, scores, *limits], outs)


for _op in ("NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5"):
    family(_op, _suppress, mixes=2, op=(_op,), const=(True, False), dyn=DYN)


def _fourier(net: Net, p: Any) -> None:
    out = (*p.shape[:-2], p.length[0], p.length[1] // 2 + 1)
    net.op("RFFT2D", [net.input(p.shape, "f32"), param(net, p.length, p)], [net.result(out, "c64")])


family(
    "RFFT2D",
    _fourier,
    mixes=4,
    shape=((4, 8), (2, 4, 8)),
    length=((4, 8), (2, 4), (1, 8)),
    const=(True, False),
    dyn=DYN,
)


def _densify(net: Net, p: Any) -> None:
    from dataclasses import replace

    from ....formats.tflite.sparse import dense_constant

    name = net.const([1.0, 2.0, 3.0, 4.0] if p.kind == "f32" else [1, 2, 3, 4], p.kind)
    tensor = net.graph.tensor(name)
    dense = {"format": "DENSE", "dense_size": 4, "array_segments": None, "array_indices": None}
    rows = ("Int32Vector", {"values": (0, 1, 2, 3, 4)}), ("Int32Vector", {"values": (1, 0, 3, 2)})
    sparse = {"format": "SPARSE_CSR", "dense_size": 0, "array_segments": rows[0], "array_indices": rows[1]}
    sparsity = {"traversal_order": (0, 1), "block_map": (), "dim_metadata": (dense, sparse)}
    stored = replace(tensor.const, shape=(4, 4)) if tensor.const else None
    if stored is not None:
        attrs = {"sparsity": sparsity, "sparse_data": stored}
        net.graph.set_tensor(
            replace(tensor, shape=(4, 4), const=dense_constant(stored, sparsity), attrs=attrs)
        )
    out = net.result((4, 4), p.kind, static=True)
    net.op("DENSIFY", [name], [out])
    if p.use:
        net.op("ADD", [net.input((4, 4), p.kind), out], [net.result((4, 4), p.kind)])


family("DENSIFY", _densify, mixes=0, kind=("f32", "i8"), use=(False, True))
