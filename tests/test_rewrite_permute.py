"""Permutations in steps: whatever the shape and the order, the steps together are the permutation."""

from __future__ import annotations

import numpy as np
from accelint.rewrites.permute import merged, steps
from hypothesis import given, settings
from hypothesis import strategies as st

SHAPES = st.lists(st.sampled_from([1, 2, 3]), min_size=1, max_size=7).flatmap(
    lambda shape: st.tuples(st.just(tuple(shape)), st.permutations(range(len(shape))))
)


@given(SHAPES)
@settings(max_examples=400, deadline=None, derandomize=True)
def test_the_steps_are_the_permutation(case: tuple[tuple[int, ...], list[int]]) -> None:
    shape, perm = case
    data = np.arange(np.prod(shape)).reshape(shape)
    moved = data
    for view, order in steps(shape, perm, 4):
        assert len(view) <= 4
        moved = moved.reshape(view).transpose(order)
    assert np.array_equal(moved.reshape(-1), data.transpose(perm).reshape(-1))


@given(SHAPES)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_merging_keeps_the_permutation_and_cannot_be_repeated(
    case: tuple[tuple[int, ...], list[int]],
) -> None:
    shape, perm = case
    view, order = merged(shape, perm)
    data = np.arange(np.prod(shape)).reshape(shape)
    assert np.array_equal(data.reshape(view).transpose(order).reshape(-1), data.transpose(perm).reshape(-1))
    assert merged(view, order) == (view, order)


def test_a_window_partition_is_one_step_and_a_reversal_several() -> None:
    assert steps((1, 2, 7, 3, 7, 96), (0, 1, 3, 2, 4, 5), 4) == [((2, 7, 3, 672), (0, 2, 1, 3))]
    assert len(steps((2, 3, 4, 5, 6), (4, 3, 2, 1, 0), 4)) == 4
    assert steps((1, 5, 1), (2, 1, 0), 4) == []
