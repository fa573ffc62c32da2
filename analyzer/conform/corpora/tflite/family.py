"""Families of cases: one operator, the values that each of its parameters takes, and how a model is made of
them.

A family gives its base case, every other value of each parameter alone, and seeded mixes of several. The name
of a case tells how it differs from the base, so it stays the same however many cases there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any

from ....formats.tflite.writer import to_bytes
from .net import Net, Skip, seeded

Make = Callable[[Net, Any], None]
"""Adds the operator to the net; the parameters are attributes of the second argument. Raises Skip where they
do not fit.
"""


@dataclass(frozen=True)
class Case:
    """One model of the corpus: a stable name, the operator it is about, and its content when asked for."""

    name: str
    op: str
    build: Callable[[], bytes] = field(repr=False)


@dataclass(frozen=True)
class Family:
    """Cases of one operator. The first value of each axis is the base; ``mixes`` is the number of random
    mixes.
    """

    op: str
    label: str
    make: Make = field(repr=False)
    axes: Mapping[str, Sequence[Any]]
    mixes: int

    def cases(self, seed: int) -> Iterator[Case]:
        """The family's cases, each name once."""
        seen: set[str] = set()
        for changes in self._combinations(seed):
            name = self._name(changes)
            if name not in seen and self._fits(name, changes):
                seen.add(name)
                yield Case(name, self.op, partial(self._build, name, changes))

    def _combinations(self, seed: int) -> Iterator[dict[str, Any]]:
        yield {}
        for axis, values in self.axes.items():
            for value in values[1:]:
                yield {axis: value}
        random = seeded(seed, self.op, self.label)
        for _ in range(self.mixes):
            count = random.randint(2, max(2, min(4, len(self.axes))))
            axes = random.sample(sorted(self.axes), min(count, len(self.axes)))
            changes = {axis: random.choice(list(self.axes[axis])) for axis in axes}
            yield {axis: value for axis, value in sorted(changes.items()) if value != self.axes[axis][0]}

    def _build(self, name: str, changes: Mapping[str, Any]) -> bytes:
        return to_bytes(self._net(name, changes).model())

    def _name(self, changes: Mapping[str, Any]) -> str:
        stem = f"{self.op}:{self.label}" if self.label else self.op
        return f"{stem}/{','.join(f'{axis}={_text(value)}' for axis, value in changes.items()) or 'base'}"

    def _fits(self, name: str, changes: Mapping[str, Any]) -> bool:
        try:
            self._net(name, changes)
        except Skip:
            return False
        return True

    def _net(self, name: str, changes: Mapping[str, Any]) -> Net:
        params = SimpleNamespace(**{axis: changes.get(axis, values[0]) for axis, values in self.axes.items()})
        net = Net(name, getattr(params, "dyn", ""))
        self.make(net, params)
        return net


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        joint = "+" if any(isinstance(item, tuple) for item in value) else "x"
        return joint.join(_text(item) for item in value) or "scalar"
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None or value == "" else str(value)


FAMILIES: list[Family] = []


def family(op: str, make: Make, /, *, label: str = "", mixes: int = 24, **axes: Sequence[Any]) -> None:
    """Add a family to the corpus."""
    FAMILIES.append(Family(op, label, make, axes, mixes))
