"""Names of a model's inputs as a person shortens them: ``input_ids`` for ``serving_default_input_ids:0``."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NUMBER = re.compile(r":\d+$")


def meant(word: str, names: Iterable[str]) -> list[str]:
    """The names that a word means: itself, else those that begin or end with it at a boundary between words.

    The number of an output (``:0``) does not count, and letters' case only where two names differ in nothing
    else. More than one answer means that the word is too short.
    """
    known = list(names)
    if word in known:
        return [word]
    bare = {name: _NUMBER.sub("", name) for name in known}
    for same in (str, str.lower):
        whole = [name for name in known if same(bare[name]) == same(word)]
        parts = [name for name in known if _is_part(same(word), same(bare[name]))]
        if whole or parts:
            return whole or parts
    return []


def _is_part(word: str, name: str) -> bool:
    if not word or len(word) >= len(name):
        return False
    ends = name.endswith(word) and not name[-len(word) - 1].isalnum()
    return ends or (name.startswith(word) and not name[len(word)].isalnum())
