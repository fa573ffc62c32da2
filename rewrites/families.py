"""Which module holds which rewrites; told without importing any of them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

FAMILIES = {
    "onnx": ("fold_onnx", "clean_onnx", "onnx_einsum", "onnx_parts", "onnx_linear", "onnx_rank"),
    "tflite": ("fold_tflite", "clean_tflite", "tflite_reshape", "tflite_gather", "tflite_elementwise", "tflite_rank"),
}
"""Dialect -> the modules that list rewrites of it in ``REWRITES``."""


def mentioning(answer: str, types: Iterable[str]) -> tuple[str, ...]:
    """The families whose text has the code or rule name, and one of the operator types where some are given.

    Only they can hold a rewrite that answers it.
    """
    wanted = [f'"{type}"' for type in types]
    names = (family for families in FAMILIES.values() for family in families)
    return tuple(name for name in names if f'"{answer}"' in _text(name) and (not wanted or any(type in _text(name) for type in wanted)))


@cache
def _text(family: str) -> str:
    return (Path(__file__).parent / f"{family}.py").read_text(encoding="utf-8")
