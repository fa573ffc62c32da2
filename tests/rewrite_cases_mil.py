"""ML Programs on which each rewrite applies, and near misses with what the guard says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from coremltools.converters.mil import Builder as mb
from mil_cases import ints, ramp

Build = Callable[..., Any]
Program = tuple[dict[str, Any], Build]
"""Arrays that give the inputs' shapes and dtypes, and what is built of them."""


def half(*shape: int) -> Any:
    return ramp(*shape).astype(np.float16)


H = np.float16
W2, W1 = half(3, 4, 3, 3), half(2, 3, 40)


def conv(shape: tuple[int, ...], weight: Any, **params: Any) -> Program:
    return {"x": half(*shape)}, lambda x: mb.conv(x=x, weight=weight, **params)


def loop(rounds: int | None) -> Program:
    """Rounds of x = 2 x + step; without a number the loop runs until the sum is large."""

    def build(x: Any) -> Any:
        def going(step: Any, value: Any) -> Any:
            if rounds is None:
                return mb.less(x=mb.reduce_sum(x=value), y=H(50))
            return mb.less(x=step, y=np.int32(rounds))

        def body(step: Any, value: Any) -> Any:
            grown = mb.add(x=mb.mul(x=value, y=H(0.5)), y=mb.cast(x=step, dtype="fp16"))
            return mb.add(x=step, y=np.int32(1)), grown

        return mb.while_loop(_cond=going, _body=body, loop_vars=(np.int32(0), x))[1]

    return {"x": half(2, 3)}, build


def lists(*, computed: bool = False) -> Program:
    """A list that two places of are written, read whole, and one by one."""

    def build(x: Any, at: Any = None) -> Any:
        ls = mb.make_list(init_length=3, elem_shape=(2, 4), dtype="fp16", dynamic_length=False)
        ls = mb.list_write(ls=ls, index=0, value=x)
        ls = mb.list_write(
            ls=ls, index=mb.squeeze(x=at, axes=[0]) if computed else 2, value=mb.mul(x=x, y=H(3))
        )
        every = mb.list_gather(ls=ls, indices=[0, 1, 2])
        return mb.add(x=every, y=mb.list_read(ls=ls, index=2))

    return {"x": half(2, 4), **({"at": np.array([1], np.int32)} if computed else {})}, build


def counted_list() -> Program:
    """A loop that writes a list, as a recurrent layer of TensorFlow does."""

    def build(x: Any) -> Any:
        ls = mb.make_list(init_length=3, elem_shape=(4,), dtype="fp16", dynamic_length=False)

        def going(step: Any, _: Any) -> Any:
            return mb.less(x=step, y=np.int32(3))

        def body(step: Any, ls: Any) -> Any:
            row = mb.gather(x=x, indices=step, axis=0)
            return mb.add(x=step, y=np.int32(1)), mb.list_write(ls=ls, index=step, value=mb.tanh(x=row))

        made = mb.while_loop(_cond=going, _body=body, loop_vars=(np.int32(0), ls))[1]
        return mb.list_gather(ls=made, indices=[0, 1, 2])

    return {"x": half(3, 4)}, build


def decided(x: Any) -> Any:
    return mb.cond(
        pred=np.bool_(False), _true_fn=lambda: mb.mul(x=x, y=H(3)), _false_fn=lambda: mb.sub(x=x, y=H(1))
    )


def network(x: Any) -> Any:
    x = mb.conv(x=x, weight=ramp(5, 3, 3, 3), bias=ramp(5), pad_type="same")
    x = mb.layer_norm(x=mb.gelu(x=x, mode="EXACT"), axes=[1], gamma=ramp(5), beta=ramp(5), epsilon=1e-12)
    x = mb.reduce_mean(x=x, axes=[2, 3], keep_dims=False)
    x = mb.linear(x=x, weight=ramp(4, 5), bias=ramp(4))
    return mb.softmax(x=mb.add(x=x, y=np.array([0, 0, -3.4e38, 0], np.float32)), axis=-1)


