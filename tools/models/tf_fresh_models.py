"""More whole models for ``tf_convertible_models.py``: none of them was looked at when the rules were written.

Layers and operators of other corners than those of the first list: small recurrent networks, attention
variants, 1-D and 3-D layers, image operators, strings, sparse tensors, open batches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Builder = Callable[[], Any]


def fresh(keras: Any, tf: Any) -> list[tuple[str, Builder]]:
    """Names and builders, as ``tf_convertible_models.make`` takes them."""
    layers, applications = keras.layers, keras.applications

    def stack(shape: tuple[int, ...], *parts: Any, dtype: str | None = None) -> Builder:
        return lambda: keras.Sequential([keras.Input(shape, batch_size=1, dtype=dtype), *parts])

    def application(kind: Any, size: int) -> Builder:
        return lambda: kind(weights=None, input_tensor=keras.Input((size, size, 3), batch_size=1), classes=10)

    def module(
        shape: tuple[int | None, ...], function: Callable[[Any], Any], dtype: str = "float32"
    ) -> Builder:
        def build() -> Any:
            owner = tf.Module()
            owner.call = tf.function(function, input_signature=[tf.TensorSpec(shape, dtype, name="x")])
            return owner

        return build

    def attentions() -> Any:
        q = keras.Input((8, 16), batch_size=1)
        return keras.Model(q, layers.AdditiveAttention()([q, layers.Attention()([q, q])]))

    def grouped_queries() -> Any:
        q = keras.Input((8, 16), batch_size=1)
        return keras.Model(q, layers.GroupQueryAttention(8, 4, 2)(q, q))

    return [
        ("xception", application(applications.Xception, 72)),
        ("vgg16", application(applications.VGG16, 32)),
        ("efficientnet_b1", application(applications.EfficientNetB1, 64)),
        ("mobilenet_v3_large", application(applications.MobileNetV3Large, 64)),
        ("simple_rnn", stack((6, 4), layers.SimpleRNN(5))),
        ("lstm_unrolled", stack((5, 4), layers.LSTM(6, unroll=True))),
        (
            "stacked_bilstm",
            stack((6, 4), layers.Bidirectional(layers.LSTM(4, return_sequences=True)), layers.LSTM(3)),
        ),
        (
            "time_distributed",
            stack(
                (4, 8, 8, 3),
                layers.TimeDistributed(layers.Conv2D(4, 3)),
                layers.TimeDistributed(layers.Flatten()),
            ),
        ),
        ("attentions", attentions),
        ("gqa", grouped_queries),
        (
            "einsum_dense",
            stack(
                (6, 8), layers.EinsumDense("abc,cd->abd", (None, 12), bias_axes="d"), layers.Permute((2, 1))
            ),
        ),
        (
            "dilated",
            stack(
                (16, 16, 3),
                layers.Conv2D(4, 3, dilation_rate=2),
                layers.Conv2D(4, 3, strides=2, padding="same"),
            ),
        ),
        ("grouped", stack((16, 16, 4), layers.Conv2D(8, 3, groups=2))),
        (
            "depthwise",
            stack(
                (16, 16, 4),
                layers.DepthwiseConv2D(3, depth_multiplier=2),
                layers.BatchNormalization(),
                layers.ReLU(6.0),
            ),
        ),
        ("crop", stack((20, 20, 3), layers.CenterCrop(10, 10), layers.RandomZoom(0.1))),
        ("encoding", stack((3,), layers.CategoryEncoding(5, output_mode="multi_hot"), dtype="int32")),
        ("masked", stack((5, 3), layers.Masking(), layers.GRU(4))),
        ("repeat", stack((6,), layers.RepeatVector(3), layers.Reshape((6, 3)), layers.Softmax(axis=1))),
        ("upsample3d", stack((2, 3, 4, 2), layers.UpSampling3D(2), layers.ZeroPadding3D(1))),
        ("conv1d_t", stack((8, 4), layers.Conv1DTranspose(4, 3, strides=2))),
        ("spectral", stack((6, 6, 2), layers.SpectralNormalization(layers.Conv2D(3, 3)))),
        ("nearest", module((1, 4, 4, 3), lambda x: tf.image.resize(x, [8, 8], "nearest"))),
        ("area", module((1, 4, 4, 3), lambda x: tf.image.resize(x, [2, 2], "area"))),
        ("antialias", module((1, 8, 8, 3), lambda x: tf.image.resize(x, [4, 4], antialias=True))),
        (
            "roi",
            module((1, 8, 8, 3), lambda x: tf.image.crop_and_resize(x, [[0.0, 0.0, 1.0, 1.0]], [0], [4, 4])),
        ),
        ("inverse_fft", module((1, 33), lambda x: tf.signal.irfft(tf.complex(x, x)))),
        ("solve", module((3, 3), lambda x: tf.linalg.solve(x, tf.ones([3, 1])))),
        ("split_words", module((2,), lambda x: tf.strings.split(x).flat_values, "string")),
        ("scan", module((4, 3), lambda x: tf.scan(lambda a, y: a + y, x))),
        ("nonzero", module((4,), lambda x: tf.where(x > 0.0))),
        ("masked_values", module((4,), lambda x: tf.boolean_mask(x, x > 0.0))),
        ("band", module((4, 4), lambda x: tf.linalg.band_part(x, 1, 1))),
        ("gather_nd", module((4, 3), lambda x: tf.gather_nd(x, [[0, 1], [2, 2]]))),
        ("search", module((5,), lambda x: tf.searchsorted(x, [0.5, 1.5]))),
        ("hsv", module((2, 4, 3), tf.image.rgb_to_hsv)),
        ("histogram", module((8,), lambda x: tf.histogram_fixed_width(x, [0.0, 1.0], 4))),
        ("cumulative", module((3, 4), lambda x: tf.math.cumprod(x, axis=1))),
        ("logsumexp", module((3, 4), lambda x: tf.reduce_logsumexp(x, axis=1))),
        ("mod", module((4,), lambda x: x % 3, "int32")),
        ("bits", module((4,), lambda x: tf.bitwise.bitwise_and(x, 3), "int32")),
        ("erf_gelu", module((4, 8), lambda x: 0.5 * x * (1.0 + tf.math.erf(x / 1.4142135623)))),
        ("roll", module((4, 4), lambda x: tf.roll(x, 1, 0))),
        ("norm", module((4, 4), lambda x: tf.norm(x) + tf.nn.l2_normalize(x, 1))),
        ("trig", module((4,), lambda x: tf.atan2(x, x + 1.0) + tf.asinh(x))),
        ("trig2", module((4,), lambda x: tf.sin(x) + tf.tan(x) + tf.atan(x))),
        ("one_hot", module((4,), lambda x: tf.one_hot(x, 5), "int32")),
        ("sparse", module((3, 3), lambda x: tf.sparse.to_dense(tf.sparse.from_dense(x)))),
        (
            "pad_reflect",
            module((1, 4, 4, 2), lambda x: tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], "REFLECT")),
        ),
        ("space", module((1, 4, 4, 2), lambda x: tf.nn.depth_to_space(tf.nn.space_to_depth(x, 2), 2))),
        ("uint8", module((4, 4), lambda x: tf.cast(x, tf.float32) / 255.0, "uint8")),
        ("dyn", module((None, 4), lambda x: tf.reshape(x, [tf.shape(x)[0] * 2, 2]) * 2.0)),
        ("dyn_concat", module((None, 4), lambda x: tf.concat([x, tf.zeros([tf.shape(x)[0], 2])], 1))),
        ("percent", module((5,), lambda x: tf.reduce_max(x) - tf.reduce_min(x) + tf.math.reduce_std(x))),
        (
            "switch",
            module((4,), lambda x: tf.switch_case(tf.cast(x[0], tf.int32), [lambda: x, lambda: x * 2.0])),
        ),
        ("argsort", module((1, 6), lambda x: tf.argsort(x, direction="DESCENDING"))),
        ("unsorted", module((4, 2), lambda x: tf.math.unsorted_segment_mean(x, [0, 1, 0, 1], 2))),
    ]
