"""ONNX Runtime's CPU execution provider: the reference that others are compared with."""

from __future__ import annotations

from pathlib import Path

from .ort import CPU, OrtWorker


def open(name: str, folder: Path) -> OrtWorker:
    """A worker for ``onnxruntime/cpu``."""
    return OrtWorker(folder, CPU, lambda options, asked: None)
