"""Where the packs lie, and the words nearest to a wrong one."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ..analyzer.errors import UsageError
from ..analyzer.extensions import added, load

PACKS = Path(__file__).parent / "packs"


@cache
def shipped() -> dict[str, Path]:
    """Target without variant -> the folder of its pack here. Told by the folder's name: ``litert_gpu`` is
    ``litert/gpu``.
    """
    return _packs_in(PACKS)


@cache
def pack_folders() -> dict[str, Path]:
    """The same, with the packs that installed distributions add (``accelint.packs``); ours come first."""
    found: dict[str, Path] = {}
    for name in added("packs"):
        found.update(_packs_in(_folder(load("packs", name), name)))
    return {**shipped(), **{target: folder for target, folder in found.items() if target not in shipped()}}


def pack_folder(target: str) -> Path | None:
    """Of one target. Distributions are asked only for what is not here."""
    return shipped().get(target) or pack_folders().get(target)


def _packs_in(home: Path) -> dict[str, Path]:
    folders = (folder for folder in sorted(home.iterdir()) if (folder / "pack.toml").is_file())
    return {folder.name.replace("_", "/", 1).replace("_", "-"): folder for folder in folders}


def _folder(entry: object, name: str) -> Path:
    """An entry names a folder of packs, or a package whose folder it is."""
    place = getattr(entry, "__path__", None)
    folder = Path(next(iter(place))) if place else Path(str(entry))
    if not folder.is_dir():
        raise UsageError(f"the entry {name!r} of accelint.packs names no folder of packs: {folder}")
    return folder


def nearest(word: str, known: list[str]) -> str:
    """A hint: the names closest to a wrong one, or all of them."""
    from difflib import get_close_matches

    close = get_close_matches(word, known, n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(close) + "?"
    return "there are " + ", ".join(known) if known else "there are none"
