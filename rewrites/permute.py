"""Permutations of axes: merged where axes stay together, factored into swaps of neighbouring blocks where
they do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

Step = tuple[tuple[int, ...], tuple[int, ...]]
"""A view of the data and the order of its axes."""


def merged(shape: Sequence[int], perm: Sequence[int]) -> Step:
    """The same permutation on the fewest axes: axes of size 1 dropped, those that stay neighbours made
    one.
    """
    kept = [axis for axis in perm if shape[axis] != 1]
    groups: list[list[int]] = []
    for axis in kept:
        last = groups[-1][-1] if groups else None
        between = range(last + 1, axis) if last is not None else ()
        if last is not None and axis > last and all(shape[item] == 1 for item in between):
            groups[-1].append(axis)
        else:
            groups.append([axis])
    order = sorted(range(len(groups)), key=lambda index: groups[index][0])
    view = tuple(prod(shape[axis] for axis in groups[index]) for index in order)
    return view, tuple(order.index(index) for index in range(len(groups)))


def steps(shape: Sequence[int], perm: Sequence[int], most: int) -> list[Step]:
    """Views and orders of at most ``most`` axes (4 or more) that one after the other do the permutation."""
    view, order = merged(shape, perm)
    if len(view) <= most:
        return [(view, order)] if len(view) > 1 and order != tuple(range(len(order))) else []
    current = list(range(len(view)))
    found: list[Step] = []
    for place in range(len(order)):
        at = current.index(order[place])
        if at == place:
            continue
        end = at + 1
        while (
            end < len(current) and place + end - at < len(order) and current[end] == order[place + end - at]
        ):
            end += 1
        blocks = (current[:place], current[place:at], current[at:end], current[end:])
        swap = tuple(prod(view[axis] for axis in block) for block in blocks)
        found.append(merged(swap, (0, 2, 1, 3)))
        current = [*blocks[0], *blocks[2], *blocks[1], *blocks[3]]
    return found