def scattered(mode: str, indices: Any) -> Program:
    return (
        {"data": half(2, 5, 3), "updates": half(2, 2, 3)},
        lambda data, updates: mb.scatter(
            data=data, updates=updates, indices=np.array(indices, np.int32), axis=1, mode=mode
        ),
    )


def updated(**params: Any) -> Program:
    return (
        {"x": half(2, 5, 4), "update": half(1, 2, 4)},
        lambda x, update: mb.slice_update(x=x, update=update, begin=[1, 2, 0], **params),
    )


MASK = np.array([[0, -np.inf, 0, -3e4]], np.float16)


APPLIES: dict[str, dict[str, Program]] = {
    "float32-to-float16": {
        "network": ({"x": ramp(1, 3, 6, 5)}, network),
        "fill": ({"x": ramp(2, 3)}, lambda x: mb.add(x=x, y=mb.fill_like(ref_tensor=x, value=1.5))),
    },
    "split-large-kernels": {
        "1d": conv((1, 3, 90), W1, bias=half(2), pad_type="same"),
        "strided": conv((2, 3, 90), W1, strides=[3], pad_type="custom", pad=[7, 4]),
        "wide": conv((1, 2, 8, 60), half(3, 2, 3, 33), dilations=[1, 1], pad_type="same", bias=half(3)),
        "dilated": conv((1, 2, 8, 90), half(3, 2, 3, 20), dilations=[2, 3]),
        "turned": conv((1, 2, 8, 60), half(3, 2, 1, 30)),
        "high": conv((1, 2, 70, 8), half(3, 2, 40, 2), strides=[2, 1]),
        "grouped": conv((1, 4, 60), half(4, 1, 20), groups=4),
    },
    "fold-large-strides": {
        "1d": conv((1, 2, 200), half(3, 2, 50), strides=[20], bias=half(3)),
        "padded": conv((1, 2, 200), half(3, 2, 50), strides=[24], pad_type="custom", pad=[13, 9]),
        "short": conv((1, 2, 100), half(3, 2, 5), strides=[20]),
        "rows": conv((1, 2, 90, 7), half(3, 2, 21, 3), strides=[20, 2], pad_type="same"),
    },
    "split-large-max-pools": {
        "padded": (
            {"x": half(1, 2, 30, 29)},
            lambda x: mb.max_pool(
                x=x, kernel_sizes=[13, 9], strides=[2, 3], pad_type="custom", pad=[6, 6, 4, 4]
            ),
        ),
        "wide": (
            {"x": half(1, 2, 5, 60)},
            lambda x: mb.max_pool(x=x, kernel_sizes=[1, 20], strides=[1, 2], pad_type="valid"),
        ),
        "same": (
            {"x": half(1, 2, 20, 20)},
            lambda x: mb.max_pool(x=x, kernel_sizes=[9, 9], strides=[1, 1], pad_type="same"),
        ),
    },
    "global-pool-to-mean": {
        "all": (
            {"x": half(1, 2, 40, 35)},
            lambda x: mb.avg_pool(x=x, kernel_sizes=[40, 35], pad_type="valid"),
        ),
    },
    "pad-outer-axes": {
        "reflect": (
            {"x": half(4, 3, 5, 2)},
            lambda x: mb.transpose(
                x=mb.pad(
                    x=mb.reshape(x=x, shape=[1, 4, 3, 5, 2]),
                    pad=[0, 0, 0, 0, 2, 1, 1, 2, 1, 0],
                    mode="reflect",
                ),
                perm=[0, 2, 1, 3, 4],
            ),
        ),
        "replicate": ({"x": half(3, 4, 5)}, lambda x: mb.pad(x=x, pad=[2, 0, 1, 1, 0, 3], mode="replicate")),
    },
    "pad-with-a-value": {
        "both": ({"x": half(2, 3, 4)}, lambda x: mb.pad(x=x, pad=[1, 0, 0, 2], constant_val=H(-1.5))),
    },
    "reflect-by-slices": {
        "reflect": ({"x": half(2, 3, 4)}, lambda x: mb.pad(x=x, pad=[2, 1, 0, 3], mode="reflect")),
        "replicate": ({"x": half(2, 3, 4)}, lambda x: mb.pad(x=x, pad=[2, 1, 0, 3], mode="replicate")),
    },
    "sliding-windows-to-slices": {
        "few windows": ({"x": half(2, 9, 3)}, lambda x: mb.sliding_windows(x=x, axis=1, size=4, stride=3)),
        "few positions": ({"x": half(2, 3, 9)}, lambda x: mb.sliding_windows(x=x, axis=2, size=3, stride=1)),
    },
    "flatten-to-reshape-mil": {"flatten": ({"x": half(2, 3, 4)}, lambda x: mb.flatten2d(x=x, axis=1))},
    "mod-parts": {"mod": ({"x": half(2, 3), "y": half(3) + H(3)}, lambda x, y: mb.mod(x=x, y=y))},
    "function-parts": {
        op: ({"x": half(2, 7) * H(0.4)}, lambda x, op=op: getattr(mb, op)(x=x))
        for op in ("tan", "sinh", "cosh", "asin", "acos", "atanh")
    },
    "reduce-prod-to-products": {
        "two": ({"x": half(2, 5, 3)}, lambda x: mb.reduce_prod(x=x, axes=[1, 2], keep_dims=False)),
        "kept": ({"x": half(2, 7, 3)}, lambda x: mb.reduce_prod(x=x, axes=[1], keep_dims=True)),
        "one": ({"x": half(2, 1, 3)}, lambda x: mb.reduce_prod(x=x, axes=[1], keep_dims=False)),
    },
    "band-part-to-mask": {"band": ({"x": half(2, 4, 5)}, lambda x: mb.band_part(x=x, lower=1, upper=0))},
    "cumsum-to-product": {
        "inner": ({"x": half(2, 5, 3)}, lambda x: mb.cumsum(x=x, axis=1)),
        "reversed": ({"x": half(2, 5)}, lambda x: mb.cumsum(x=x, axis=-1, exclusive=True, reverse=True)),
        "flat": ({"x": half(6)}, lambda x: mb.cumsum(x=x, axis=0)),
    },
    "logic-as-comparison": {
        op: (
            {"x": half(2, 4), "y": half(2, 4)[::-1]},
            lambda x, y, op=op: mb.select(
                cond=getattr(mb, op)(x=mb.greater(x=x, y=H(0)), y=mb.greater(x=y, y=H(0))), a=x, b=y
            ),
        )
        for op in ("logical_or", "logical_xor")
    },
    "activation-parts": {
        "threshold": ({"x": half(2, 5)}, lambda x: mb.threshold(x=x, alpha=H(0.5))),
        "clamped": ({"x": half(2, 5)}, lambda x: mb.clamped_relu(x=x, alpha=H(0.25), beta=H(1))),
    },
    "prelu-parts": {
        "channels": ({"x": half(2, 3, 4, 5)}, lambda x: mb.prelu(x=x, alpha=np.array([0.1, 0.5, -0.3], H)))
    },
    "scalars-keep-a-dimension": {
        "vector": (
            {"x": half(5)},
            lambda x: mb.expand_dims(x=mb.reduce_sum(x=x, axes=[0], keep_dims=False), axes=[0]),
        ),
        "matrix": (
            {"x": half(2, 5)},
            lambda x: mb.expand_dims(x=mb.reduce_max(x=x, keep_dims=False), axes=[0, 1, 2]),
        ),
    },
    "finite-masks": {
        "mask": ({"x": half(3, 4)}, lambda x: mb.softmax(x=mb.add(x=x, y=MASK), axis=-1)),
    },
    "split-long-products": {
        "linear": (
            {"x": half(1, 20000) * H(0.01)},
            lambda x: mb.linear(x=x, weight=half(2, 20000) * H(0.01), bias=half(2)),
        ),
        "matmul": (
            {"x": half(17000, 2) * H(0.01)},
            lambda x: mb.matmul(x=x, y=half(3, 17000) * H(0.01), transpose_x=True, transpose_y=True),
        ),
    },
    "constant-scatter-to-join": {"update": scattered("update", [3, 0]), "add": scattered("add", [4, 1])},
    "slice-update-to-join": {
        "inner": updated(end=[2, 4, 4]),
        "masked": updated(end=[0, 4, 0], end_mask=[True, False, True]),
    },
    "unroll-loops-mil": {"counted": loop(3), "never": loop(0)},
    "take-the-branch-mil": {"false": ({"x": half(2, 3)}, decided)},
    "lists-as-values-mil": {"plain": lists()},
    "fold-constants-mil": {
        "indices": (
            {"x": half(3, 4)},
            lambda x: mb.gather(x=x, indices=mb.add(x=np.array([0, 1], np.int32), y=np.int32(1)), axis=0),
        ),
        "range": (
            {"x": half(3, 4)},
            lambda x: mb.gather(
                x=x, indices=mb.range_1d(start=np.int32(0), end=np.int32(3), step=np.int32(2)), axis=0
            ),
        ),
    },
    "fold-shape-mil": {
        "reshape": (
            {"x": half(3, 4)},
            lambda x: mb.reshape(x=x, shape=mb.shape(x=mb.transpose(x=x, perm=[1, 0]))),
        )
    },
    "remove-idle-mil": {
        "transpose": ({"x": half(3, 4)}, lambda x: mb.relu(x=mb.transpose(x=x, perm=[0, 1])))
    },
    "casts-undone-mil": {
        "pair": (
            {"x": half(3, 4)},
            lambda x: mb.relu(x=mb.cast(x=mb.cast(x=mb.abs(x=x), dtype="fp32"), dtype="fp16")),
        )
    },
}

