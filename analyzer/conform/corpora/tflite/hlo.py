"""Corpus families: StableHLO operators with their regions, and the custom operators that the reference
resolver has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .elementwise import DYN
from .family import family
from .net import Net
from .stateful import two_input_body

if TYPE_CHECKING:
    from ....ir.graph import Graph


def _hlo_binary(net: Net, p: Any) -> None:
    net.op(
        p.op,
        [net.input(p.shape, p.kind), net.operand(p.shape, p.kind, const=p.const)],
        [net.result(p.shape, p.kind)],
    )


_HLO = {
    "STABLEHLO_ADD": ("f32", "i32"),
    "STABLEHLO_MULTIPLY": ("f32", "i32"),
    "STABLEHLO_MAXIMUM": ("f32", "i32"),
    "STABLEHLO_MINIMUM": ("f32", "i32"),
    "STABLEHLO_AND": ("i32", "bool"),
    "STABLEHLO_SHIFT_LEFT": ("i32", "i8"),
}
for _op, _kinds in _HLO.items():
    family(
        _op,
        _hlo_binary,
        mixes=2,
        op=(_op,),
        kind=_kinds,
        shape=((2, 3), (1, 4, 5, 3), (4,)),
        const=(False, True),
        dyn=DYN[:2],
    )


def _hlo_pad(net: Net, p: Any) -> None:
    attrs = {"edge_padding_low": (1, p.low), "edge_padding_high": (0, 2), "interior_padding": (p.inner, 0)}
    out = (1 + 2 + p.inner, p.low + 3 + 2)
    net.op(
        "STABLEHLO_PAD",
        [net.input((2, 3), p.kind), net.weights((), p.kind)],
        [net.result(out, p.kind)],
        attrs,
    )


family("STABLEHLO_PAD", _hlo_pad, mixes=2, kind=("f32", "i32"), low=(1, 0), inner=(0, 1), dyn=DYN[:2])


def _hlo_gather(net: Net, p: Any) -> None:
    attrs = {
        "offset_dims": (2, 3),
        "collapsed_slice_dims": (0,),
        "start_index_map": (1, 0),
        "index_vector_dim": 2,
        "slice_sizes": (1, 2, 2),
    }
    net.op(
        "STABLEHLO_GATHER",
        [net.input((3, 4, 2), p.kind), net.input((2, 3, 2), p.index)],
        [net.result((2, 3, 2, 2), p.kind)],
        attrs,
    )


family("STABLEHLO_GATHER", _hlo_gather, mixes=1, kind=("f32", "i32"), index=("i64", "i32"))


def _hlo_body(net: Net, op: str, kind: str) -> Graph:
    body = net.body("region")
    names = [body.input((), kind), body.input((), kind)]
    body.op(op, names, [body.result((), kind)])
    return body.finish()


def _hlo_scatter(net: Net, p: Any) -> None:
    attrs = {
        "update_window_dims": (2, 3),
        "inserted_window_dims": (0,),
        "scatter_dims_to_operand_dims": (1, 0),
        "index_vector_dim": 2,
    }
    names = [net.input((3, 4, 2), p.kind), net.input((2, 3, 2), "i64"), net.input((2, 3, 2, 2), p.kind)]
    net.op(
        "STABLEHLO_SCATTER",
        names,
        [net.result((3, 4, 2), p.kind)],
        attrs,
        graphs={"update_computation": _hlo_body(net, p.body, p.kind)},
    )


family(
    "STABLEHLO_SCATTER",
    _hlo_scatter,
    mixes=1,
    kind=("f32", "i32"),
    body=("STABLEHLO_ADD", "STABLEHLO_MAXIMUM"),
)


def _hlo_window(net: Net, p: Any) -> None:
    attrs = {
        "window_dimensions": (2, 2),
        "window_strides": (p.stride, 1),
        "base_dilations": (1, 1),
        "window_dilations": (1, 1),
        "padding": (0, 0, 0, 0),
    }
    out = ((4 - 2) // p.stride + 1, 4)
    net.op(
        "STABLEHLO_REDUCE_WINDOW",
        [net.input((4, 5), p.kind), net.weights((), p.kind)],
        [net.result(out, p.kind)],
        attrs,
        graphs={"body": _hlo_body(net, p.body, p.kind)},
    )


family(
    "STABLEHLO_REDUCE_WINDOW",
    _hlo_window,
    mixes=2,
    kind=("f32", "i32"),
    stride=(1, 2),
    body=("STABLEHLO_ADD", "STABLEHLO_MAXIMUM", "STABLEHLO_MINIMUM", "STABLEHLO_MULTIPLY"),
)


def _window(net: Net, p: Any) -> None:
    names = [
        net.input((4, 5), p.kind),
        net.weights((), p.kind),
        *(net.const(value, "i64") for value in ((2, 2), (p.stride, 1), (1, 1))),
    ]
    net.op(
        "REDUCE_WINDOW",
        names,
        [net.result(((4 - 2) // p.stride + 1, 4), p.kind)],
        {"reduce_function": p.function},
    )


family(
    "REDUCE_WINDOW",
    _window,
    mixes=2,
    kind=("f32", "i32"),
    stride=(1, 2),
    function=("ADD", "MUL", "MINIMUM", "MAXIMUM"),
)


def _hlo_random(net: Net, p: Any) -> None:
    outs = [net.result((2,), "u64"), net.result(p.shape, p.kind)]
    net.op(
        "STABLEHLO_RNG_BIT_GENERATOR", [net.input((2,), "u64", static=True)], outs, {"algorithm": p.algorithm}
    )


family(
    "STABLEHLO_RNG_BIT_GENERATOR",
    _hlo_random,
    mixes=0,
    kind=("u32", "i32", "u64", "i64"),
    shape=((2, 3), (4,)),
    algorithm=("PHILOX", "THREEFRY", "DEFAULT"),
)


def _composite(net: Net, p: Any) -> None:
    body = two_input_body(net, "decomposition", p.body, p.shape, "f32")
    names = [net.input(p.shape, "f32"), net.input(p.shape, "f32")]
    attrs = {"name": p.name, "version": 1, "composite_attributes": b""}
    net.op("STABLEHLO_COMPOSITE", names, [net.result(p.shape, "f32")], attrs, graphs={"decomposition": body})


family(
    "STABLEHLO_COMPOSITE",
    _composite,
    mixes=0,
    name=("test.add", "odml.rms_norm", "odml.group_norm"),
    body=("ADD", "MUL"),
    shape=((2, 3), (1, 4, 5, 3)),
    dyn=DYN[:2],
)


def _attention(net: Net, p: Any) -> None:
    """Attention as one composite: query, key, value and mask; what the decomposition computes does not matter
    here.
    """
    shape, mask = (1, p.length, p.heads, 8), (1, 1, p.length, p.length)
    body = net.body("attention")
    query, _, value, _ = (
        body.input(shape, "f32"),
        body.input(shape, "f32"),
        body.input(shape, "f32"),
        body.input(mask, "f32"),
    )
    body.op("ADD", [query, value], [body.result(shape, "f32")])
    names = [net.input(shape, "f32") for _ in range(3)]
    attrs = {
        "name": "odml.scaled_dot_product_attention",
        "version": 1,
        "composite_attributes": flex({"scale": 0.5}),
    }
    net.op(
        "STABLEHLO_COMPOSITE",
        [*names, net.input(mask, "f32")],
        [net.result(shape, "f32")],
        attrs,
        graphs={"decomposition": body.finish()},
    )


family(
    "STABLEHLO_COMPOSITE", _attention, label="attention", mixes=0, length=(6, 1), heads=(2, 1), dyn=DYN[:2]
)


def _hlo_case(net: Net, p: Any) -> None:
    bodies = {
        f"branch_{index}": two_input_body(net, f"branch{index}", op, (2, 3), "f32")
        for index, op in enumerate(("ADD", "MUL", "SUB")[: p.branches])
    }
    net.op(
        "STABLEHLO_CASE",
        [net.input((), "i32"), net.input((2, 3), "f32"), net.input((2, 3), "f32")],
        [net.result((2, 3), "f32")],
        graphs=bodies,
    )


family("STABLEHLO_CASE", _hlo_case, mixes=0, branches=(2, 3))

# ---- custom operators that the reference resolver has ---------------------------------------


def flex(values: dict[str, Any]) -> bytes:
    """A map as FlexBuffers, which is what custom operators read their options from."""
    from flatbuffers import flexbuffers

    return bytes(flexbuffers.Dumps(values))


def _detection(net: Net, p: Any) -> None:
    names = [net.input((1, 6, 4), p.kind), net.input((1, 6, 3), p.kind), net.weights((6, 4), p.kind)]
    outs = [
        net.result((1, 4, 4), "f32"),
        net.result((1, 4), "f32"),
        net.result((1, 4), "f32"),
        net.result((1,), "f32"),
    ]
    options = {
        "max_detections": 4,
        "max_classes_per_detection": 1,
        "nms_score_threshold": 0.1,
        "nms_iou_threshold": 0.5,
        "num_classes": 2,
        "y_scale": 10.0,
        "x_scale": 10.0,
        "h_scale": 5.0,
        "w_scale": 5.0,
        "use_regular_nms": p.regular,
    }
    net.op("TFLite_Detection_PostProcess", names, outs, {"custom_options": flex(options)}, domain="custom")


family("CUSTOM", _detection, label="detection", mixes=0, kind=("f32", "qu8"), regular=(False, True))


def _spectrogram(net: Net, p: Any) -> None:
    options = {"window_size": 8, "stride": 4, "magnitude_squared": p.squared}
    net.op(
        "AudioSpectrogram",
        [net.input((32, 1), "f32")],
        [net.result((1, 7, 5), "f32")],
        {"custom_options": flex(options)},
        domain="custom",
    )


family("CUSTOM", _spectrogram, label="spectrogram", mixes=0, squared=(False, True))


def _mfcc(net: Net, p: Any) -> None:
    options = {
        "upper_frequency_limit": 4000.0,
        "lower_frequency_limit": 20.0,
        "filterbank_channel_count": 40,
        "dct_coefficient_count": p.count,
    }
    names = [net.input((1, 10, 129), "f32"), net.const((8000,))]
    net.op(
        "Mfcc",
        names,
        [net.result((1, 10, p.count), "f32")],
        {"custom_options": flex(options)},
        domain="custom",
    )


family("CUSTOM", _mfcc, label="mfcc", mixes=0, count=(13,))
