"""Whole models with random weights, for `make conform`: what users export, small enough to run everywhere.

    python tools/models/whole_models.py torch .work/models/onnx      # needs torch, onnxscript, transformers
    python tools/models/whole_models.py more .work/models/more       # needs torchvision and onnxruntime as
    well python tools/models/whole_models.py keras .work/models/tflite    # needs tensorflow

Not stored: about 60 models of up to 40 MB. A model that does not export is named at the end with its error.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

SIDE = 96
APPLICATIONS = (
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Small",
    "EfficientNetB0",
    "EfficientNetV2B0",
    "DenseNet121",
    "ResNet50V2",
    "NASNetMobile",
    "Xception",
)
DIES_IN_INT8 = ("lstm", "gru")
"""Loops that TensorFlow 2.21's converter cannot quantize: it dies with SIGSEGV."""


def torch_models(out: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """ONNX: vision, language, audio and recurrent networks, with fixed and with open shapes."""
    import torch
    import transformers as hf
    from torch import nn

    torch.manual_seed(0)
    tiny = {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "vocab_size": 300,
    }

    class Picked(nn.Module):
        """One tensor of a model that returns several."""

        def __init__(self, model: nn.Module, names: tuple[str, ...]) -> None:
            super().__init__()
            self.model, self.names = model.eval(), names

        def forward(self, *values: torch.Tensor) -> torch.Tensor:
            result = self.model(**dict(zip(self.names, values, strict=True)))
            result = result[0] if not isinstance(result, torch.Tensor) else result
            return result[0] if isinstance(result, tuple) else result

    def save(
        name: str, model: nn.Module, names: tuple[str, ...], values: tuple[Any, ...], **options: Any
    ) -> Callable[[], None]:
        def run() -> None:
            with torch.no_grad():
                torch.onnx.export(
                    model.eval(),
                    values,
                    str(out / f"{name}.onnx"),
                    input_names=list(names),
                    opset_version=17,
                    **options,
                )

        return run

    def both(
        name: str, model: nn.Module, names: tuple[str, ...], values: tuple[Any, ...]
    ) -> Iterator[tuple[str, Callable[[], None]]]:
        axes = {
            item: {axis: f"{item}_{axis}" for axis in range(min(2, value.dim()))}
            for item, value in zip(names, values, strict=True)
        }
        yield f"{name}-static", save(f"{name}-static", model, names, values, dynamo=False)
        yield (
            f"{name}-dynamic",
            save(f"{name}-dynamic", model, names, values, dynamo=False, dynamic_axes=axes),
        )
        yield f"{name}-dynamo", save(f"{name}-dynamo", model, names, values, dynamo=True, external_data=False)

    ids, mask = torch.randint(0, 300, (1, 12)), torch.ones(1, 12, dtype=torch.int64)
    image = torch.rand(1, 3, 64, 64)
    language = {
        "bert": lambda: hf.BertModel(hf.BertConfig(**tiny)),
        "distilbert": lambda: hf.DistilBertModel(
            hf.DistilBertConfig(dim=64, n_layers=2, n_heads=4, hidden_dim=128, vocab_size=300)
        ),
        "roberta": lambda: hf.RobertaModel(hf.RobertaConfig(**tiny)),
        "albert": lambda: hf.AlbertModel(hf.AlbertConfig(**tiny, embedding_size=32)),
        "electra": lambda: hf.ElectraModel(hf.ElectraConfig(**tiny, embedding_size=32)),
        "mpnet": lambda: hf.MPNetModel(hf.MPNetConfig(**tiny)),
        "deberta-v2": lambda: hf.DebertaV2Model(hf.DebertaV2Config(**tiny)),
    }
    for name, build in language.items():
        yield from both(
            name,
            Picked(build(), ("input_ids", "attention_mask")),
            ("input_ids", "attention_mask"),
            (ids, mask),
        )
    decoders = {
        "gpt2": lambda: hf.GPT2Model(
            hf.GPT2Config(n_embd=64, n_layer=2, n_head=4, vocab_size=300, use_cache=False)
        ),
        "llama": lambda: hf.LlamaModel(hf.LlamaConfig(**tiny, num_key_value_heads=2, use_cache=False)),
        "qwen2": lambda: hf.Qwen2Model(hf.Qwen2Config(**tiny, num_key_value_heads=2, use_cache=False)),
        "phi": lambda: hf.PhiModel(hf.PhiConfig(**tiny, use_cache=False)),
    }
    for name, build in decoders.items():
        yield from both(name, Picked(build(), ("input_ids",)), ("input_ids",), (ids,))
    vision = {
        "vit": lambda: hf.ViTModel(
            hf.ViTConfig(**{k: v for k, v in tiny.items() if k != "vocab_size"}, image_size=64, patch_size=16)
        ),
        "deit": lambda: hf.DeiTModel(
            hf.DeiTConfig(
                **{k: v for k, v in tiny.items() if k != "vocab_size"}, image_size=64, patch_size=16
            )
        ),
        "swin": lambda: hf.SwinModel(
            hf.SwinConfig(
                image_size=64, patch_size=4, embed_dim=24, depths=[1, 1], num_heads=[2, 4], window_size=4
            )
        ),
        "convnext": lambda: hf.ConvNextModel(
            hf.ConvNextConfig(hidden_sizes=[16, 32, 48, 64], depths=[1, 1, 1, 1])
        ),
        "segformer": lambda: hf.SegformerModel(
            hf.SegformerConfig(
                hidden_sizes=[16, 32, 48, 64], depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 2, 2]
            )
        ),
        "mobilevit": lambda: hf.MobileViTModel(
            hf.MobileViTConfig(
                image_size=64, hidden_sizes=[32, 40, 48], neck_hidden_sizes=[8, 16, 24, 32, 40, 48, 64]
            )
        ),
        "mobilenet-v1": lambda: hf.MobileNetV1Model(hf.MobileNetV1Config(depth_multiplier=0.25)),
        "mobilenet-v2": lambda: hf.MobileNetV2Model(hf.MobileNetV2Config(depth_multiplier=0.35)),
        "efficientnet": lambda: hf.EfficientNetModel(
            hf.EfficientNetConfig(width_coefficient=0.25, depth_coefficient=0.3, hidden_dim=64)
        ),
        "regnet": lambda: hf.RegNetModel(
            hf.RegNetConfig(
                embedding_size=16, hidden_sizes=[16, 32, 32, 48], depths=[1, 1, 1, 1], groups_width=8
            )
        ),
        "poolformer": lambda: hf.PoolFormerModel(
            hf.PoolFormerConfig(hidden_sizes=[16, 32, 48, 64], depths=[1, 1, 1, 1])
        ),
        "pvt": lambda: hf.PvtModel(
            hf.PvtConfig(
                image_size=64,
                hidden_sizes=[16, 32, 48, 64],
                depths=[1, 1, 1, 1],
                num_attention_heads=[1, 2, 4, 8],
            )
        ),
        "resnet": lambda: hf.ResNetModel(
            hf.ResNetConfig(embedding_size=16, hidden_sizes=[16, 32, 48, 64], depths=[1, 1, 1, 1])
        ),
    }
    for name, build in vision.items():
        yield from both(name, Picked(build(), ("pixel_values",)), ("pixel_values",), (image,))
    yield from audio(both, Picked, hf, torch)
    yield from recurrent(both, nn, torch)


