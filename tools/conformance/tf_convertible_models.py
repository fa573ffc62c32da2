"""Hold the packs litert/builtins and litert/flex to TensorFlow's converter on whole models.

python tools/conformance/tf_convertible_models.py make FOLDER       (needs Keras; writes SavedModels)
python tools/conformance/tf_convertible_models.py hold FOLDER OUT.md
python tools/conformance/tf_convertible_models.py hold FOLDER OUT.md coreml/convertible:ios15
coreml/convertible:ios18 python tools/conformance/tf_convertible_models.py write FOLDER TARGET       (as hold;
the figures go into docs/conformance)
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
from tf_figures import figures, save

TARGETS = {"litert/builtins": False, "litert/flex": True}
"""Targets and whether the converter is asked with Select TF ops."""


# ---- models --------------------------------------------------------------------------------


def make(folder: Path) -> None:
    """Write a SavedModel for every model, each with a batch of 1 and random weights."""
    import keras
    import tensorflow as tf
    from tf_fresh_models import fresh

    for name, build in (*_keras(keras), *_plain(tf), *fresh(keras, tf)):
        keras.utils.set_random_seed(1)
        built = build()
        if isinstance(built, keras.Model):
            built.export(str(folder / name), verbose=False)
        else:
            tf.saved_model.save(built, str(folder / name), signatures=built.call.get_concrete_function())


def _keras(keras: Any) -> list[tuple[str, Callable[[], Any]]]:
    layers, applications = keras.layers, keras.applications

    def stack(shape: tuple[int, ...], *parts: Any) -> Callable[[], Any]:
        return lambda: keras.Sequential([keras.Input(shape, batch_size=1), *parts])

    def attention() -> Any:
        x = keras.Input((16, 32), batch_size=1)
        y = layers.MultiHeadAttention(4, 8)(x, x)
        return keras.Model(x, layers.LayerNormalization()(layers.Add()([x, y])))

    def encoder() -> Any:
        ids = keras.Input((16,), batch_size=1, dtype="int32")
        x = layers.Embedding(100, 32)(ids)
        y = layers.LayerNormalization()(x)
        x = x + layers.MultiHeadAttention(4, 8)(y, y, use_causal_mask=True)
        y = layers.Dense(64, activation="gelu")(layers.LayerNormalization()(x))
        return keras.Model(ids, layers.Dense(10)(x + layers.Dense(32)(y)))

    def unet() -> Any:
        x = keras.Input((32, 32, 3), batch_size=1)
        a = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
        b = layers.Conv2D(16, 3, padding="same", activation="leaky_relu")(layers.MaxPooling2D()(a))
        c = layers.Concatenate()([a, layers.Conv2DTranspose(8, 2, 2)(b)])
        return keras.Model(x, layers.Conv2D(1, 1, activation="sigmoid")(c))

    def squeeze_excite() -> Any:
        x = keras.Input((16, 16, 8), batch_size=1)
        s = layers.Dense(8, activation="hard_sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
        return keras.Model(x, layers.GlobalMaxPooling2D()(layers.Multiply()([x, s])))

    def application(kind: Any, size: int) -> Callable[[], Any]:
        return lambda: kind(weights=None, input_tensor=keras.Input((size, size, 3), batch_size=1), classes=10)

    return [
        ("mobilenet_v2", application(applications.MobileNetV2, 96)),
        ("mobilenet_v3_small", application(applications.MobileNetV3Small, 96)),
        ("efficientnet_b0", application(applications.EfficientNetB0, 96)),
        ("convnext_tiny", application(applications.ConvNeXtTiny, 64)),
        ("attention", attention),
        ("lstm", stack((12, 8), layers.LSTM(16, return_sequences=True), layers.Dense(4))),
        (
            "bidirectional_gru",
            stack((12, 8), layers.Bidirectional(layers.GRU(8)), layers.Dense(4, activation="softmax")),
        ),
        (
            "decoder",
            stack(
                (8, 8, 16),
                layers.Conv2DTranspose(8, 3, 2, "same"),
                layers.UpSampling2D(2, interpolation="bilinear"),
            ),
        ),
        (
            "volume",
            stack(
                (8, 8, 8, 2), layers.Conv3D(4, 3), layers.MaxPooling3D(2), layers.Flatten(), layers.Dense(2)
            ),
        ),
        ("gelu_exact", stack((16,), layers.Dense(16, activation="gelu"), layers.GroupNormalization(4))),
        ("mobilenet_v1", application(applications.MobileNet, 96)),
        ("resnet50_v2", application(applications.ResNet50V2, 64)),
        ("densenet121", application(applications.DenseNet121, 64)),
        ("efficientnet_v2_b0", application(applications.EfficientNetV2B0, 96)),
        ("inception_v3", application(applications.InceptionV3, 96)),
        ("transformer_encoder", encoder),
        ("gru_unrolled", stack((6, 8), layers.GRU(8, unroll=True), layers.Dense(4))),
        ("text_lstm", stack((10,), layers.Embedding(50, 8), layers.LSTM(8), layers.Dense(2))),
        ("conv_lstm", stack((4, 8, 8, 2), layers.ConvLSTM2D(4, 3, padding="same"))),
        (
            "temporal",
            stack(
                (32, 4),
                layers.Conv1D(8, 3, padding="causal", dilation_rate=2),
                layers.MaxPooling1D(2),
                layers.Flatten(),
            ),
        ),
        (
            "separable",
            stack(
                (16, 16, 3),
                layers.SeparableConv2D(8, 3),
                layers.PReLU(),
                layers.ZeroPadding2D(1),
                layers.Cropping2D(1),
            ),
        ),
        ("unet", unet),
        (
            "scaled",
            stack(
                (20, 20, 3),
                layers.Rescaling(1 / 255.0),
                layers.Resizing(16, 16),
                layers.RandomFlip(),
                layers.Conv2D(4, 3),
            ),
        ),
        ("bicubic", stack((20, 20, 3), layers.Resizing(16, 16, interpolation="bicubic"))),
        ("buckets", stack((4,), layers.Discretization([0.0, 1.0, 2.0]))),
        (
            "norms",
            stack(
                (8, 8, 4),
                layers.LayerNormalization(),
                layers.UnitNormalization(),
                layers.SpatialDropout2D(0.1),
            ),
        ),
        (
            "activations",
            stack(
                (16,),
                *(
                    layers.Activation(name)
                    for name in (
                        "elu",
                        "selu",
                        "softplus",
                        "softsign",
                        "swish",
                        "hard_sigmoid",
                        "mish",
                        "relu6",
                        "exponential",
                        "log_softmax",
                    )
                ),
            ),
        ),
        ("transposed_volume", stack((4, 4, 4, 2), layers.Conv3DTranspose(4, 3, 2, "same"))),
        ("average_volume", stack((8, 8, 8, 2), layers.AveragePooling3D(2))),
        ("squeeze_excite", squeeze_excite),
    ]


def _plain(tf: Any) -> list[tuple[str, Callable[[], Any]]]:
    """Modules of one function each, for operators that layers seldom make."""

    def module(
        shape: tuple[int, ...], function: Callable[[Any], Any], dtype: str = "float32"
    ) -> Callable[[], Any]:
        def build() -> Any:
            owner = tf.Module()
            owner.call = tf.function(function, input_signature=[tf.TensorSpec(shape, dtype, name="x")])
            return owner

        return build

    def counting() -> Any:
        owner = tf.Module()
        owner.state = tf.Variable(tf.zeros([4]))
        owner.call = tf.function(
            lambda x: owner.state.assign_add(x), input_signature=[tf.TensorSpec([4], name="x")]
        )
        return owner

    def looking() -> Any:
        owner = tf.Module()
        pairs = tf.lookup.KeyValueTensorInitializer(tf.constant(["a", "b"]), tf.constant([1, 2], tf.int64))
        owner.table = tf.lookup.StaticHashTable(pairs, -1)
        owner.call = tf.function(
            owner.table.lookup, input_signature=[tf.TensorSpec([4], tf.string, name="x")]
        )
        return owner

    def looped(x: Any) -> Any:
        return tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * 2.0), [0, x])[1]

    return [
        (
            "branch",
            module((4,), lambda x: tf.cond(tf.reduce_sum(x) > 0.0, lambda: tf.tanh(x), lambda: x * 2.0)),
        ),
        ("loop", module((4,), looped)),
        ("counter", counting),
        ("table", looking),
        ("spectrum", module((1, 64), lambda x: tf.abs(tf.signal.rfft(x)))),
        ("inverse", module((1, 4, 4), tf.linalg.inv)),
        ("determinant", module((1, 4, 4), tf.linalg.det)),
        ("digamma", module((4,), tf.math.digamma)),
        ("error_function", module((4,), tf.math.erf)),
        ("double", module((4, 4), lambda x: tf.matmul(x, x) + 1.0, "float64")),
        ("sorting", module((1, 16), tf.sort)),
        ("beams", module((1, 16), lambda x: tf.cumsum(tf.nn.top_k(x, 4).values, axis=1))),
        ("unique", module((16,), lambda x: tf.unique(x).y)),
        ("bessel", module((4,), tf.math.bessel_i0)),
        ("mapped", module((4, 8), lambda x: tf.map_fn(lambda y: y * 2.0, x))),
        ("short_time_spectrum", module((1, 256), lambda x: tf.abs(tf.signal.stft(x, 64, 32)))),
        ("suppression", module((20, 4), lambda x: tf.image.non_max_suppression(x, x[:, 0], 5))),
        (
            "products",
            module(
                (2, 3, 4), lambda x: tf.einsum("bij,bkj->bik", x, x) + tf.einsum("bij->bi", x)[:, :, None]
            ),
        ),
        ("scattered", module((4, 3), lambda x: tf.tensor_scatter_nd_update(x, [[0], [2]], x[:2]))),
        ("segments", module((4, 3), lambda x: tf.math.segment_sum(x, tf.constant([0, 0, 1, 1])))),
        ("decomposed", module((3, 3), lambda x: tf.linalg.cholesky(tf.matmul(x, x, transpose_b=True)))),
        ("random", module((4,), lambda x: x + tf.random.normal([4]))),
        ("words", module((4,), lambda x: tf.strings.length(tf.strings.lower(x)), "string")),
        ("half", module((4, 4), lambda x: tf.nn.relu(x) * 2.0, "float16")),
        ("long", module((4,), lambda x: tf.reduce_sum(tf.maximum(x, 3) * x), "int64")),
        (
            "nested",
            module(
                (4,),
                lambda x: tf.cond(
                    x[0] > 0.0, lambda: tf.cond(x[1] > 0.0, lambda: x, lambda: -x), lambda: x + 1.0
                ),
            ),
        ),
    ]


# ---- holding -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Held:
    """One model on one target: the prediction, and what the converter did."""

    name: str
    target: str
    predicted: str
    predicted_types: tuple[str, ...]
    converts: bool | None
    blocking_types: tuple[str, ...]
    operators: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Counts of the model's operators by type and predicted verdict."""

    @property
    def outcome(self) -> str:
        """``agrees``, ``differs`` or ``unknown`` (the pack does not say)."""
        if self.predicted == "unknown" or self.converts is None:
            return "unknown"
        return "agrees" if (self.predicted == "converts") == self.converts else "differs"


