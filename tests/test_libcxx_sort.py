"""The replay of an unstable sort: a sort all the same, stable where libc++'s is, and with its ties where it
is not.

That the ties are libc++'s is measured against LiteRT in test_runtime_litert.
"""

from __future__ import annotations

from accelint.analyzer.partitioners.libcxx_sort import sort
from hypothesis import given
from hypothesis import strategies as st


def larger(left: tuple[int, int], right: tuple[int, int]) -> bool:
    return left[0] > right[0]


@given(st.lists(st.integers(0, 6), max_size=400))
def test_it_sorts(sizes: list[int]) -> None:
    items = [(size, index) for index, size in enumerate(sizes)]
    found = sort(items, larger)
    assert [size for size, _ in found] == sorted(sizes, reverse=True)
    assert sorted(found) == sorted(items)


@given(st.lists(st.integers(0, 4), max_size=23))
def test_short_ranges_keep_the_order_of_equals(sizes: list[int]) -> None:
    items = [(size, index) for index, size in enumerate(sizes)]
    assert sort(items, larger) == sorted(items, key=lambda item: -item[0])


def test_long_ranges_do_not() -> None:
    items = [(size, index) for index, size in enumerate([1, 2, 3, 3] * 7)]
    assert sort(items, larger)[0] != (3, 2)


def test_long_sorted_and_reversed_ranges() -> None:
    items = [(size, 0) for size in range(500)]
    assert sort(items, larger) == items[::-1]
    assert sort(items[::-1], larger) == items[::-1]
