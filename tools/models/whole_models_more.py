"""More whole ONNX models: other architectures, operator sets 13 to 20, float16, and forms that the dynamic
quantizer writes.

Kept apart from ``whole_models.py``, whose models packs were first measured on: these were held out
(`docs/unseen.md`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

OPSETS = (13, 15, 18, 20)
TINY = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
Job = tuple[str, Callable[[], None]]


def more_models(out: Path) -> Iterator[Job]:
    """Static, with an open batch, and by the dynamo exporter; every third model in float16 and quantized
    dynamically as well.
    """
    import torch

    torch.manual_seed(1)
    families = {**torchvision_nets(torch), **language(torch), **vision(torch), **sound(torch), **small(torch)}
    for place, (name, build) in enumerate(families.items()):
        opset = OPSETS[place % len(OPSETS)]
        yield f"{name}-op{opset}", exported(out / f"{name}-op{opset}.onnx", build, opset)
        yield (
            f"{name}-batch-op{opset}",
            exported(out / f"{name}-batch-op{opset}.onnx", build, opset, batch=True),
        )
        if place % 2 == 0:
            yield (
                f"{name}-dynamo",
                exported(out / f"{name}-dynamo.onnx", build, 18 + 2 * (place % 4 == 0), dynamo=True),
            )
        if place % 3 == 0:
            yield f"{name}-half", exported(out / f"{name}-half.onnx", build, max(opset, 15), half=True)
            yield f"{name}-dyn8", quantized(out / f"{name}-op{opset}.onnx", out / f"{name}-dyn8.onnx")


def exported(
    path: Path, build: Any, opset: int, *, batch: bool = False, dynamo: bool = False, half: bool = False
) -> Callable[[], None]:
    def run() -> None:
        import torch

        model, values = build()
        model = Picked.of(torch, model).eval()
        if half:
            model, values = (
                model.half(),
                tuple(value.half() if value.is_floating_point() else value for value in values),
            )
        names = [f"in{at}" for at in range(len(values))]
        options: dict[str, Any] = {"dynamo": dynamo, "opset_version": opset, "input_names": names}
        if dynamo:
            options["external_data"] = False
        if batch:
            options["dynamic_axes"] = {name: {0: "batch"} for name in names}
        with torch.no_grad():
            torch.onnx.export(model, values, str(path), **options)

    return run


def quantized(source: Path, made: Path) -> Callable[[], None]:
    def run() -> None:
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(str(source), str(made), weight_type=QuantType.QInt8)

    return run


class Picked:
    """The first tensor of a model that returns several."""

    @staticmethod
    def of(torch: Any, model: Any) -> Any:
        class First(torch.nn.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.model = model

            def forward(self, *values: Any) -> Any:
                result = self.model(*values)
                while not isinstance(result, torch.Tensor):
                    result = next(iter(result.values())) if isinstance(result, dict) else result[0]
                return result

        return First()


def torchvision_nets(torch: Any) -> dict[str, Any]:
    """Classifiers and dense predictors."""
    from torchvision import models

    def net(name: str, side: int = 64, **options: Any) -> Callable[[], Any]:
        build = getattr(models, name, None) or getattr(models.segmentation, name)
        return lambda: (build(weights=None, **options), (torch.rand(1, 3, side, side),))

    plain = {
        name.replace("_", "-"): net(name)
        for name in (
            "shufflenet_v2_x0_5",
            "squeezenet1_1",
            "mnasnet0_5",
            "mobilenet_v3_small",
            "efficientnet_b0",
            "regnet_x_400mf",
            "densenet121",
        )
    }
    dense = {"lraspp": net("lraspp_mobilenet_v3_large", 65, weights_backbone=None)}
    return {**plain, **dense}


def language(torch: Any) -> dict[str, Any]:
    """Encoders, decoders and both together."""
    import transformers as hf

    ids = torch.randint(3, 300, (1, 12))
    words = {**TINY, "vocab_size": 300}
    seq = {
        "d_model": 64,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
    }
    feed = {"encoder_ffn_dim": 128, "decoder_ffn_dim": 128, "vocab_size": 300, "max_position_embeddings": 64}
    ends = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}

    def both(model: Any) -> Any:
        class Pair(torch.nn.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.model = model

            def forward(self, source: Any, target: Any) -> Any:
                return self.model(input_ids=source, decoder_input_ids=target, use_cache=False)[0]

        return Pair(), (ids, ids[:, :5])

    def one(model: Any) -> Any:
        return model, (ids,)

    t5 = {
        "d_model": 64,
        "d_kv": 16,
        "d_ff": 128,
        "num_layers": 2,
        "num_heads": 4,
        "vocab_size": 300,
        "decoder_start_token_id": 0,
    }
    return {
        "t5": lambda: both(hf.T5Model(hf.T5Config(**t5))),
        "t5-encoder-gated": lambda: one(hf.T5EncoderModel(hf.T5Config(**t5, feed_forward_proj="gated-gelu"))),
        "bart": lambda: both(hf.BartModel(hf.BartConfig(**seq, **feed, **ends))),
        "marian": lambda: both(hf.MarianModel(hf.MarianConfig(**seq, **feed, **ends))),
        "mobilebert": lambda: one(
            hf.MobileBertModel(hf.MobileBertConfig(**words, embedding_size=32, intra_bottleneck_size=32))
        ),
        "squeezebert": lambda: one(hf.SqueezeBertModel(hf.SqueezeBertConfig(**words, embedding_size=64))),
        "fnet": lambda: one(
            hf.FNetModel(
                hf.FNetConfig(hidden_size=64, num_hidden_layers=1, intermediate_size=128, vocab_size=300)
            )
        ),
        "gpt-neox": lambda: one(hf.GPTNeoXModel(hf.GPTNeoXConfig(**words, use_cache=False))),
        "opt": lambda: one(
            hf.OPTModel(hf.OPTConfig(**words, ffn_dim=128, word_embed_proj_dim=64, use_cache=False))
        ),
        "gemma": lambda: one(
            hf.GemmaModel(hf.GemmaConfig(**words, num_key_value_heads=1, head_dim=16, use_cache=False))
        ),
        "mistral": lambda: one(
            hf.MistralModel(hf.MistralConfig(**words, num_key_value_heads=2, use_cache=False))
        ),
        "mamba": lambda: one(
            hf.MambaModel(
                hf.MambaConfig(
                    hidden_size=32, num_hidden_layers=1, state_size=4, vocab_size=300, use_cache=False
                )
            )
        ),
        "bloom": lambda: one(
            hf.BloomModel(
                hf.BloomConfig(hidden_size=64, n_layer=1, n_head=4, vocab_size=300, use_cache=False)
            )
        ),
    }


def vision(torch: Any) -> dict[str, Any]:
    """Transformers and hybrids."""
    import transformers as hf

    image = torch.rand(1, 3, 64, 64)
    patches = {**TINY, "image_size": 64, "patch_size": 16}
    stages = {"hidden_sizes": [16, 32, 48, 64], "depths": [1, 1, 1, 1]}
    text = {**TINY, "vocab_size": 300, "max_position_embeddings": 32, "projection_dim": 32, "eos_token_id": 2}

    def clip() -> Any:
        model = hf.CLIPModel(
            hf.CLIPConfig(
                text_config=text, vision_config={**patches, "projection_dim": 32}, projection_dim=32
            )
        )

        class Scores(torch.nn.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.model = model

            def forward(self, ids: Any, pixels: Any) -> Any:
                return self.model(input_ids=ids, pixel_values=pixels).logits_per_image

        return Scores(), (torch.randint(3, 300, (2, 8)), image)

    backbone = hf.ResNetConfig(embedding_size=16, **stages, out_features=["stage4"])
    detr = {
        "d_model": 32,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
    }
    return {
        "clip": clip,
        "dinov2": lambda: (hf.Dinov2Model(hf.Dinov2Config(**patches)), (image,)),
        "beit": lambda: (hf.BeitModel(hf.BeitConfig(**patches, use_relative_position_bias=True)), (image,)),
        "swinv2": lambda: (
            hf.Swinv2Model(
                hf.Swinv2Config(image_size=64, embed_dim=24, depths=[1, 1], num_heads=[2, 4], window_size=4)
            ),
            (image,),
        ),
        "convnextv2": lambda: (hf.ConvNextV2Model(hf.ConvNextV2Config(**stages)), (image,)),
        "focalnet": lambda: (
            hf.FocalNetModel(
                hf.FocalNetConfig(image_size=64, embed_dim=16, hidden_sizes=[16, 32], depths=[1, 1])
            ),
            (image,),
        ),
        "levit": lambda: (
            hf.LevitModel(
                hf.LevitConfig(
                    image_size=64,
                    hidden_sizes=[32, 48, 64],
                    num_attention_heads=[2, 3, 4],
                    depths=[1, 1, 1],
                    key_dim=[8, 8, 8],
                )
            ),
            (image,),
        ),
        "mobilevitv2": lambda: (
            hf.MobileViTV2Model(hf.MobileViTV2Config(image_size=64, width_multiplier=0.25)),
            (image,),
        ),
        "detr": lambda: (
            hf.DetrModel(
                hf.DetrConfig(
                    use_timm_backbone=False,
                    use_pretrained_backbone=False,
                    backbone_config=backbone,
                    num_queries=8,
                    **detr,
                )
            ),
            (image,),
        ),
        "yolos": lambda: (
            hf.YolosModel(hf.YolosConfig(**{**patches, "image_size": [64, 64]}, num_detection_tokens=4)),
            (image,),
        ),
    }


def sound(torch: Any) -> dict[str, Any]:
    """Speech."""
    import transformers as hf

    sound = torch.rand(1, 4000)
    conv = {"conv_dim": (16,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
    whisper = {
        "d_model": 64,
        "encoder_layers": 1,
        "encoder_attention_heads": 4,
        "encoder_ffn_dim": 128,
        "decoder_layers": 1,
        "decoder_attention_heads": 4,
        "decoder_ffn_dim": 128,
        "vocab_size": 300,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "decoder_start_token_id": 1,
        "max_source_positions": 50,
    }

    def transcriber() -> Any:
        model = hf.WhisperModel(hf.WhisperConfig(**whisper))

        class Pair(torch.nn.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.model = model

            def forward(self, features: Any, ids: Any) -> Any:
                return self.model(input_features=features, decoder_input_ids=ids, use_cache=False)[0]

        return Pair(), (torch.rand(1, 80, 100), torch.randint(3, 300, (1, 6)))

    return {
        "whisper": transcriber,
        "hubert": lambda: (hf.HubertModel(hf.HubertConfig(**TINY, **conv)), (sound,)),
        "ast": lambda: (
            hf.ASTModel(hf.ASTConfig(**TINY, max_length=64, num_mel_bins=32)),
            (torch.rand(1, 64, 32),),
        ),
    }


def small(torch: Any) -> dict[str, Any]:
    """Nets of one idea each: odd sizes, causal convolutions, scans, recognition of text, attention by torch's
    own layers.
    """
    nn, functional = torch.nn, torch.nn.functional

    class UNet(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.ModuleList(
                [nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, 2, 1), nn.Conv2d(16, 32, 3, 2, 1)]
            )
            self.up = nn.ModuleList([nn.ConvTranspose2d(32, 16, 3, 2, 1), nn.Conv2d(24, 8, 3, padding=1)])
            self.head = nn.Conv2d(8, 2, 1)

        def forward(self, x: Any) -> Any:
            first = functional.silu(self.down[0](x))
            second = functional.leaky_relu(self.down[1](first))
            third = functional.elu(self.up[0](functional.gelu(self.down[2](second))))
            wide = functional.interpolate(third, size=first.shape[2:], mode="bilinear", align_corners=False)
            return self.head(self.up[1](torch.cat([first, wide], 1)))

    class Causal(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Conv1d(8, 8, 3, dilation=2**at) for at in range(3)])
            self.norm = nn.BatchNorm1d(8)

        def forward(self, x: Any) -> Any:
            for at, layer in enumerate(self.layers):
                x = x + torch.tanh(layer(functional.pad(x, (2 * 2**at, 0)))) * torch.sigmoid(x)
            return self.norm(x).mean(-1)

    class Reader(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.convs = nn.Sequential(
                nn.Conv2d(1, 16, 3, padding=1),
                nn.ReLU(),
                nn.MaxPool2d(2),
                nn.Conv2d(16, 32, 3, padding=1),
                nn.MaxPool2d((2, 1)),
            )
            self.cells, self.head = nn.LSTM(32 * 4, 24, 2, bidirectional=True), nn.Linear(48, 11)

        def forward(self, x: Any) -> Any:
            seen = self.convs(x).flatten(1, 2).permute(2, 0, 1)
            return functional.log_softmax(self.head(self.cells(seen)[0]), -1)

    class Scan(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.gate, self.value = nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, x: Any) -> Any:
            decay = functional.softplus(self.gate(x)).cumsum(1)
            return torch.einsum("btd,bsd->bts", torch.exp(-decay), self.value(x)).tril() @ x

    class Warp(nn.Module):  # type: ignore[misc]
        def forward(self, x: Any, flow: Any) -> Any:
            moved = functional.grid_sample(x, flow, align_corners=True)
            best = torch.topk(moved.flatten(2), 3)[0]
            return torch.where(best > 0.5, best, best.argmax(-1, keepdim=True).to(best.dtype))

    upscale = nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2), nn.Tanh(), nn.Conv2d(32, 9, 3, padding=1), nn.PixelShuffle(3)
    )
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, norm_first=True)
    return {
        "unet-odd": lambda: (UNet(), (torch.rand(1, 3, 37, 53),)),
        "causal": lambda: (Causal(), (torch.rand(1, 8, 31),)),
        "reader": lambda: (Reader(), (torch.rand(1, 1, 16, 40),)),
        "scan": lambda: (Scan(), (torch.rand(2, 9, 8),)),
        "warp": lambda: (Warp(), (torch.rand(1, 2, 9, 7), torch.rand(1, 5, 6, 2))),
        "espcn": lambda: (upscale, (torch.rand(1, 1, 17, 23),)),
        "torch-encoder": lambda: (
            nn.TransformerEncoder(layer, 2, enable_nested_tensor=False),
            (torch.rand(1, 7, 32),),
        ),
        "gru-stack": lambda: (nn.GRU(12, 16, 2, batch_first=True), (torch.rand(1, 6, 12),)),
    }
