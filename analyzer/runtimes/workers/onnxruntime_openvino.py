"""ONNX Runtime's OpenVINO execution provider, on OpenVINO's CPU plug-in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .onnxruntime import OrtWorker

if TYPE_CHECKING:
    from pathlib import Path

NAME = "OpenVINOExecutionProvider"


def open(name: str, folder: Path) -> OrtWorker:
    """A worker for ``onnxruntime/openvino:<device>``."""
    device = (name.partition(":")[2] or "cpu").upper()

    def attach(options: Any, asked: dict[str, Any]) -> None:
        options.add_provider(
            NAME,
            {
                "device_type": device,
                **{key: str(value) for key, value in dict(asked.get("provider", {})).items()},
            },
        )

    return OrtWorker(folder, NAME, attach)
