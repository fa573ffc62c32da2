"""Reshapes, transposes, joining and splitting, filling, blocks of pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ...errors import NotCoveredError
from ..call import Call
from ..emit import NARROW
from .spatial import onnx_pads


def _reshape(call: Call) -> None:
    shape = call.value("shape")
    target = call.emit.ints(call.whole("shape")) if shape is not None else call.indices("shape")
    call.done("Reshape", call["x"], target)


def _reshape_like(call: Call) -> None:
    shape = call.result().shape
    if shape is None or not call.result().static:
        raise NotCoveredError("reshape_like to an unknown shape")
    call.emit.reshape(call["x"], [dim for dim in shape if isinstance(dim, int)], to=call.out())


def _transpose(call: Call) -> None:
    rank = call.rank()
    call.done("Transpose", call["x"], perm=[axis % rank for axis in call.numbers("perm")])


def _expand_dims(call: Call) -> None:
    call.emit.unsqueeze(call["x"], call.numbers("axes"), to=call.out())


def _squeeze(call: Call) -> None:
    axes = call.numbers("axes") if call.attr("axes") is not None else None
    if axes is None:
        axes = [axis for axis, size in enumerate(call.shape()) if size == 1]
    call.emit.squeeze(call["x"], axes, to=call.out())


def _concat(call: Call) -> None:
    tensors = call.tensors("values")
    rank = max((len(tensor.shape) for tensor in tensors if tensor.shape is not None), default=1)
    axis = int(call.attr("axis", 0)) % rank
    names = call.all("values")
    if not call.attr("interleave", False):
        call.done("Concat", *names, axis=axis)
        return
    stacked = call.emit.op(
        "Concat", *(call.emit.unsqueeze(name, [axis + 1]) for name in names), axis=axis + 1
    )
    shape = (
        [0] * axis
        + [-1]
        + [dim if isinstance(dim, int) else 0 for dim in (tensors[0].shape or ())[axis + 1 :]]
    )
    call.emit.reshape(stacked, shape, to=call.out())


def _stack(call: Call) -> None:
    rank = call.tensors("values")[0].rank or 0
    axis = int(call.attr("axis", 0)) % (rank + 1)
    call.done("Concat", *(call.emit.unsqueeze(name, [axis]) for name in call.all("values")), axis=axis)


def _split(call: Call) -> None:
    axis = int(call.attr("axis"))
    outputs = [call.out(index) for index in range(len(call.op.outputs))]
    sizes = call.numbers("split_sizes") if call.attr("split_sizes") is not None else None
    if sizes is not None:
        call.emit.ops("Split", (call["x"], call.emit.ints(sizes)), outputs, axis=axis)
    elif len(outputs) == 1:
        call.give(call["x"])
    else:
        call.emit.ops("Split", (call["x"],), outputs, axis=axis, num_outputs=len(outputs))


def _tile(call: Call) -> None:
    reps = call.value("reps")
    call.done("Tile", call["x"], call.indices("reps") if reps is None else call.emit.ints(call.whole("reps")))


def _flatten(call: Call) -> None:
    call.done("Flatten", call["x"], axis=int(call.attr("axis", 1)))


def _shape(call: Call) -> None:
    call.emit.cast(call.emit.op("Shape", call["x"]), call.result().dtype, to=call.out())


def _fill(call: Call) -> None:
    dtype = call.result().dtype
    value = call.emit.scalar(call.attr("value", 0), "float32" if dtype == "unknown" else dtype)
    call.done("Expand", value, call.indices("shape"))


def _fill_like(call: Call) -> None:
    value = call.emit.scalar(call.attr("value", 0), call.result().dtype)
    call.done("Expand", value, call.emit.op("Shape", call["ref_tensor"]))


def _pad(call: Call) -> None:
    """The last axes are padded; those before them are not."""
    pairs, rank = call.whole("pad"), call.rank()
    pairs = [0] * (2 * rank - len(pairs)) + pairs
    mode = call.attr("mode", "constant")
    kind = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}[mode]
    x, dtype = call["x"], call.dtype()
    if dtype == "bool":
        x = call.emit.cast(x, "int32")
    wide = call.widen(x, dtype)
    kept = "int32" if dtype == "bool" or dtype in NARROW else "float32" if dtype == "float16" else dtype
    value = call.emit.scalar(call.attr("constant_val", 0), kept) if mode == "constant" else None
    made = call.emit.op("Pad", wide, call.emit.ints(onnx_pads(pairs)), value, mode=kind)
    if dtype == "bool":
        call.emit.cast(made, "bool", to=call.out())
    else:
        call.narrow(made, dtype)


def _crop(call: Call) -> None:
    """``crop_height`` and ``crop_width``: elements cut off before and behind the last two axes."""
    height, width = call.numbers("crop_height"), call.numbers("crop_width")
    ends = [-end if end else np.iinfo(np.int64).max for end in (height[1], width[1])]
    call.emit.slice(call["x"], [height[0], width[0]], ends, [-2, -1], to=call.out())


def _blocks(call: Call, first: Sequence[int], order: Sequence[int], second: Sequence[int]) -> None:
    split = call.emit.reshape(call["x"], first)
    turned = call.emit.op("Transpose", split, perm=list(order))
    call.emit.reshape(turned, second, to=call.out())


def _depth_to_space(call: Call) -> None:
    call.done("DepthToSpace", call["x"], blocksize=int(call.attr("block_size")), mode="DCR")


def _space_to_depth(call: Call) -> None:
    """The blocks' positions come before the channels."""
    call.done("SpaceToDepth", call["x"], blocksize=int(call.attr("block_size")))


