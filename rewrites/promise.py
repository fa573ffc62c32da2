"""What is promised about the numbers of a changed model; the promise sets the tolerance of a comparison."""

from __future__ import annotations

from enum import StrEnum


class Promise(StrEnum):
    """The same bits; the same mathematics in another order of operations; a close result; or a result that
    may differ in names, order, dtypes or shapes of the interface and is otherwise ``rounding``.
    """

    BIT_EXACT = "bit-exact"
    ROUNDING = "rounding"
    APPROXIMATE = "approximate"
    CONTRACT = "contract"

    __str__ = str.__str__

    @property
    def safe(self) -> bool:
        """True when ``accelint fix`` applies the rewrite without being asked for more."""
        return self in (Promise.BIT_EXACT, Promise.ROUNDING)


def weakest(one: Promise, other: Promise) -> Promise:
    """The promise that two changes together can keep."""
    return max(one, other, key=list(Promise).index)
