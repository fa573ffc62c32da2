"""Names that people know for targets: execution providers, delegates, chips, phones; and families of targets.

Only the heads of packs and ``aliases.toml`` are read, and those only for a word that is no target already.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from ..analyzer.errors import UsageError
from .folders import nearest, pack_folders
from .outline import Outline
from .tables import read_tables

EVERY = "all"


def slug(word: str) -> str:
    """A name as it is compared: lower case, with hyphens for spaces and underscores."""
    return "-".join(word.lower().replace("_", " ").split())


@cache
def aliases() -> dict[str, tuple[str, ...]]:
    """Every known name -> the targets that it means: the table's, then variants and products of the packs."""
    table = read_tables(Path(__file__).with_name("aliases.toml"))
    named = {slug(name): tuple(entry["targets"]) for entry in table["alias"] for name in entry["names"]}
    chips: dict[str, list[str]] = {}
    for target in _families(list(pack_folders())):
        for variant, facts in Outline(target).variant_tables().items():
            for name in (variant, slug(str(facts.get("product", "")))):
                if name and not name.isdigit():
                    chips.setdefault(name, []).append(f"{target}:{variant}")
    derived = {name: tuple(dict.fromkeys(targets)) for name, targets in chips.items()}
    return {**derived, **named}


def also_called(target: str) -> list[str]:
    """The other names of a target with its variant, for lists; the first variant has the target's too."""
    base, _, variant = target.partition(":")
    first = next(iter(Outline(base).variants()), "")
    own = {target, base} if variant == first else {target}
    return [name for name, targets in aliases().items() if not own.isdisjoint(targets)]


def resolve(word: str) -> list[str]:
    """The targets that one word of a user means, in order.

    A target as ``targets`` lists it, a family (``onnxruntime/*``, ``onnxruntime/qnn:*``, ``all``) or a known
    name, each with an optional ``:variant`` and ``@version``. Raises UsageError with the nearest names.
    """
    name, at, version = word.strip().partition("@")
    base, colon, variant = slug(name).partition(":")
    known = pack_folders()
    if base == EVERY or any(mark in name for mark in "*?["):
        found = _family("*" if base == EVERY else base, variant)
    elif base in known:
        found = [f"{base}{colon}{variant}"]
    elif base in aliases():
        found = _narrowed(word, aliases()[base], variant)
    else:
        found = []
    if not found:
        everything = [*known, *sorted({f"{item.split('/')[0]}/*" for item in known}), *aliases(), EVERY]
        raise UsageError(
            f"no target is named {word!r}: {nearest(base, everything) if base else 'give a name'} "
            f"(accelint targets lists them)"
        )
    return [f"{item}{at}{version}" for item in found]


def _family(base: str, variant: str) -> list[str]:
    """Targets whose name matches; with a pattern after the colon, their variants that match it."""
    matching = _families([target for target in pack_folders() if fnmatchcase(target, base)])
    if not variant:
        return matching
    return [
        f"{target}:{name}"
        for target in matching
        for name in Outline(target).variants()
        if fnmatchcase(name, variant)
    ]


def _families(targets: list[str]) -> list[str]:
    """Without a target's twin for another dialect (``coreml/ane-nn``), which stands in for it by itself."""
    return [
        target
        for target in targets
        if not any(target.startswith(f"{other}-") and _is_twin(target, other) for other in targets)
    ]


def _is_twin(target: str, other: str) -> bool:
    return target.removeprefix(f"{other}-") == str(Outline(target).head["dialect"])


def _narrowed(word: str, targets: tuple[str, ...], variant: str) -> list[str]:
    """The targets of a known name with a variant asked for: those that have it."""
    if not variant:
        return list(targets)
    bare = [target for target in targets if ":" not in target]
    found = [f"{target}:{variant}" for target in bare if variant in Outline(target).variants()]
    if found:
        return found
    names = [f"{target}:{name}" for target in bare for name in Outline(target).variants()]
    raise UsageError(f"no target that {word!r} means has the variant {variant!r}: {nearest(variant, names)}")
