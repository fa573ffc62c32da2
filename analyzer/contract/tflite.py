"""What a TFLite model carries: its metadata (``formats/tflite/about``)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..formats.tflite.about import about, labels
from .carried import FEW
from .contract import Contract, Port, Preprocessing

if TYPE_CHECKING:
    from ..ir.model import Model

_NOTHING: tuple[str, dict[str, Any]] = ("", {})
_COLOURS = {"RGB": "RGB", "GRAYSCALE": "GRAY"}
_TAGS = {"ImageProperties": "image", "BoundingBoxProperties": "boxes"}
_LABELS = {"TENSOR_AXIS_LABELS": "scores", "TENSOR_VALUE_LABELS": "classes"}


def carried(model: Model, found: Contract) -> Contract:
    """The contract with what the metadata says. Raises ModelError where that is broken."""
    rows = about(model)
    if rows is None:
        return replace(found, text=str(model.metadata.get("description", "")))
    parts: tuple[dict[str, Any], ...] = rows["subgraph_metadata"] or ({},)
    told = {side: parts[0].get(f"{side}_tensor_metadata") or () for side in ("input", "output")}
    return replace(
        found,
        text=rows["description"] or rows["name"] or "",
        inputs=tuple(_ports(model, found.inputs, told["input"])),
        outputs=tuple(_ports(model, found.outputs, told["output"])),
    )


def _ports(model: Model, ports: tuple[Port, ...], rows: tuple[Any, ...]) -> list[Port]:
    if len(rows) != len(ports):  # metadata goes by order: with other counts it says nothing of a tensor
        return list(ports)
    return [_port(model, port, row) for port, row in zip(ports, rows, strict=True)]


def _port(model: Model, port: Port, row: dict[str, Any]) -> Port:
    kind, content = (row["content"] or {}).get("content_properties") or ("", {})
    files = [item for item in row["associated_files"] or () if item["type"] in _LABELS]
    lines = labels(model, files[0]["name"] or "") if files else ()
    tags = [_TAGS[kind]] if kind in _TAGS else []
    tags += [_LABELS[files[0]["type"]]] if files else []
    words = [row["name"] or "", row["description"] or ""]
    return replace(
        port,
        range=_range(row["stats"] or {}),
        text=": ".join(word for word in words if word),
        tags=tuple(tags),
        labels=lines[:FEW],
        label_count=len(lines),
        preprocessing=_preprocessing(port, kind, content, row["process_units"] or ()),
    )


def _range(stats: dict[str, Any]) -> tuple[float, float] | None:
    least, most = stats.get("min") or (), stats.get("max") or ()
    return (min(least), max(most)) if least and most and min(least) <= max(most) else None


def _preprocessing(
    port: Port, kind: str, content: dict[str, Any], units: tuple[dict[str, Any], ...]
) -> Preprocessing:
    made = Preprocessing()
    if kind == "ImageProperties":
        size = content["default_size"]
        made = replace(
            made,
            layout="NHWC" if port.shape is not None and len(port.shape) == 4 else "",
            colour=_COLOURS.get(content["color_space"], ""),
            size=(size["height"], size["width"]) if size else _size(port),
        )
    for unit in units:
        name, options = unit["options"] or _NOTHING
        if name == "NormalizationOptions":
            made = replace(made, mean=options["mean"] or (), std=options["std"] or ())
    return made


def _size(port: Port) -> tuple[int, int] | None:
    if port.shape is None or len(port.shape) != 4:
        return None
    height, width = port.shape[1:3]
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None