def hold(folder: Path, targets: Sequence[str]) -> list[Held]:
    """Check each model, convert each (answers are kept in ``FOLDER/converted.json``), compare."""
    from accelint.analyzer.formats import load

    models = {
        path.name: load(path) for path in sorted(folder.iterdir()) if (path / "saved_model.pb").exists()
    }
    kept = folder / "converted.json"
    told: dict[str, dict[str, Any]] = json.loads(kept.read_text()) if kept.exists() else {}
    rows = []
    for target in targets:
        known = told.setdefault(target, {})
        waiting = [name for name in models if name not in known]
        if target in TARGETS:
            known.update(
                zip(waiting, _converted([models[name] for name in waiting], TARGETS[target]), strict=True)
            )
        for name in waiting if target not in TARGETS else ():
            known[name] = _to_coreml(models[name], target)
            kept.write_text(json.dumps(told))
        kept.write_text(json.dumps(told))
        for name, model in models.items():
            verdict, types, operators = _predicted(model, target)
            rows.append(Held(name, target, verdict, types, *known[name], operators))
    return rows


def _to_coreml(model: Any, target: str) -> tuple[bool | None, tuple[str, ...]]:
    """Whether coremltools converts a model, and what it stopped at."""
    from accelint.analyzer.convert.options import Options
    from accelint.analyzer.convert.tf_to_coreml import to_coreml
    from accelint.analyzer.errors import AccelintError

    deployment = "iOS" + target.rpartition("ios")[2]
    try:
        item = to_coreml(model, Options(deployment=deployment))
    except AccelintError as error:
        return None, (str(error)[:80],)
    return item.path is not None, tuple(
        sorted({blocker.type or blocker.message[:100] for blocker in item.blockers})
    )


