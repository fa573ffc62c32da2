"""Whether the rules of a pack are still about the runtime that is installed."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from ...rules.pack import Chosen, Pack


@dataclass(frozen=True)
class Drift:
    """A finding about the data and not about a model: the version that was measured and the one that is
    here.
    """

    message: str
    seen: str
    limit: str
    code: str = "ACL901"
    rule: str = "stale-data"
    severity: str = "warning"

    def to_json(self) -> dict[str, Any]:
        """As in the report of ``conform`` and of ``verify``."""
        return asdict(self)


def stale_data(pack: Pack, version: str) -> Drift | None:
    """The finding that the pack has no data for the installed runtime; None when it has, or when nothing
    tells.
    """
    if version in (*pack.versions, "unknown", ""):
        return None
    order = (
        "newer"
        if _numbers(version) > _numbers(pack.version)
        else "older"
        if _numbers(version) < _numbers(pack.version)
        else "another"
    )
    message = (
        f"the rules of {pack.target} were measured on {pack.runtime} {pack.version} "
        f"({pack.date}), the installed {version} is {order}: "
        f"verdicts may have changed"
    )
    return Drift(message, f"{pack.runtime} {version}", f"{pack.runtime} {pack.version}")


def installed_release(chosen: Chosen) -> str:
    """The release of the target's runtime that is here; empty where none is, or another package tells."""
    from ..runtimes.catalog import every, info

    found = next((item for item in every() if item.name == chosen.pack.target), None)
    return (info(found).version or "") if found and found.packages[0] == chosen.pack.runtime else ""


def of_installed(chosen: Chosen, version: str) -> Chosen:
    """The rules for the installed release, where the pack has data for it and no other one was asked for."""
    pack = chosen.pack
    if chosen.version != pack.version or version not in pack.versions:
        return chosen
    return pack.chosen(chosen.variant, version)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:4])