def audio(both: Any, picked: Any, hf: Any, torch: Any) -> Iterator[tuple[str, Callable[[], None]]]:
    """Speech encoders."""
    whisper = hf.WhisperConfig(
        d_model=64,
        encoder_layers=2,
        encoder_attention_heads=4,
        encoder_ffn_dim=128,
        decoder_layers=1,
        decoder_attention_heads=4,
        vocab_size=300,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
        max_source_positions=50,
    )
    yield from both(
        "whisper-encoder",
        picked(hf.WhisperModel(whisper).encoder, ("input_features",)),
        ("input_features",),
        (torch.rand(1, 80, 100),),
    )
    wav2vec = hf.Wav2Vec2Config(
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
    )
    yield from both(
        "wav2vec2",
        picked(hf.Wav2Vec2Model(wav2vec), ("input_values",)),
        ("input_values",),
        (torch.rand(1, 4000),),
    )


def recurrent(both: Any, nn: Any, torch: Any) -> Iterator[tuple[str, Callable[[], None]]]:
    """LSTM and GRU taggers, a temporal convolution, a U-Net and a super-resolution net."""

    class Tagger(nn.Module):  # type: ignore[misc]
        def __init__(self, cell: Any) -> None:
            super().__init__()
            self.embed, self.cell, self.head = (
                nn.Embedding(100, 16),
                cell(16, 24, bidirectional=True, batch_first=True),
                nn.Linear(48, 5),
            )

        def forward(self, words: Any) -> Any:
            return self.head(self.cell(self.embed(words))[0])

    words = torch.randint(0, 100, (1, 10))
    yield from both("lstm-tagger", Tagger(nn.LSTM), ("words",), (words,))
    yield from both("gru-tagger", Tagger(nn.GRU), ("words",), (words,))
    upscale = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.PReLU(16),
        nn.Conv2d(16, 12, 3, padding=1),
        nn.PixelShuffle(2),
        nn.Hardtanh(0, 1),
    )
    yield from both("super-resolution", upscale, ("image",), (torch.rand(1, 3, 32, 32),))
    decoder = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1),
        nn.InstanceNorm2d(8),
        nn.Mish(),
        nn.ConvTranspose2d(8, 4, 2, 2),
        nn.GroupNorm(2, 4),
        nn.Hardswish(),
    )
    yield from both("autoencoder", decoder, ("image",), (torch.rand(1, 3, 32, 32),))