def _pixel_shuffle(call: Call) -> None:
    call.done("DepthToSpace", call["x"], blocksize=int(call.attr("upscale_factor")), mode="CRD")


def _pixel_unshuffle(call: Call) -> None:
    """The channels come before the blocks' positions."""
    n, c, h, w = call.shape()
    f = int(call.attr("downscale_factor"))
    _blocks(call, [n, c, h // f, f, w // f, f], [0, 1, 3, 5, 2, 4], [n, c * f * f, h // f, w // f])


def _space_to_batch(call: Call) -> None:
    """As ``tf.space_to_batch`` with channels second."""
    n, c, h, w = call.shape()
    (top, bottom), (left, right) = np.reshape(call.numbers("paddings"), (2, 2)).tolist()
    fh, fw = call.numbers("block_shape")
    padded = call.emit.op("Pad", call.wide(), call.emit.ints([0, 0, top, left, 0, 0, bottom, right]))
    h, w = h + top + bottom, w + left + right
    split = call.emit.reshape(padded, [n, c, h // fh, fh, w // fw, fw])
    turned = call.emit.op("Transpose", split, perm=[3, 5, 0, 1, 2, 4])
    call.narrow(call.emit.reshape(turned, [n * fh * fw, c, h // fh, w // fw]), call.dtype())


def _batch_to_space(call: Call) -> None:
    n, c, h, w = call.shape()
    (top, bottom), (left, right) = np.reshape(call.numbers("crops"), (2, 2)).tolist()
    fh, fw = call.numbers("block_shape")
    split = call.emit.reshape(call["x"], [fh, fw, n // (fh * fw), c, h, w])
    turned = call.emit.op("Transpose", split, perm=[2, 3, 4, 0, 5, 1])
    whole = call.emit.reshape(turned, [n // (fh * fw), c, h * fh, w * fw])
    call.emit.slice(whole, [top, left], [h * fh - bottom, w * fw - right], [2, 3], to=call.out())


LOWERINGS: Mapping[str, Callable[[Call], None]] = {
    "reshape": _reshape,
    "reshape_like": _reshape_like,
    "transpose": _transpose,
    "expand_dims": _expand_dims,
    "squeeze": _squeeze,
    "concat": _concat,
    "stack": _stack,
    "split": _split,
    "tile": _tile,
    "flatten2d": _flatten,
    "shape": _shape,
    "fill": _fill,
    "fill_like": _fill_like,
    "pad": _pad,
    "crop": _crop,
    "depth_to_space": _depth_to_space,
    "space_to_depth": _space_to_depth,
    "pixel_shuffle": _pixel_shuffle,
    "pixel_unshuffle": _pixel_unshuffle,
    "space_to_batch": _space_to_batch,
    "batch_to_space": _batch_to_space,
}
