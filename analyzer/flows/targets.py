"""The targets that a user's words mean, and which of them take a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ...rules.aliases import resolve
from ...rules.folders import pack_folders
from ...rules.loader import read_pack
from ...rules.pack import Chosen
from ...rules.registry import choose, in_dialect
from ..errors import UsageError
from ..words import counted

AUTO = "auto"
_ASKED_BY_PACKAGE = {"litert/builtins": "tensorflow", "litert/flex": "tensorflow"}
"""Targets that are asked by a package in this environment and not by a runtime of the catalogue."""


def names(words: Iterable[str], own: str = "") -> list[str]:
    """Every target that the words mean, once, in order: lists with commas, families, ``auto``, known names.

    ``own`` is a target with a pack of the user's, which need not be known. Raises UsageError with the nearest
    names for a word that means nothing.
    """
    given = [part.strip() for word in words for part in word.split(",")]
    if not any(given):
        raise UsageError("--target is empty: give a target, as accelint targets lists them")
    found = [name for word in given if word for name in _meant(word, own)]
    return list(dict.fromkeys(found))


def _meant(word: str, own: str) -> list[str]:
    if word == AUTO:
        return installed()
    return [word] if _base(word) == own else resolve(word)


def _base(name: str) -> str:
    return name.partition("@")[0].partition(":")[0]


def chosen(words: Sequence[str], pack: Path | None = None, *, preview: bool = False) -> list[Chosen]:
    """The packs of every target that the words mean, each once; ``pack`` is the user's own for one of them.
    ``preview``: with their rules in preview.

    Raises UsageError when the user's pack is for none of them.
    """
    own = "" if pack is None else read_pack(pack).target
    found = names(words, own)
    if own and own not in map(_base, found):
        choose(found[0], pack)  # says whose pack it is
    packs = [choose(name, pack if _base(name) == own else None) for name in found]
    each = {(item.target, item.version): item for item in packs}.values()
    by_name = _by_name(words, own)
    return [
        (item.previewed() if preview else item).called(by_name=item.target in by_name or len(found) == 1)
        for item in each
    ]


def _by_name(words: Iterable[str], own: str) -> set[str]:
    """Targets that a word means alone, and not with others of its family."""
    means = [_meant(part.strip(), own) for word in words for part in word.split(",") if part.strip()]
    return {choose(found[0]).target for found in means if len(found) == 1 and _base(found[0]) != own}


def one(word: str, packs: Sequence[Chosen], dialect: str) -> Chosen:
    """The only target that a word means; where it means several, the only one that takes a dialect.

    Raises UsageError that lists them when there are several, or none.
    """
    fit = packs if len(packs) == 1 else [item for item in packs if in_dialect(item, dialect) is not None]
    if len(fit) == 1:
        return fit[0]
    listed = ", ".join(item.target for item in fit or packs)
    told = (
        f"{counted(len(fit), 'target')} that take {dialect} models"
        if fit
        else f"no target that takes {dialect} models"
    )
    raise UsageError(f"{word!r} means {told}: {listed}: give one of them")


def asked(word: str, packs: Sequence[Chosen]) -> Chosen:
    """The only target that a word means; where it means several, the only one whose runtime is here.

    Raises UsageError that lists them when there are several, or none.
    """
    if len(packs) == 1:
        return packs[0]
    here = set(_installed())
    fit = [item for item in packs if _base(item.target) in here]
    if len(fit) == 1:
        return fit[0]
    listed = ", ".join(item.target for item in fit or packs)
    raise UsageError(f"{word!r} means {counted(len(packs), 'target')}: {listed}: give one of them")


def installed() -> list[str]:
    """Targets whose runtime is here. Raises UsageError when there is none."""
    found = _installed()
    if not found:
        raise UsageError(
            "auto: no runtime is installed here: accelint runtimes lists the commands that bring one"
        )
    return found


def _installed() -> list[str]:
    from importlib.util import find_spec

    from ..runtimes.catalog import every, info

    found = [item.name for item in every() if item.name in pack_folders() and info(item).available]
    return found + [target for target, package in _ASKED_BY_PACKAGE.items() if find_spec(package) is not None]


def takes(item: Chosen, dialect: str) -> bool:
    """Whether a target takes models of a dialect, by itself, by a twin, or after a vendor's conversion."""
    if in_dialect(item, dialect) is not None:
        return True
    from ..convert.roads import between

    road = between(dialect, item.pack.dialect)
    return road is not None and (item.by_name or not getattr(road, "BY_NAME", False))


def fitting(
    path: Path, dialect: str, packs: Iterable[Chosen], *, leveled: bool = False
) -> tuple[list[Chosen], dict[str, str]]:
    """The targets that take a model, each once and in the model's dialect, and why the others do not.

    ``leveled``: an optimization level was asked for, which only ONNX Runtime's own targets have.
    """
    fit: dict[tuple[str, str], Chosen] = {}
    skipped: dict[str, str] = {}
    for item in packs:
        if not takes(item, dialect):
            skipped[item.target] = (
                f"takes {item.pack.dialect} models and {path} is {dialect}: convert it first"
            )
        elif leveled and not item.target.startswith("onnxruntime/"):
            skipped[item.target] = (
                "is not a target of ONNX Runtime, which alone optimizes a graph before it is partitioned"
            )
        else:
            direct = in_dialect(item, dialect) or item
            fit.setdefault((direct.target, direct.version), direct)
    return list(fit.values()), skipped
