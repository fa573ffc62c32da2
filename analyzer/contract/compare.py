"""A model compared with a contract: what an application that relies on it would notice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .contract import SIDES, Contract, Port, Preprocessing

CLOSE = 1e-6
"""Relative difference of numbers that writers round."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as promised.

    Attributes:
        kind: ``gone``, ``new``, ``renamed``, ``order``, ``dtype``, ``shape``, ``quantization``, ``range``,
            ``meaning``, ``preprocessing`` or ``labels``.
        side: ``input``, ``output`` or ``state``.
        was, now: the promised value and the model's.
    """

    kind: str
    side: str
    name: str
    was: Any
    now: Any

    @property
    def text(self) -> str:
        """In words."""
        return _WORDS.get(self.kind, "{side} {name!r}: {kind} was {was}, is {now}").format(
            kind=self.kind, side=self.side, name=self.name, was=_shown(self.was), now=_shown(self.now)
        )


_WORDS = {
    "gone": "{side} {name!r} is gone",
    "new": "{side} {name!r} is new",
    "renamed": "{side} {name!r} is called {now} now",
    "order": "{side}s are in another order: {now}",
}


def differences(promised: Contract, found: Contract) -> list[Difference]:
    """What differs, interface first. What only one of them knows (a meaning, a range) is no difference."""
    told: list[Difference] = []
    for side in SIDES:
        told += _side(side[:-1], getattr(promised, side), getattr(found, side))
    return sorted(told, key=lambda item: _ORDER.index(item.kind))


_ORDER = (
    "gone", "new", "renamed", "order", "dtype", "shape", "quantization", "range", "meaning", "preprocessing",
    "labels",
)  # fmt: skip


def _side(side: str, promised: tuple[Port, ...], found: tuple[Port, ...]) -> Iterator[Difference]:
    before, after = ({port.name: port for port in ports} for ports in (promised, found))
    gone = [port for port in promised if port.name not in after]
    new = [port for port in found if port.name not in before]
    renamed = _renamed(promised, found, gone, new)
    for port in gone:
        other = renamed.get(port.name)
        yield Difference("renamed" if other else "gone", side, port.name, port.name, other and other.name)
        if other:
            yield from _port(side, port, other)
    for port in new:
        if port not in renamed.values():
            yield Difference("new", side, port.name, None, port.name)
    kept = [port.name for port in promised if port.name in after]
    if (now := [port.name for port in found if port.name in before]) != kept:
        yield Difference("order", side, "", kept, now)
    for name in kept:
        yield from _port(side, before[name], after[name])


def _renamed(
    promised: tuple[Port, ...], found: tuple[Port, ...], gone: list[Port], new: list[Port]
) -> dict[str, Port]:
    """Ports that stand in the same place with the same type under another name."""
    if len(promised) != len(found):
        return {}
    return {
        old.name: now
        for old, now in zip(promised, found, strict=True)
        if old in gone and now in new and (old.dtype, old.shape) == (now.dtype, now.shape)
    }


def _port(side: str, was: Port, now: Port) -> Iterator[Difference]:
    if was.dtype != now.dtype:
        yield Difference("dtype", side, was.name, was.dtype, now.dtype)
    if not _same_shape(was.shape, now.shape):
        yield Difference("shape", side, was.name, was.shape, now.shape)
    quant = [(port.scale, port.zero_point, port.axis) for port in (was, now)]
    if not all(map(_close, quant[0][:2], quant[1][:2])) or quant[0][2] != quant[1][2]:
        yield Difference("quantization", side, was.name, quant[0], quant[1])
    if was.range and now.range and not _close(was.range, now.range):
        yield Difference("range", side, was.name, was.range, now.range)
    if was.tags and now.tags and set(was.tags) != set(now.tags):
        yield Difference("meaning", side, was.name, was.tags, now.tags)
    for name in Preprocessing.__slots__:
        old, new = (getattr(port.preprocessing, name) for port in (was, now))
        if old and new and not _close(old, new):
            yield Difference(
                "preprocessing", side, was.name, f"{name} {_shown(old)}", f"{name} {_shown(new)}"
            )
    if was.label_count and now.label_count and (was.label_count, was.labels) != (now.label_count, now.labels):
        yield Difference("labels", side, was.name, f"{was.label_count} labels", f"{now.label_count} others")


def _same_shape(was: Any, now: Any) -> bool:
    """Sizes as promised; the name of a symbol says nothing to an application."""
    if was is None or now is None:
        return was is now
    fixed = [[dim if isinstance(dim, int) else None for dim in dims] for dims in (was, now)]
    return fixed[0] == fixed[1]


def _close(was: Any, now: Any) -> bool:
    if isinstance(was, tuple) and isinstance(now, tuple):
        return len(was) == len(now) and all(map(_close, was, now))
    if isinstance(was, (int, float)) and isinstance(now, (int, float)):
        return abs(was - now) <= CLOSE * max(abs(was), abs(now))
    return bool(was == now)


def _shown(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        few = [_shown(item) for item in value[:6]]
        return f"[{', '.join(few)}{', ...' if len(value) > 6 else ''}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
