"""Which module holds which rewrites, and what they answer; told without importing any of them."""

from __future__ import annotations

import json
from pathlib import Path

FAMILIES = {
    "onnx": (
        "onnx.fold",
        "onnx.clean",
        "onnx.einsum",
        "onnx.parts",
        "onnx.linear",
        "onnx.norm",
        "onnx.rank",
        "onnx.types",
    ),
    "tflite": (
        "tflite.fold",
        "tflite.clean",
        "tflite.reshape",
        "tflite.gather",
        "tflite.elementwise",
        "tflite.rank",
    ),
}
"""Dialect -> the modules that list rewrites of it in ``REWRITES``."""
ANSWERS = Path(__file__).parent / "answers.json"


def stored_answers() -> dict[str, str]:
    """What ``registry.answers`` gives, as ``tools/docs/support_pages.py`` stored it; a test holds the two
    equal.
    """
    answers: dict[str, str] = json.loads(ANSWERS.read_text(encoding="utf-8"))
    return answers
