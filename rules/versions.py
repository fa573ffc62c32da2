"""Versions of runtimes, compared by their numbers."""

from __future__ import annotations


def version_key(text: str) -> tuple[int, ...]:
    """A version as numbers, for comparison: ``1.27.0rc1`` is (1, 27, 0)."""
    parts: list[int] = []
    for part in text.split("."):
        digits = "".join(char for char in part if char.isdigit()) if part[:1].isdigit() else ""
        if not digits:
            break
        parts.append(int("".join(_leading_digits(part))))
    return tuple(parts)


def _leading_digits(part: str) -> list[str]:
    digits: list[str] = []
    for char in part:
        if not char.isdigit():
            break
        digits.append(char)
    return digits