def _converted(models: list[Any], select: bool) -> list[tuple[bool | None, tuple[str, ...]]]:
    """Whether each model converts, and the operators that it was refused for."""
    from accelint.analyzer.convert.options import Options
    from accelint.analyzer.convert.tf_to_tflite import Converted, all_to_tflite

    answers = all_to_tflite([(model, Options(select_tf_ops=select)) for model in models])
    return [
        (
            item.path is not None,
            tuple(sorted({blocker.type or blocker.message[:60] for blocker in item.blockers})),
        )
        if isinstance(item, Converted)
        else (None, (str(item)[:80],))
        for item in answers
    ]


def _predicted(model: Any, target: str) -> tuple[str, tuple[str, ...], Counter[tuple[str, str]]]:
    """The pack's verdict of the whole model, the operators behind it, and what it says of each operator."""
    from accelint.analyzer.check.run import check
    from accelint.rules.registry import choose

    coverage = check(model, choose(target))
    verdict = {"full": "converts", "rejected": "refused"}.get(coverage.verdict, "unknown")
    types = {op.id: op.type for op in coverage.operators}
    effect = "rejected" if verdict == "refused" else "unknown"
    behind = {
        name: {item.operator for item in coverage.findings if item.effect == name}
        for name in ("rejected", "unknown")
    }
    words = {
        op: "rejected"
        if op in behind["rejected"]
        else "unknown"
        if op in behind["unknown"]
        else "accelerated"
        for op in types
    }
    return (
        verdict,
        tuple(sorted({types[op] for op in behind[effect] if op in types})),
        Counter((types[op], words[op]) for op in types),
    )