def keras_models(out: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """TFLite: Keras applications in float32, float16, dynamic-range and int8, and small nets with known
    troubles.
    """
    import keras
    import numpy as np
    import tensorflow as tf

    keras.utils.set_random_seed(0)

    def save(name: str, model: Any, kind: str = "float") -> Callable[[], None]:
        def run() -> None:
            converter = tf.lite.TFLiteConverter.from_keras_model(model)
            if kind != "float":
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
            if kind == "fp16":
                converter.target_spec.supported_types = [tf.float16]
            if kind == "int8":
                shapes = [[dim or 1 for dim in item.shape] for item in model.inputs]
                converter.representative_dataset = lambda: (
                    [np.random.rand(*shape).astype(np.float32) for shape in shapes] for _ in range(4)
                )
                converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            (out / f"{name}.tflite").write_bytes(converter.convert())

        return run

    def fixed(model: Any, batch: int | None = 1) -> Any:
        image = keras.Input(model.input_shape[1:], batch_size=batch)
        return keras.Model(image, model(image))

    for name in APPLICATIONS:
        model = getattr(keras.applications, name)(weights=None, input_shape=(SIDE, SIDE, 3), classes=10)
        yield f"{name}-float", save(f"{name}-float", fixed(model))
        yield f"{name}-dynamic-batch", save(f"{name}-dynamic-batch", fixed(model, None))
        if name in ("MobileNetV2", "MobileNetV3Small", "EfficientNetB0", "DenseNet121"):
            for kind in ("fp16", "dynamic", "int8"):
                yield f"{name}-{kind}", save(f"{name}-{kind}", fixed(model), kind)
    for name, model in small_nets(keras).items():
        for kind in ("float",) if name in DIES_IN_INT8 else ("float", "int8"):
            yield f"{name}-{kind}", save(f"{name}-{kind}", model, kind)
    import tf_function_models

    yield from tf_function_models.models(tf, out)


def small_nets(keras: Any) -> dict[str, Any]:
    """Sequence, attention, detection-like and pixel-shuffling nets."""
    layers, ops = keras.layers, keras.ops
    words = keras.Input((12, 16), batch_size=1)
    image = keras.Input((24, 20, 3), batch_size=1)
    attended = layers.LayerNormalization()(words + layers.MultiHeadAttention(4, 8)(words, words))
    unrolled = layers.LSTM(16, return_sequences=True, unroll=True)(words)
    conv = layers.Conv2D(8, 3, padding="same")(image)
    shuffled = ops.reshape(
        ops.transpose(ops.reshape(conv, (1, 12, 2, 10, 2, 8)), (0, 1, 3, 2, 4, 5)), (1, 12, 10, 32)
    )
    return {
        "lstm": keras.Model(words, layers.Dense(4)(layers.LSTM(16)(words))),
        "lstm-unrolled": keras.Model(words, unrolled),
        "gru": keras.Model(words, layers.GRU(16, return_sequences=True)(words)),
        "attention": keras.Model(words, layers.Dense(16, activation="gelu")(attended)),
        "conv1d": keras.Model(words, layers.Conv1D(8, 3, dilation_rate=2, padding="causal")(words)),
        "pixel-unshuffle": keras.Model(image, layers.Conv2D(4, 1)(shuffled)),
        "prelu": keras.Model(image, layers.PReLU(shared_axes=[1, 2])(conv)),
        "group-norm": keras.Model(image, layers.GroupNormalization(2)(conv)),
        "transposed": keras.Model(image, layers.Conv2DTranspose(4, 3, strides=2, padding="same")(conv)),
        "top-k": keras.Model(image, ops.top_k(layers.GlobalAveragePooling2D()(conv), 3)[0]),
        "argmax": keras.Model(image, ops.argmax(conv, axis=-1)),
        "depthwise": keras.Model(image, layers.SeparableConv2D(8, 5, strides=1, depth_multiplier=2)(image)),
        "mean-std": keras.Model(image, ops.std(conv, axis=(1, 2), keepdims=True)),
    }


def main() -> int:
    kind, out = sys.argv[1], Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    made, failed = 0, []
    from whole_models_more import more_models

    for name, run in {"torch": torch_models, "more": more_models, "keras": keras_models}[kind](out):
        try:
            run()
            made += 1
        except Exception as error:
            failed.append(
                f"{name}: {type(error).__name__}: {str(error).splitlines()[0][:160] if str(error) else ''}"
            )
            if "-v" in sys.argv:
                traceback.print_exc()
    print(f"{made} models in {out}; {len(failed)} did not export")
    print("\n".join(failed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