MISSES: dict[str, dict[str, tuple[Program, str]]] = {
    "float32-to-float16": {
        "half already": (({"x": half(2, 3)}, lambda x: mb.relu(x=x)), "does not compute in float32"),
        "too large": (({"x": ramp(2, 3)}, lambda x: mb.add(x=x, y=np.float32(1e6))), "float16 does not have"),
    },
    "split-large-kernels": {
        "small": (conv((1, 4, 8, 8), W2), "small enough"),
        "computed": (
            ({"x": half(1, 3, 90), "weight": W1}, lambda x, weight: mb.conv(x=x, weight=weight)),
            "computed",
        ),
        "3d": (conv((1, 2, 3, 4, 40), half(2, 2, 1, 1, 20)), "3 spatial dimensions"),
        "huge": (conv((1, 1, 2000), half(1, 1, 1300)), "would become"),
    },
    "fold-large-strides": {
        "small": (conv((1, 4, 8, 8), W2), "no stride is large"),
        "grouped": (conv((1, 2, 200), half(2, 1, 50), strides=[20], groups=2), "groups or a dilation"),
        "dilated": (conv((1, 2, 200), half(2, 2, 5), strides=[20], dilations=[2]), "groups or a dilation"),
        "channels": (conv((1, 900, 60), half(1, 900, 20), strides=[20]), "too many"),
    },
    "split-large-max-pools": {
        "small": (
            ({"x": half(1, 2, 9, 9)}, lambda x: mb.max_pool(x=x, kernel_sizes=[8, 8], pad_type="valid")),
            "small enough",
        ),
        "ceil": (
            (
                {"x": half(1, 2, 20, 20)},
                lambda x: mb.max_pool(
                    x=x, kernel_sizes=[9, 9], strides=[2, 2], pad_type="valid", ceil_mode=True
                ),
            ),
            "rounds its size up",
        ),
    },
    "global-pool-to-mean": {
        "part": (
            ({"x": half(1, 2, 40, 35)}, lambda x: mb.avg_pool(x=x, kernel_sizes=[33, 35], pad_type="valid")),
            "not the whole",
        ),
    },
    "pad-outer-axes": {
        "inner": (
            ({"x": half(3, 4, 5)}, lambda x: mb.pad(x=x, pad=[1, 1, 0, 3], mode="reflect")),
            "last two axes only",
        ),
        "constant": (({"x": half(3, 4, 5)}, lambda x: mb.pad(x=x, pad=[1, 1, 0, 0, 0, 3])), "with a number"),
    },
    "pad-with-a-value": {
        "zero": (({"x": half(2, 3)}, lambda x: mb.pad(x=x, pad=[1, 0])), "other than 0"),
        "reflect": (
            ({"x": half(2, 3)}, lambda x: mb.pad(x=x, pad=[1, 0], mode="reflect", constant_val=H(2))),
            "other than 0",
        ),
    },
    "reflect-by-slices": {
        "constant": (({"x": half(2, 3)}, lambda x: mb.pad(x=x, pad=[1, 0])), "with a number"),
        "many": (({"x": half(2, 50)}, lambda x: mb.pad(x=x, pad=[30, 30], mode="reflect")), "too many rows"),
    },
    "sliding-windows-to-slices": {
        "many": (
            ({"x": half(1, 700)}, lambda x: mb.sliding_windows(x=x, axis=1, size=300)),
            "too many windows",
        ),
    },
    "mod-parts": {"integers": (({"x": ints(2, 3)}, lambda x: mb.mod(x=x, y=np.int32(3))), "is on int32")},
    "reduce-prod-to-products": {
        "long": (({"x": half(1, 5000)}, lambda x: mb.reduce_prod(x=x, axes=[1])), "too many elements"),
    },
    "cumsum-to-product": {"long": (({"x": half(1, 3000)}, lambda x: mb.cumsum(x=x, axis=1)), "3000 rows")},
    "scalars-keep-a-dimension": {
        "read twice": (
            (
                {"x": half(5)},
                lambda x: (lambda total: mb.mul(x=mb.expand_dims(x=total, axes=[0]), y=total))(
                    mb.reduce_sum(x=x, axes=[0], keep_dims=False)
                ),
            ),
            "something else reads",
        ),
    },
    "finite-masks": {"finite": (({"x": half(3, 4)}, lambda x: mb.add(x=x, y=H(-40000))), "infinite")},
    "split-long-products": {
        "short": (({"x": half(1, 200)}, lambda x: mb.linear(x=x, weight=half(2, 200))), "short enough"),
    },
    "constant-scatter-to-join": {
        "twice": (scattered("add", [1, 1]), "occurs twice"),
        "max": (scattered("max", [1, 2]), "its mode is max"),
    },
    "slice-update-to-join": {
        "steps": (
            (
                {"x": half(2, 6), "update": half(2, 3)},
                lambda x, update: mb.slice_update(
                    x=x, update=update, begin=[0, 0], end=[2, 6], stride=[1, 2]
                ),
            ),
            "has steps",
        ),
    },
    "unroll-loops-mil": {
        "computed": (loop(None), "depends on what is computed"),
        "long": (loop(500), "more than 128 times"),
    },
    "lists-as-values-mil": {"computed": (lists(computed=True), "position in the list is computed")},
    "fold-constants-mil": {
        "computed": (({"x": half(3)}, lambda x: mb.relu(x=mb.add(x=x, y=H(1)))), "computed when")
    },
    "remove-idle-mil": {
        "moves": (({"x": half(3, 4)}, lambda x: mb.relu(x=mb.transpose(x=x, perm=[1, 0]))), "moves axes")
    },
    "casts-undone-mil": {
        "narrower": (
            (
                {"x": ramp(3, 4)},
                lambda x: mb.relu(x=mb.cast(x=mb.cast(x=mb.abs(x=x), dtype="fp16"), dtype="fp32")),
            ),
            "does not hold",
        ),
    },
}
