"""How a model in the user's code is named: ``package.module:build`` or ``path/to/file.py:build``."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

_NAME = r"[^\W\d]\w*"
_MODULE = re.compile(rf"(?P<module>{_NAME}(?:\.{_NAME})*):(?P<attribute>{_NAME}(?:\.{_NAME})*)")
_FILE = re.compile(rf"(?P<file>.+\.py):(?P<attribute>{_NAME}(?:\.{_NAME})*)")


@dataclass(frozen=True)
class Name:
    """An attribute of a module, or of a file that is run as one; ``text`` is how the user wrote it."""

    text: str
    module: str
    attribute: str
    file: str | None = None


def named(text: str) -> Name | None:
    """What the text names in the user's code; None where it is the path of a file, or can only be one."""
    if ":" not in text or os.path.lexists(text):
        return None
    if found := _FILE.fullmatch(text):
        stem = os.path.basename(found["file"])[: -len(".py")]  # noqa: PTH119 (as the user wrote it)
        return Name(text, stem, found["attribute"], found["file"])
    if found := _MODULE.fullmatch(text):
        return Name(text, found["module"], found["attribute"])
    return None
