"""Where the packs lie, and the words nearest to a wrong one; needs nothing else of the package."""

from __future__ import annotations

from functools import cache
from pathlib import Path

PACKS = Path(__file__).parent / "packs"


@cache
def pack_folders() -> dict[str, Path]:
    """Target without variant -> its pack's folder. Told by the folder's name: ``litert_gpu`` is
    ``litert/gpu``.
    """
    folders = (folder for folder in sorted(PACKS.iterdir()) if (folder / "pack.toml").is_file())
    return {folder.name.replace("_", "/", 1).replace("_", "-"): folder for folder in folders}


def nearest(word: str, known: list[str]) -> str:
    """A hint: the names closest to a wrong one, or all of them."""
    from difflib import get_close_matches

    close = get_close_matches(word, known, n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(close) + "?"
    return "there are " + ", ".join(known) if known else "there are none"
