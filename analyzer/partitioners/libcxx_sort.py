"""The order in which libc++'s ``std::sort`` leaves elements that compare equal.

``std::sort`` is not stable, so where a runtime sorts and takes the first, ties are settled by the algorithm's
own steps: LiteRT sorts partitions by size and hands over the largest. This follows libc++'s introsort (LLVM
``libcxx/include/__algorithm/sort.h``) without its heap-sort fallback, which takes adversarial input to reach;
up to 23 elements it is an insertion sort and stable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

_INSERTION = 24
"""Shorter ranges are sorted by insertion."""
_NINTHER = 128
"""Longer ranges take their pivot from nine elements instead of three."""
_LIMIT = 8
"""Moves after which a range that looked sorted is given up."""


def sort(items: Sequence[T], before: Callable[[T, T], bool]) -> list[T]:
    """The items as ``std::sort(begin, end, before)`` leaves them."""
    sorter = _Sorter(list(items), before)
    sorter.sort(0, len(sorter.values))
    return sorter.values


class _Sorter(Generic[T]):
    """The array and its order; ``last`` is one past the end of a range, as in C++."""

    def __init__(self, values: list[T], before: Callable[[T, T], bool]) -> None:
        self.values = values
        self.before = before

    def sort(self, first: int, last: int) -> None:
        """Introsort; pending ranges are kept in a list, the left one of each split first."""
        todo = [(first, last, True)]
        while todo:
            first, last, leftmost = todo.pop()
            while True:
                if last - first < _INSERTION:
                    self.insertion(first, last)
                    break
                self.pivot(first, last)
                if not leftmost and not self.less(first - 1, first):
                    first = self.equals_left(first, last)
                    continue
                middle, untouched = self.equals_right(first, last)
                if untouched:
                    left = self.insertion_incomplete(first, middle)
                    if self.insertion_incomplete(middle + 1, last):
                        if left:
                            break
                        last = middle
                        continue
                    if left:
                        first = middle + 1
                        continue
                todo.append((middle + 1, last, False))
                last = middle

    def less(self, left: int, right: int) -> bool:
        """Whether the element at ``left`` goes before the one at ``right``."""
        return self.before(self.values[left], self.values[right])

    def swap(self, left: int, right: int) -> None:
        """Exchange two elements."""
        self.values[left], self.values[right] = self.values[right], self.values[left]

    def sort3(self, x: int, y: int, z: int) -> None:
        """``std::__sort3``: three elements, equal ones not always kept in order."""
        if not self.less(y, x):
            if not self.less(z, y):
                return
            self.swap(y, z)
            if self.less(y, x):
                self.swap(x, y)
            return
        if self.less(z, y):
            self.swap(x, z)
            return
        self.swap(x, y)
        if self.less(z, y):
            self.swap(y, z)

    def insertion(self, first: int, last: int) -> None:
        """Insertion sort. The networks that libc++ uses up to 5 elements give the same order."""
        for at in range(first + 1, last):
            value, hole = self.values[at], at
            while hole > first and self.before(value, self.values[hole - 1]):
                self.values[hole] = self.values[hole - 1]
                hole -= 1
            self.values[hole] = value

    def insertion_incomplete(self, first: int, last: int) -> bool:
        """Insertion sort that gives up after eight moved elements; True when the range is sorted."""
        if last - first <= 5:
            self.insertion(first, last)
            return True
        self.sort3(first, first + 1, first + 2)
        moved = 0
        for at in range(first + 3, last):
            if not self.less(at, at - 1):
                continue
            value, hole = self.values[at], at
            while hole > first and self.before(value, self.values[hole - 1]):
                self.values[hole] = self.values[hole - 1]
                hole -= 1
            self.values[hole] = value
            moved += 1
            if moved == _LIMIT:
                return at + 1 == last
        return True

    def pivot(self, first: int, last: int) -> None:
        """Put the median of three, or of three medians of three, at the front."""
        half = (last - first) // 2
        if last - first <= _NINTHER:
            self.sort3(first + half, first, last - 1)
            return
        self.sort3(first, first + half, last - 1)
        self.sort3(first + 1, first + half - 1, last - 2)
        self.sort3(first + 2, first + half + 1, last - 3)
        self.sort3(first + half - 1, first + half, first + half + 1)
        self.swap(first, first + half)

    def equals_right(self, begin: int, last: int) -> tuple[int, bool]:
        """Partition with the pivot's equals on the right; its place, and whether nothing had to move."""
        values, before = self.values, self.before
        pivot, first = values[begin], begin + 1
        while before(values[first], pivot):
            first += 1
        last -= 1
        if begin == first - 1:
            while first < last and not before(values[last], pivot):
                last -= 1
        else:
            while not before(values[last], pivot):
                last -= 1
        untouched = first >= last
        while first < last:
            self.swap(first, last)
            first += 1
            while before(values[first], pivot):
                first += 1
            last -= 1
            while not before(values[last], pivot):
                last -= 1
        place = first - 1
        values[begin] = values[place]
        values[place] = pivot
        return place, untouched

    def equals_left(self, begin: int, end: int) -> int:
        """Partition with the pivot's equals on the left; where the rest begins."""
        values, before = self.values, self.before
        pivot, first, last = values[begin], begin + 1, end
        if before(pivot, values[end - 1]):
            while not before(pivot, values[first]):
                first += 1
        else:
            while first < last and not before(pivot, values[first]):
                first += 1
        if first < last:
            last -= 1
            while before(pivot, values[last]):
                last -= 1
        while first < last:
            self.swap(first, last)
            first += 1
            while not before(pivot, values[first]):
                first += 1
            last -= 1
            while before(pivot, values[last]):
                last -= 1
        place = first - 1
        values[begin] = values[place]
        values[place] = pivot
        return first
