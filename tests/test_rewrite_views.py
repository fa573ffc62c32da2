"""Views with few dimensions compute what the tensors of many do."""

from __future__ import annotations

from itertools import pairwise
from math import prod

import numpy as np
from accelint.analyzer.ir.graph import Tensor
from accelint.rewrites.views import (
    Merged,
    broadcast_views,
    joined_views,
    last_axis_views,
    product_views,
    reduction_views,
    sizes,
)
from hypothesis import given, settings
from hypothesis import strategies as st

SHAPES = st.lists(st.integers(1, 3), min_size=5, max_size=6).map(tuple)
MOST = 4


def numbers(shape: tuple[int, ...], start: int = 0) -> np.ndarray:
    return np.arange(start, start + prod(shape)).reshape(shape)


@settings(deadline=None)
@given(SHAPES, st.data())
def test_joined(shape: tuple[int, ...], data: st.DataObject) -> None:
    axis = data.draw(st.integers(0, len(shape) - 1))
    other = (*shape[:axis], data.draw(st.integers(1, 3)), *shape[axis + 1 :])
    left, right = numbers(shape), numbers(other, 1000)
    whole = np.concatenate([left, right], axis)
    found = joined_views([shape, other], whole.shape, axis)
    views = [array.reshape(view) for array, view in zip((left, right), found.inputs, strict=True)]
    made = np.concatenate(views, found.axes[0])
    assert made.shape == found.result and (made.reshape(whole.shape) == whole).all()
    assert found.padded(MOST).axes == (found.axes[0] + 1,) and len(found.padded(MOST).result) == MOST


@settings(deadline=None)
@given(SHAPES)
def test_along_the_last_axis(shape: tuple[int, ...]) -> None:
    found = last_axis_views(shape)
    made = np.cumsum(numbers(shape).reshape(found.inputs[0]), found.axes[0])
    assert made.shape == found.result
    assert (made.reshape(shape) == np.cumsum(numbers(shape), -1)).all()


@settings(deadline=None)
@given(SHAPES, st.integers(1, 3))
def test_products(shape: tuple[int, ...], columns: int) -> None:
    right = (*shape[:-2], shape[-1], columns)
    whole = numbers(shape) @ numbers(right, 7)
    found = product_views([shape, right], whole.shape)
    assert found is not None
    made = numbers(shape).reshape(found.inputs[0]) @ numbers(right, 7).reshape(found.inputs[1])
    assert made.shape == found.result and (made.reshape(whole.shape) == whole).all()
    assert product_views([shape, (shape[0] + 1, *right[1:])], whole.shape) is None
    assert product_views([shape], whole.shape) is None


@settings(deadline=None)
@given(SHAPES, st.data())
def test_broadcasts(shape: tuple[int, ...], data: st.DataObject) -> None:
    other = tuple(data.draw(st.sampled_from([1, size])) for size in shape)
    found = broadcast_views([shape, other], shape, MOST)
    if found is None:
        kinds = [size == 1 for size, whole in zip(other, shape, strict=True) if whole != 1]
        assert sum(one != next_ for one, next_ in pairwise(kinds)) >= MOST
        return
    made = numbers(shape).reshape(found.inputs[0]) - numbers(other, 5).reshape(found.inputs[1])
    assert made.shape == found.result
    assert (made.reshape(shape) == numbers(shape) - numbers(other, 5)).all()


@settings(deadline=None)
@given(SHAPES, st.data())
def test_reductions(shape: tuple[int, ...], data: st.DataObject) -> None:
    axes = data.draw(st.sets(st.integers(-len(shape), len(shape) - 1), min_size=1, max_size=3))
    axes = {axis % len(shape) for axis in axes}
    found = reduction_views(shape, sorted(axes), MOST)
    if all(shape[axis] == 1 for axis in axes):
        assert found is None
        return
    if found is not None:
        made = numbers(shape).reshape(found.inputs[0]).sum(found.axes, keepdims=True)
        whole = numbers(shape).sum(tuple(axes))
        assert made.shape == found.result and (made.reshape(whole.shape) == whole).all()


def test_six_alternating_dimensions_are_too_many() -> None:
    assert broadcast_views([(2, 3, 2, 3, 2), (2, 1, 2, 1, 2)], (2, 3, 2, 3, 2), MOST) is None
    assert reduction_views((2, 3, 2, 3, 2), [0, 2, 4], MOST) is None
    assert reduction_views((2, 3, 2, 3, 2), [0, 1], MOST) == Merged(((1, 1, 6, 12),), (1, 1, 1, 12), (2,))


def test_sizes_are_those_of_a_shape_that_is_known() -> None:
    assert sizes(Tensor("x", "float32", (2, 3))) == (2, 3)
    for tensor in (None, Tensor("x"), Tensor("x", "float32", (2, "N")), Tensor("x", "float32", (None,))):
        assert sizes(tensor) is None
