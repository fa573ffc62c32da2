"""Which module holds which rewrites, and what they answer; told without importing any of them."""

from __future__ import annotations

import json
from pathlib import Path

FAMILIES = {
    "onnx": ("fold_onnx", "clean_onnx", "onnx_einsum", "onnx_parts", "onnx_linear", "onnx_norm", "onnx_rank", "onnx_types"),
    "tflite": ("fold_tflite", "clean_tflite", "tflite_reshape", "tflite_gather", "tflite_elementwise", "tflite_rank"),
}
"""Dialect -> the modules that list rewrites of it in ``REWRITES``."""
ANSWERS = Path(__file__).parent / "answers.json"


def stored_answers() -> dict[str, str]:
    """What ``registry.answers`` gives, as ``benchmarks/support_pages.py`` stored it; a test holds the two equal."""
    answers: dict[str, str] = json.loads(ANSWERS.read_text(encoding="utf-8"))
    return answers