def counted(rows: Sequence[Held], every: bool) -> dict[str, Any]:
    """The figures of one target. ``every``: its converter names all that it refuses, else the first operator
    only.

    A model that converts tells about all its operators. Of one that does not, those of a named type count as
    refused, and the others as taken if every refusal has a name; the rest is not told. A model is its own
    partition: its verdict is right or wrong as a whole.
    """
    confusion: dict[str, Counter[str]] = {}
    unmapped = 0
    for row in rows:
        named = {
            kind
            for kind, _ in row.operators
            if kind in row.blocking_types or kind.removeprefix("Stateless") in row.blocking_types
        }
        for (kind, verdict), count in row.operators.items():
            if row.converts is None or (not row.converts and kind not in named and not (every and named)):
                unmapped += count
                continue
            did = "accelerated" if row.converts or kind not in named else "rejected"
            confusion.setdefault(verdict, Counter())[did] += count
    failed, loaded = ([row for row in rows if row.converts is did] for did in (False, True))
    told = {"refused": len(failed), "refused_predicted": sum(row.predicted == "refused" for row in failed)}
    alarms = {"loaded": len(loaded), "false_alarms": sum(row.predicted == "refused" for row in loaded)}
    return figures(
        confusion,
        unmapped=unmapped,
        models={
            "ok": len(loaded),
            "refused": len(failed),
            "no answer": len(rows) - len(loaded) - len(failed),
        },
        blockers={**told, **alarms},
        partitions={
            "told": len(loaded) + len(failed),
            "right": sum(row.outcome == "agrees" for row in rows),
        },
    )


def page(rows: list[Held]) -> str:
    """The comparison in Markdown: the models that convert by name, the others with their operators."""
    lines = []
    for target in dict.fromkeys(row.target for row in rows):
        of = [row for row in rows if row.target == target]
        counts = {kind: sum(row.outcome == kind for row in of) for kind in ("agrees", "differs", "unknown")}
        lines += [
            f"## {target}: {counts['agrees']} of {len(of)} models agree, {counts['differs']} "
            f"differ, {counts['unknown']} unknown",
            "",
        ]
        right = [row.name for row in of if row.outcome == "agrees" and row.converts]
        lines += [f"Predicted and found to convert ({len(right)}): {', '.join(right)}.", ""]
        lines += [
            "| model | predicted | by | converter | operators that are not convertible | |",
            "|---|---|---|---|---|---|",
        ]
        for row in of:
            if row.name not in right:
                did = "no answer" if row.converts is None else "converts" if row.converts else "refuses"
                told = f"{', '.join(row.predicted_types)} | {did} | {', '.join(row.refused_types)}"
                lines.append(f"| {row.name} | {row.predicted} | {told} | {row.outcome} |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """``make``, ``hold`` or ``write``."""
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]))
        return
    if sys.argv[1] == "write":
        rows, target = hold(Path(sys.argv[2]), sys.argv[3:4]), sys.argv[3]
        command = f"python tools/conformance/tf_convertible_models.py write FOLDER {target}"
        save(
            target,
            "models",
            counted(rows, target in TARGETS),
            command,
            "tensorflow" if target in TARGETS else "coremltools",
        )
        return
    Path(sys.argv[3]).write_text(page(hold(Path(sys.argv[2]), sys.argv[4:] or list(TARGETS))))


if __name__ == "__main__":
    main()
