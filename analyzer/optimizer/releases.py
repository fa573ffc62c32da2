"""Which passes a release of ONNX Runtime has: data in ``releases.toml``, asked of the released wheels."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ...rules.versions import version_key

TABLE = Path(__file__).parent / "releases.toml"
NEWEST = "1.31.1"
"""The release whose passes stand in the code, taken where none is asked for."""


@dataclass(frozen=True, slots=True)
class Change:
    """A pass, or one form of it behind a colon, that not every release has.

    Attributes:
        name: as ``Log.lacking`` has it.
        what: what it does.
        probe: the model that shows it, and ``also`` others whose answers change with it.
        since: the first release that does it; empty for all that were asked.
        until: the first release that does it no more; empty for none.
    """

    name: str
    what: str
    probe: str
    since: str = ""
    until: str = ""
    also: tuple[str, ...] = ()

    def held_by(self, release: str) -> bool:
        """Whether a release does it."""
        asked = version_key(release)
        early = bool(self.since) and asked < version_key(self.since)
        return not early and not (self.until and asked >= version_key(self.until))


@cache
def changes() -> tuple[Change, ...]:
    """Every change, in the order of the table."""
    return tuple(Change(**row) for row in tomllib.loads(TABLE.read_text("utf-8"))["change"])


@cache
def lacking(release: str = "") -> frozenset[str]:
    """Names of the passes that a release does not have; what is no version counts as the newest."""
    release = release if version_key(release) else NEWEST
    return frozenset(item.name for item in changes() if not item.held_by(release))
