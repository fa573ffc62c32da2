"""Whether the rules of a pack are still about the runtime that is installed."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from ...rules.pack import Pack


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
    """The finding that the installed runtime is not the one that the pack was measured for; None when it is,
    or when nothing tells.
    """
    if version in (pack.version, "unknown", ""):
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


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:4])
