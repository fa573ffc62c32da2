"""Corpus families: recurrent operators, control flow, variables, tables, strings, random numbers, StableHLO
and custom operators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ....ir.graph import Tensor
from .elementwise import DYN
from .family import family
from .net import KINDS, Kind, Net

if TYPE_CHECKING:
    from ....ir.graph import Graph

INPUT, UNITS = 5, 4
RECURRENT = ("f32", "hybrid", "hybrid-asymmetric")


def _weight(net: Net, shape: tuple[int, ...], kind: str, *, const: bool = True) -> str:
    return net.operand(shape, "q8s" if kind.startswith("hybrid") or kind == "q8" else "f32", const=const)


def _sequence(p: Any) -> tuple[int, ...]:
    """The shape before the features: batch and time in the order that the operator has."""
    return (p.time, p.batch) if p.time_major else (p.batch, p.time)


def _rnn(net: Net, p: Any) -> None:
    lead = (p.batch,) if p.op == "RNN" else _sequence(p)
    names = [
        net.input((*lead, INPUT), "f32"),
        _weight(net, (UNITS, INPUT), p.kind),
        _weight(net, (UNITS, UNITS), p.kind),
        net.weights((UNITS,), "f32"),
        net.variable((p.batch, UNITS), "f32"),
    ]
    attrs = {"fused_activation_function": p.act, "asymmetric_quantize_inputs": p.kind == "hybrid-asymmetric"}
    if p.op != "RNN":
        attrs["time_major"] = p.time_major
    net.op(p.op, names, [net.result((*lead, UNITS), "f32")], attrs)


_RNN: dict[str, Any] = {
    "kind": RECURRENT,
    "batch": (1, 2),
    "act": ("TANH", "RELU", "NONE", "RELU6"),
    "dyn": DYN[:2],
}
family("RNN", _rnn, mixes=6, op=("RNN",), **_RNN)
_SEQUENCE: dict[str, Any] = {"time": (3, 1), "time_major": (False, True)}
family("UNIDIRECTIONAL_SEQUENCE_RNN", _rnn, mixes=8, op=("UNIDIRECTIONAL_SEQUENCE_RNN",), **_RNN, **_SEQUENCE)


def _bidirectional_rnn(net: Net, p: Any) -> None:
    lead = _sequence(p)
    names: list[str | None] = [net.input((*lead, INPUT), "f32")]
    for _ in range(2):
        names += [
            _weight(net, (UNITS, INPUT), p.kind),
            _weight(net, (UNITS, UNITS), p.kind),
            net.weights((UNITS,), "f32"),
            net.variable((p.batch, UNITS), "f32"),
        ]
    if p.aux:
        names += [
            net.input((*lead, INPUT), "f32"),
            _weight(net, (UNITS, INPUT), p.kind),
            _weight(net, (UNITS, INPUT), p.kind),
        ]
    else:
        names += [None, None, None]
    outs = (
        [net.result((*lead, 2 * UNITS), "f32")]
        if p.merge
        else [net.result((*lead, UNITS), "f32") for _ in range(2)]
    )
    attrs = {
        "time_major": p.time_major,
        "merge_outputs": p.merge,
        "fused_activation_function": p.act,
        "asymmetric_quantize_inputs": p.kind == "hybrid-asymmetric",
    }
    net.op("BIDIRECTIONAL_SEQUENCE_RNN", names, outs, attrs)


family(
    "BIDIRECTIONAL_SEQUENCE_RNN",
    _bidirectional_rnn,
    mixes=6,
    merge=(False, True),
    aux=(False, True),
    **_RNN,
    **_SEQUENCE,
)


def _cell(net: Net, p: Any) -> list[str | None]:
    """The 17 weights and biases of one LSTM cell: without input gate when coupled, peephole and projection as
    told.
    """
    out = p.projection or UNITS
    gates = [None if p.coupled and index == 0 else _weight(net, (UNITS, INPUT), p.kind) for index in range(4)]
    recurrent = [
        None if p.coupled and index == 0 else _weight(net, (UNITS, out), p.kind) for index in range(4)
    ]
    peephole = [
        None if not p.peephole or (p.coupled and index == 0) else _weight(net, (UNITS,), p.kind)
        for index in range(3)
    ]
    bias = [None if p.coupled and index == 0 else net.weights((UNITS,), "f32") for index in range(4)]
    projection = [
        _weight(net, (out, UNITS), p.kind) if p.projection else None,
        net.weights((out,), "f32") if p.projection and p.projection_bias else None,
    ]
    return [*gates, *recurrent, *peephole, *bias, *projection]


def _lstm(net: Net, p: Any) -> None:
    lead = (p.batch,) if p.op == "LSTM" else _sequence(p)
    out = p.projection or UNITS
    names = [
        net.input((*lead, INPUT), "f32"),
        *_cell(net, p),
        net.variable((p.batch, out), "f32"),
        net.variable((p.batch, UNITS), "f32"),
    ]
    if p.norm:
        names += [None if p.coupled and index == 0 else net.weights((UNITS,), "f32") for index in range(4)]
    attrs = {
        "fused_activation_function": p.act,
        "cell_clip": p.clip,
        "proj_clip": p.clip,
        "asymmetric_quantize_inputs": p.kind == "hybrid-asymmetric",
    }
    if p.op != "LSTM":
        attrs["time_major"] = p.time_major
    net.op(p.op, names, [net.result((*lead, out), "f32")], attrs)


_LSTM: dict[str, Any] = {
    "kind": RECURRENT,
    "batch": (1, 2),
    "coupled": (False, True),
    "peephole": (False, True),
    "projection": (0, 3),
    "projection_bias": (False, True),
    "clip": (0.0, 10.0),
    "act": ("TANH", "RELU"),
    "dyn": DYN[:2],
}
family("LSTM", _lstm, mixes=14, op=("LSTM",), norm=(False, True), **_LSTM)
family(
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
    _lstm,
    mixes=24,
    op=("UNIDIRECTIONAL_SEQUENCE_LSTM",),
    norm=(False, True),
    **_LSTM,
    **_SEQUENCE,
)


def _lstm_basic(net: Net, p: Any) -> None:
    kinds = {
        "x": Kind("x", "uint8", 1 / 128, 128),
        "w": Kind("w", "uint8", 0.01, 100),
        "b": Kind("b", "int32", 0.01 / 128),
        "state": Kind("s", "int16", 1 / 2048),
    }
    if p.kind == "f32":
        kinds = dict.fromkeys(kinds, KINDS["f32"])
    names = [net.input((p.batch, INPUT), kinds["x"]), net.input((p.batch, UNITS), kinds["x"]),
        net.weights((4 * UNITS, INPUT + UNITS), kinds["w"]),
             net.weights((4 * UNITS,), kinds["b"]), net.input((p.batch, UNITS), kinds["state"])]  # fmt: skip
    outs = [net.result((p.batch, UNITS), kinds["x"]), net.result((p.batch, UNITS), kinds["state"]),
        net.result((p.batch, INPUT + UNITS), kinds["x"]),
            net.result((p.batch, 4 * UNITS), kinds["state"])]  # fmt: skip
    net.op("LSTM", names, outs, {"kernel_type": "BASIC", "fused_activation_function": "TANH"})


family("LSTM", _lstm_basic, label="basic", mixes=2, kind=("f32", "qu8"), batch=(1, 3), dyn=DYN[:2])


def _lstm_int8(net: Net, p: Any) -> None:
    x, weight, cell = KINDS["q8"], Kind("w", "int8", 0.02), Kind("cell", "int16", 2.0**-11)
    gates = [net.weights((UNITS, INPUT), weight) for _ in range(4)]
    recurrent = [net.weights((UNITS, UNITS), weight) for _ in range(4)]
    bias = [net.weights((UNITS,), Kind("b", "int32", 0.001)) for _ in range(4)]
    state = net.variable((p.batch, UNITS), Kind("h", "int8", 1 / 128, 0))
    names = [
        net.input((*_sequence(p), INPUT), x),
        *gates,
        *recurrent,
        None,
        None,
        None,
        *bias,
        None,
        None,
        state,
        net.variable((p.batch, UNITS), cell),
    ]
    hidden = []
    for index in range(5):
        name = net.graph.fresh("intermediate")
        kind = Kind("hidden", "int8", 1 / 128, 0) if index == 4 else Kind("gate", "int16", 2.0**-12)
        net.graph.add_tensor(Tensor(name, kind.dtype, (), None, kind.quant()))
        hidden.append(name)
    out = net.result((*_sequence(p), UNITS), Kind("h", "int8", 1 / 128, 0))
    attrs = {"fused_activation_function": "TANH", "time_major": p.time_major, "intermediates": tuple(hidden)}
    net.op("UNIDIRECTIONAL_SEQUENCE_LSTM", names, [out], attrs)


family(
    "UNIDIRECTIONAL_SEQUENCE_LSTM", _lstm_int8, label="int8", mixes=2, batch=(1, 2), dyn=DYN[:2], **_SEQUENCE
)


def _bidirectional_lstm(net: Net, p: Any) -> None:
    lead, out = _sequence(p), p.projection or UNITS
    names = [net.input((*lead, INPUT), "f32"), *_cell(net, p), *_cell(net, p)]
    for _ in range(2):
        names += [net.variable((p.batch, out), "f32"), net.variable((p.batch, UNITS), "f32")]
    names += [net.input((*lead, INPUT), "f32") if p.aux else None]
    names += [
        (None if p.coupled and index % 4 == 0 else _weight(net, (UNITS, INPUT), p.kind)) if p.aux else None
        for index in range(8)
    ]
    outs = (
        [net.result((*lead, 2 * out), "f32")]
        if p.merge
        else [net.result((*lead, out), "f32") for _ in range(2)]
    )
    attrs = {
        "fused_activation_function": p.act,
        "cell_clip": p.clip,
        "merge_outputs": p.merge,
        "time_major": p.time_major,
        "asymmetric_quantize_inputs": p.kind == "hybrid-asymmetric",
    }
    net.op("BIDIRECTIONAL_SEQUENCE_LSTM", names, outs, attrs)


family(
    "BIDIRECTIONAL_SEQUENCE_LSTM",
    _bidirectional_lstm,
    mixes=12,
    merge=(False, True),
    aux=(False, True),
    **_LSTM,
    **_SEQUENCE,
)


def _svdf(net: Net, p: Any) -> None:
    filters = UNITS * p.rank
    if p.kind == "q8":
        names = [
            net.input((p.batch, INPUT), "q8"),
            net.weights((filters, INPUT), "q8s"),
            net.weights((filters, p.memory), Kind("t", "int16", 0.0001)),
            net.weights((UNITS,), Kind("b", "int32", 0.0001)) if p.bias else None,
            net.variable((p.batch, p.memory * filters), Kind("s", "int16", 0.0025)),
        ]
    else:
        names = [
            net.input((p.batch, INPUT), "f32"),
            _weight(net, (filters, INPUT), p.kind),
            _weight(net, (filters, p.memory), p.kind),
            net.weights((UNITS,), "f32") if p.bias else None,
            net.variable((p.batch, p.memory * filters), "f32"),
        ]
    attrs = {
        "rank": p.rank,
        "fused_activation_function": p.act,
        "asymmetric_quantize_inputs": p.kind == "hybrid-asymmetric",
    }
    net.op("SVDF", names, [net.result((p.batch, UNITS), "q8" if p.kind == "q8" else "f32")], attrs)


family(
    "SVDF",
    _svdf,
    mixes=10,
    kind=(*RECURRENT, "q8"),
    rank=(1, 2),
    memory=(6, 1),
    bias=(True, False),
    batch=(1, 2),
    act=("NONE", "RELU"),
    dyn=DYN[:2],
)

# ---- control flow ----------------------------------------------------------------------------


def two_input_body(net: Net, name: str, op: str, shape: tuple[int, ...], kind: str) -> Graph:
    """A body of one operator on two inputs."""
    body = net.body(name)
    names = [body.input(shape, kind), body.input(shape, kind)]
    body.op(op, names, [body.result(shape, kind)])
    return body.finish()


def _if(net: Net, p: Any) -> None:
    bodies = {
        "then": two_input_body(net, "then", "ADD", p.shape, p.kind),
        "else": two_input_body(net, "else", "MUL", p.shape, p.kind),
    }
    names = [net.input((1,), "bool", static=True), net.input(p.shape, p.kind), net.input(p.shape, p.kind)]
    net.op("IF", names, [net.result(p.shape, p.kind)], graphs=bodies)


family("IF", _if, mixes=4, shape=((2, 3), (1, 4, 5, 3), ()), kind=("f32", "i32"), dyn=DYN[:2])


def _while(net: Net, p: Any) -> None:
    cond, body = net.body("cond"), net.body("body")
    counter = cond.input((), "i32")
    cond.input(p.shape, p.kind)
    out = cond.result((), "bool")
    cond.op("LESS", [counter, cond.const(5)], [out])
    counter, value = body.input((), "i32"), body.input(p.shape, p.kind)
    outs = [body.result((), "i32"), body.result(p.shape, p.kind)]
    body.op("ADD", [counter, body.const(1)], [outs[0]])
    body.op(p.step, [value, value], [outs[1]])
    start = net.const(0) if p.const else net.input((), "i32")
    bodies = {"cond": cond.finish([out]), "body": body.finish(outs)}
    net.op(
        "WHILE",
        [start, net.input(p.shape, p.kind)],
        [net.result((), "i32"), net.result(p.shape, p.kind)],
        graphs=bodies,
    )


family(
    "WHILE",
    _while,
    mixes=4,
    shape=((2, 3), (1, 4, 5, 3), ()),
    kind=("f32", "i32"),
    step=("ADD", "MAXIMUM"),
    const=(True, False),
    dyn=DYN[:2],
)


def _resource(net: Net, name: str = "resource") -> str:
    name = net.graph.fresh(name)
    net.graph.add_tensor(Tensor(name, "resource", ()))
    return name


def _call_once(net: Net, p: Any) -> None:
    init = net.body("init")
    handle = _resource(init)
    init.op("VAR_HANDLE", [], [handle], {"shared_name": "v"})
    init.op("ASSIGN_VARIABLE", [handle, init.weights(p.shape, p.kind)], [])
    net.op("CALL_ONCE", [], [], graphs={"init": init.finish([])})
    handle = _resource(net)
    net.op("VAR_HANDLE", [], [handle], {"shared_name": "v"})
    value, out = net.result(p.shape, p.kind), net.result(p.shape, p.kind)
    net.op("READ_VARIABLE", [handle], [value])
    net.op("ADD", [value, net.input(p.shape, p.kind)], [out])
    net.finish([out])


for _op in ("CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE"):
    family(_op, _call_once, mixes=0, shape=((2, 3), (4,)) if _op == "CALL_ONCE" else ((2, 3),),
           kind=("f32", "i32") if _op == "CALL_ONCE" else ("f32",))  # fmt: skip


def _assign(net: Net, p: Any) -> None:
    handle, out = _resource(net), net.result(p.shape, p.kind)
    net.op("VAR_HANDLE", [], [handle], {"container": "", "shared_name": "v"})
    net.op("ASSIGN_VARIABLE", [handle, net.input(p.shape, p.kind)], [])
    net.op("READ_VARIABLE", [handle], [out])
    net.finish([out])


family("ASSIGN_VARIABLE", _assign, mixes=0, shape=((2, 3), (4,)), kind=("f32", "i32"))


def _table(net: Net, p: Any) -> None:
    types = {"i64": "INT64", "str": "STRING"}
    key, value = p.types
    contents = {
        "i64": lambda: net.const((1, 2, 3), "i64"),
        "str": lambda: net.strings((b"a", b"b", b"c"), (3,)),
    }
    handle = _resource(net)
    net.op("HASHTABLE", [], [handle], {"table_id": 7, "key_dtype": types[key], "value_dtype": types[value]})
    net.op("HASHTABLE_IMPORT", [handle, contents[key](), contents[value]()], [])
    if p.op == "HASHTABLE_SIZE":
        net.op("HASHTABLE_SIZE", [handle], [net.result((1,), "i64", static=True)])
        return
    default = net.const((0,), "i64") if value == "i64" else net.strings((b"?",), (1,))
    net.op("HASHTABLE_FIND", [handle, net.input((2,), key), default], [net.result((2,), value)])


for _op in ("HASHTABLE", "HASHTABLE_FIND", "HASHTABLE_IMPORT", "HASHTABLE_SIZE"):
    family(_op, _table, mixes=0, op=(_op,), types=(("i64", "str"), ("str", "i64")))


def _strings(net: Net, p: Any) -> None:
    x = net.input((2, 3), "str")
    if p.op == "GATHER":
        net.op("GATHER", [net.input((3,), "str"), net.const((1, 0))], [net.result((2,), "str")])
    elif p.op in ("EQUAL", "NOT_EQUAL"):
        net.op(p.op, [x, net.input((2, 3), "str")], [net.result((2, 3), "bool")])
    elif p.op == "RESHAPE":
        net.op("RESHAPE", [x, net.const((6,))], [net.result((6,), "str")], {"new_shape": (6,)})
    elif p.op == "SQUEEZE":
        net.op("SQUEEZE", [net.input((1, 3), "str")], [net.result((3,), "str")], {"squeeze_dims": (0,)})
    elif p.op == "TILE":
        net.op("TILE", [x, net.const((1, 2))], [net.result((2, 6), "str")])
    elif p.op == "SLICE":
        net.op("SLICE", [x, net.const((0, 1)), net.const((2, 2))], [net.result((2, 2), "str")])
    else:
        net.op("SHAPE", [x], [net.result((2,), "i32", static=True)], {"out_type": "INT32"})


for _op in ("GATHER", "EQUAL", "NOT_EQUAL", "RESHAPE", "SQUEEZE", "TILE", "SLICE", "SHAPE"):
    family(_op, _strings, label="string", mixes=0, op=(_op,))


def _skip_gram(net: Net, p: Any) -> None:
    net.op(
        "SKIP_GRAM",
        [net.input((1,), "str")],
        [net.result((1,), "str")],
        {"ngram_size": 3, "max_skip_size": 2, "include_all_ngrams": p.all},
    )


family("SKIP_GRAM", _skip_gram, mixes=0, all=(True, False))


def _lsh(net: Net, p: Any) -> None:
    names = [
        net.weights((3, 2), "f32"),
        net.input((5,), "i32"),
        net.weights((5,), "f32") if p.weighted else None,
    ]
    net.op(
        "LSH_PROJECTION", names, [net.result((6,) if p.type == "DENSE" else (3,), "i32")], {"type": p.type}
    )


family("LSH_PROJECTION", _lsh, mixes=1, type=("DENSE", "SPARSE"), weighted=(True, False))


def _random(net: Net, p: Any) -> None:
    where = net.const(p.shape) if p.const else net.input((len(p.shape),), "i32", static=True)
    net.op(p.op, [where], [net.result(p.shape, "f32", static=True)], {"seed": p.seed, "seed2": 7})


for _op in ("RANDOM_UNIFORM", "RANDOM_STANDARD_NORMAL"):
    family(
        _op,
        _random,
        mixes=0,
        op=(_op,),
        shape=((2, 3), (4,), (1, 4, 5, 3)),
        const=(True, False),
        seed=(42, 0),
    )


def _multinomial(net: Net, p: Any) -> None:
    net.op(
        "MULTINOMIAL",
        [net.input((2, 5), "f32"), net.const(3) if p.const else net.input((), "i32")],
        [net.result((2, 3), p.to)],
        {"seed": 1, "seed2": 2},
    )


family("MULTINOMIAL", _multinomial, mixes=0, to=("i64", "i32"), const=(True, False), dyn=DYN[:2])
