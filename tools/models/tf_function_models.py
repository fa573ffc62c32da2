"""TensorFlow functions converted to TFLite: what is not a Keras application. Pre- and postprocessing, audio,
detection, sequence models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


def functions(tf: Any) -> dict[str, tuple[Callable[..., Any], list[tuple[list[int | None], Any]]]]:
    """Name -> the function and its inputs, as (shape, dtype)."""
    f32, i32 = tf.float32, tf.int32
    rng = tf.random.Generator.from_seed(1)

    def weight(*shape: int) -> Any:
        return tf.constant(rng.normal(shape).numpy() * 0.1)

    w3, w64, emb = weight(3, 3, 8, 8), weight(64, 64), weight(100, 64)
    gates, experts, project, w3d, scale = (
        weight(64, 4),
        weight(4, 64),
        weight(48, 64),
        weight(3, 3, 3, 4, 8),
        weight(64),
    )

    def attention(x: Any) -> Any:
        q, k, v = (tf.reshape(tf.matmul(x, w64), [1, 12, 4, 16]) for _ in range(3))
        scores = tf.einsum("bqhd,bkhd->bhqk", q, k) / 4.0
        return tf.reshape(tf.einsum("bhqk,bkhd->bqhd", tf.nn.softmax(scores), v), [1, 12, 64])

    def boxes(x: Any, scores: Any) -> Any:
        picked, count = tf.image.non_max_suppression_padded(
            x, scores, 10, 0.5, 0.1, pad_to_max_output_size=True
        )
        return tf.gather(x, picked), count

    def spectrogram(x: Any) -> Any:
        frames = tf.signal.frame(x, 256, 128)
        return tf.math.log(tf.abs(tf.signal.rfft(frames * tf.signal.hann_window(256))) + 1e-6)

    def moe(x: Any) -> Any:
        gate = tf.nn.softmax(tf.matmul(x, gates))
        value, index = tf.math.top_k(gate, 2)
        return tf.reduce_sum(tf.gather(experts, index) * value[..., None], axis=1)

    def loop(x: Any) -> Any:
        return tf.while_loop(
            lambda i, s: i < 5, lambda i, s: (i + 1, tf.tanh(tf.matmul(s, w64))), [tf.constant(0), x]
        )[1]

    def masked(x: Any, lengths: Any) -> Any:
        mask = tf.sequence_mask(lengths, 12)
        return tf.reduce_max(tf.where(mask[..., None], x, tf.constant(-1e9)), axis=1)

    def beams(x: Any) -> Any:
        value, index = tf.math.top_k(tf.reshape(x, [1, 300]), 5)
        return value, index // 100, index % 100

    def cells(x: Any) -> Any:
        grid = tf.stack(tf.meshgrid(tf.range(6.0), tf.range(8.0)), -1)
        return tf.concat([tf.sigmoid(x[..., :2]) + grid, tf.exp(x[..., 2:4]), tf.sigmoid(x[..., 4:])], -1)

    def local_norm(x: Any) -> Any:
        mean, var = tf.nn.moments(x, [1, 2], keepdims=True)
        return (x - mean) * tf.math.rsqrt(var + 1e-5)

    def patches(x: Any) -> Any:
        cut = tf.image.extract_patches(x, [1, 4, 4, 1], [1, 4, 4, 1], [1, 1, 1, 1], "VALID")
        return tf.matmul(tf.reshape(cut, [1, 30, 48]), project)

    return {
        "fn-attention-einsum": (attention, [([1, 12, 64], f32)]),
        "fn-nms": (boxes, [([50, 4], f32), ([50], f32)]),
        "fn-combined-nms-parts": (
            lambda x: tf.gather(x, tf.argsort(x[:, 0], direction="DESCENDING")),
            [([50, 4], f32)],
        ),
        "fn-spectrogram": (spectrogram, [([1, 4096], f32)]),
        "fn-mixture-of-experts": (moe, [([3, 64], f32)]),
        "fn-while": (loop, [([1, 64], f32)]),
        "fn-sequence-mask": (masked, [([1, 12, 16], f32), ([1], i32)]),
        "fn-beam-search-step": (beams, [([3, 100], f32)]),
        "fn-yolo-head": (cells, [([1, 8, 6, 9], f32)]),
        "fn-instance-norm": (local_norm, [([1, 12, 10, 8], f32)]),
        "fn-patches": (patches, [([1, 24, 20, 3], f32)]),
        "fn-resize-align": (
            lambda x: (
                tf.compat.v1.image.resize_bilinear(x, [17, 23], align_corners=True)
                + tf.image.resize(x, [17, 23])
            ),
            [([1, 9, 12, 3], f32)],
        ),
        "fn-nearest-and-pad": (
            lambda x: tf.pad(
                tf.image.resize(x, [16, 20], method="nearest"), [[0, 0], [1, 2], [2, 1], [0, 0]], "REFLECT"
            ),
            [([1, 8, 10, 3], f32)],
        ),
        "fn-space-to-depth": (
            lambda x: tf.nn.depth_to_space(tf.nn.relu6(tf.nn.space_to_depth(x, 2)), 2),
            [([1, 8, 8, 4], f32)],
        ),
        "fn-dilated": (lambda x: tf.nn.conv2d(x, w3, 1, "SAME", dilations=2), [([1, 16, 16, 8], f32)]),
        "fn-conv3d": (lambda x: tf.nn.conv3d(x, w3d, [1, 1, 1, 1, 1], "SAME"), [([1, 6, 8, 8, 4], f32)]),
        "fn-gather-nd": (lambda x, i: tf.gather_nd(x, i), [([4, 5, 6], f32), ([7, 2], i32)]),
        "fn-scatter": (lambda i, u: tf.scatter_nd(i, u, [10, 4]), [([3, 1], i32), ([3, 4], f32)]),
        "fn-one-hot-embedding": (lambda i: tf.matmul(tf.one_hot(i, 100), emb), [([1, 12], i32)]),
        "fn-cumsum": (lambda x: tf.cumsum(x, axis=1, exclusive=True), [([2, 9], f32)]),
        "fn-reverse": (lambda x, n: tf.reverse_sequence(x, n, 1, 0), [([2, 7, 3], f32), ([2], i32)]),
        "fn-rope": (
            lambda x: tf.concat(
                [x[..., :8] * tf.cos(1.5) - x[..., 8:] * tf.sin(1.5), x[..., 8:] * tf.cos(1.5)], -1
            ),
            [([1, 12, 4, 16], f32)],
        ),
        "fn-rms-norm": (
            lambda x: x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), -1, keepdims=True) + 1e-6) * scale,
            [([1, 12, 64], f32)],
        ),
        "fn-swish-glu": (
            lambda x: tf.matmul(tf.nn.silu(tf.matmul(x, w64)) * tf.matmul(x, w64), w64),
            [([1, 12, 64], f32)],
        ),
        "fn-dynamic-batch": (lambda x: tf.nn.softmax(tf.matmul(x, w64)), [([None, 64], f32)]),
        "fn-dynamic-length": (lambda x: tf.reduce_mean(tf.matmul(x, w64), axis=1), [([1, None, 64], f32)]),
        "fn-tile-broadcast": (
            lambda x: tf.tile(x, [1, 3, 2]) + tf.broadcast_to(x[:, :1, :1], [1, 12, 32]),
            [([1, 4, 16], f32)],
        ),
        "fn-select-and-compare": (
            lambda x, y: tf.where(x > y, x // y, tf.math.floormod(x, y + 3.0)),
            [([4, 5], f32), ([4, 5], f32)],
        ),
        "fn-integer-maths": (
            lambda x: tf.cast(x * 3 - tf.reduce_max(x, -1, keepdims=True), f32) / 7.0,
            [([4, 5], i32)],
        ),
        "fn-mfcc-mel": (
            lambda x: tf.matmul(
                tf.abs(x), tf.signal.linear_to_mel_weight_matrix(20, 129, 8000.0, 80.0, 3800.0)
            ),
            [([1, 30, 129], f32)],
        ),
    }


def models(tf: Any, out: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """Name and maker of every model, in float32, and with weights of 8 bits where there are weights
    enough.
    """
    for name, (function, inputs) in functions(tf).items():
        yield name, _saved(tf, out / f"{name}.tflite", function, inputs, None)
    for name in ("fn-attention-einsum", "fn-patches", "fn-swish-glu", "fn-dilated"):
        function, inputs = functions(tf)[name]
        yield (
            f"{name}-dynamic-range",
            _saved(tf, out / f"{name}-dynamic-range.tflite", function, inputs, tf.lite.Optimize.DEFAULT),
        )


def _saved(
    tf: Any,
    path: Path,
    function: Callable[..., Any],
    inputs: list[tuple[list[int | None], Any]],
    optimize: Any,
) -> Callable[[], None]:
    def run() -> None:
        specs = [tf.TensorSpec(shape, dtype) for shape, dtype in inputs]
        concrete = tf.function(function).get_concrete_function(*specs)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
        converter.optimizations = [] if optimize is None else [optimize]
        path.write_bytes(converter.convert())

    return run
