"""Names of generated rules, made of what a rule limits and of nothing else.

A name is a function of the rule's own content: where the rule stands among others, and which operators
share it, leave no mark on it. So a table that is measured anew gives the same names for the same limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_SHORT = {
    "bfloat16": "bf16",
    "float8e4m3fn": "f8e4m3fn",
    "float8e4m3fnuz": "f8e4m3fnuz",
    "float8e5m2": "f8e5m2",
}
_SHORT |= {"float8e5m2fnuz": "f8e5m2fnuz", "float4e2m1": "f4e2m1", "float8e8m0": "f8e8m0"}
_SHORT |= {f"float{bits}": f"f{bits}" for bits in (16, 32, 64)}
_SHORT |= {f"{sign}int{bits}": f"{sign or 'i'}{bits}" for sign in ("", "u") for bits in (2, 4, 8, 16, 32, 64)}
_WIDTHS = (8, 16, 32, 64)
CLASSES = {
    "float": {"float16", "float32", "float64"},
    "int": {f"{sign}int{bits}" for sign in ("", "u") for bits in _WIDTHS},
    "signed": {f"int{bits}" for bits in _WIDTHS},
    "unsigned": {f"uint{bits}" for bits in _WIDTHS},
    "float8": {"float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz"},
    "complex": {"complex64", "complex128"},
    "quantized": {"qint8", "qint16", "qint32", "quint8", "quint16"},
    "handle": {"resource", "variant"},
}
"""Words for sets of element types; ``int`` is tried before its halves."""


def dtypes(types: Iterable[str]) -> str:
    """Element types as part of a name, in one order: ``f32-f16``, ``float-int-bool``."""
    rest, words = set(types), []
    for word, members in CLASSES.items():
        if members <= rest:
            words.append(word)
            rest -= members
    return "-".join([*words, *sorted((_SHORT.get(item, item) for item in rest), key=_by_kind)])


def _by_kind(word: str) -> tuple[str, int, str]:
    """Floats before integers before unsigned ones before all else, narrow ones first."""
    found = re.fullmatch(r"([a-z]+)(\d+)", word)
    kind = {"f": "0", "bf": "1", "i": "2", "u": "3"}.get(found[1] if found else word[:1], "4")
    return kind, int(found[2]) if found else 0, word


def opsets(low: int, high: int, newest: int) -> str:
    """A span of operator sets as the end of a name; nothing where it has no bounds."""
    if low and high < newest:
        return f"-in-opset-{low}" if low == high else f"-in-opset-{low}-to-{high}"
    return f"-from-opset-{low}" if low else f"-to-opset-{high}" if high < newest else ""


def places(side: str, which: Iterable[int]) -> str:
    """``input-0``, ``input-1-or-2``."""
    return f"{side}-" + "-or-".join(map(str, sorted(which)))


def slug(text: str) -> str:
    """Text as part of a name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def operator(name: str) -> str:
    """An operator type as part of a name: ``com.microsoft:MatMulNBits`` is ``matmulnbits``."""
    return slug(name.rpartition(":")[2])


def element_types(attr: str, bad: Iterable[str], also_stored: bool) -> str:
    """Element types of a type attribute that are not convertible; ``also_stored``: of constants neither."""
    word = slug(attr) if "type" in attr.lower() else f"dtype-{slug(attr)}"
    return f"{word}-{dtypes(bad)}" + ("-even-stored" if also_stored else "")


def attribute(attr: str, bad: Iterable[str]) -> str:
    """Values of an attribute that are not convertible: ``data-format-nchw``."""
    return f"{slug(attr)}-" + "-or-".join(sorted(slug(value) for value in bad))


def rank(which: str, low: int, high: int, known: bool) -> str:
    """Ranks that are not convertible, of ``which`` inputs."""
    span = f"over-{high}" if not low else f"under-{low}" if high == 9 else f"not-{low}" if low == high else ""
    return f"rank-{span or f'not-{low}-to-{high}'}" + ("" if known else "-or-unknown") + f"-of-{which}"


def inputs(condition: str) -> str:
    """The inputs that a condition's keys name: ``input = [1, 2]`` is ``inputs-1-and-2``."""
    found = re.findall(r"\d+", condition)
    return f"input{'s' if len(found) > 1 else ''}-" + "-and-".join(found) if found else "inputs"
