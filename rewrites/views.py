"""Views with few dimensions: neighbouring dimensions that an operator treats alike become one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..analyzer.ir.graph import Tensor

Sizes = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Merged:
    """The view of each operand and of the result, and the axes of the views that the operator works along."""

    inputs: tuple[Sizes, ...]
    result: Sizes
    axes: tuple[int, ...] = ()

    def padded(self, rank: int) -> Merged:
        """The same with ones in front, up to a rank."""
        ones = rank - len(self.result)
        views = tuple(padded(view, rank) for view in self.inputs)
        return Merged(views, padded(self.result, rank), tuple(axis + ones for axis in self.axes))


def sizes(tensor: Tensor | None) -> Sizes | None:
    """The shape when every size is known, else None."""
    if tensor is None or tensor.shape is None:
        return None
    known = tuple(dim for dim in tensor.shape if isinstance(dim, int))
    return known if len(known) == len(tensor.shape) else None


def padded(shape: Sequence[int], rank: int) -> tuple[int, ...]:
    """The shape with ones in front up to a rank."""
    return (*(1 for _ in range(rank - len(shape))), *shape)


def groups_of(patterns: Sequence[Sequence[bool]], shape: Sequence[int]) -> list[list[int]]:
    """Runs of axes for which every pattern says the same; axes of size 1 join any run."""
    groups: list[list[int]] = []
    for axis, size in enumerate(shape):
        lead = next((item for item in groups[-1] if shape[item] != 1), None) if groups else None
        joins = size == 1 or lead is None or all(pattern[lead] == pattern[axis] for pattern in patterns)
        if groups and joins:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    return groups


def joined_views(known: Sequence[Sizes], after: Sizes, axis: int) -> Merged:
    """Operands that are joined along an axis: what is before it, the axis, what is behind it."""

    def view(shape: Sizes) -> Sizes:
        return prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])

    return Merged(tuple(map(view, known)), view(after), (1,))


def last_axis_views(after: Sizes) -> Merged:
    """One operand, along whose last axis the operator works."""
    view = (prod(after[:-1]), after[-1])
    return Merged((view,), view, (1,))


def product_views(known: Sequence[Sizes], after: Sizes) -> Merged | None:
    """Matrices in batches of the same sizes; None when the batches are broadcast."""
    if len(known) != 2 or known[0][:-2] != known[1][:-2]:
        return None
    left, right = known
    batched = [(prod(shape[:-2]), *shape[-2:]) for shape in (left, right, after)]
    return Merged(tuple(batched[:2]), batched[2])


def broadcast_views(known: Sequence[Sizes], after: Sizes, most: int) -> Merged | None:
    """Views of operands that are broadcast to ``after``, and of the result, with ``most`` dimensions; None
    when that is too few.
    """
    rank = len(after)
    wide = [padded(shape, rank) for shape in known]
    groups = groups_of([[shape[axis] == after[axis] for axis in range(rank)] for shape in wide], after)
    if len(groups) > most:
        return None

    def view(shape: Sizes) -> Sizes:
        return padded([prod(shape[axis] for axis in group) for group in groups], most)

    single = [prod(shape) == 1 < prod(after) for shape in known]  # a result of one element keeps its rank
    views = tuple((1,) if alone else view(shape) for shape, alone in zip(wide, single, strict=True))
    return Merged(views, view(after))


def reduction_views(before: Sizes, axes: Sequence[int], most: int) -> Merged | None:
    """A view with ``most`` dimensions, its axes that are reduced, and what is left with these kept as ones;
    None when that is too few, or nothing is reduced.
    """
    dropped = {axis % len(before) for axis in axes}
    groups = groups_of([[axis in dropped for axis in range(len(before))]], before)
    if len(groups) > most:
        return None
    ones = most - len(groups)
    gone = tuple(
        ones + index
        for index, group in enumerate(groups)
        if any(axis in dropped and before[axis] != 1 for axis in group)
    )
    view = padded([prod(before[axis] for axis in group) for group in groups], most)
    left = tuple(1 if axis in gone else size for axis, size in enumerate(view))
    return Merged((view,), left, gone) if gone else None
