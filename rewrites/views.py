"""Views with few dimensions: neighbouring dimensions that an operator treats alike become one."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod


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


def broadcast_views(
    known: Sequence[tuple[int, ...]], after: tuple[int, ...], most: int
) -> tuple[tuple[tuple[int, ...], ...], tuple[int, ...]] | None:
    """Views of operands that are broadcast to ``after``, and of the result, with ``most`` dimensions; None
    when that is too few.
    """
    rank = len(after)
    wide = [padded(shape, rank) for shape in known]
    groups = groups_of([[shape[axis] == after[axis] for axis in range(rank)] for shape in wide], after)
    if len(groups) > most:
        return None

    def view(shape: tuple[int, ...]) -> tuple[int, ...]:
        return padded([prod(shape[axis] for axis in group) for group in groups], most)

    single = [prod(shape) == 1 and len(known) > 1 for shape in known]
    return tuple((1,) if alone else view(shape) for shape, alone in zip(wide, single, strict=True)), view(
        after
    )


def reduction_views(
    before: tuple[int, ...], axes: Sequence[int], most: int
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """A view with ``most`` dimensions and its axes that are reduced; None when that is too few, or nothing is
    reduced.
    """
    dropped = {axis % len(before) for axis in axes}
    groups = groups_of([[axis in dropped for axis in range(len(before))]], before)
    if len(groups) > most:
        return None
    ones = most - len(groups)
    gone = [
        ones + index
        for index, group in enumerate(groups)
        if any(axis in dropped and before[axis] != 1 for axis in group)
    ]
    view = padded([prod(before[axis] for axis in group) for group in groups], most)
    return (view, tuple(gone)) if gone else None
