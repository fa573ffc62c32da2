"""ONNX Runtime's CPU execution provider: the reference that others are compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .onnxruntime import CPU, OrtWorker

if TYPE_CHECKING:
    from pathlib import Path


def open(name: str, folder: Path) -> OrtWorker:
    """A worker for ``onnxruntime/cpu``."""
    return OrtWorker(folder, CPU, lambda options, asked: None, compiles=False)
