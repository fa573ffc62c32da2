"""How LiteRT splits a graph between a delegate and the CPU, replayed so that counts can be turned into
operators.

Sources: LiteRT ``tflite/graph_info.cc`` (PartitionGraphIntoIndependentNodeSubsets, greedy) and
``tflite/delegates/utils.cc`` (GraphPartitionHelper, FP16GraphPartitionHelper), commit f6745779. The delegate
may take the n largest subsets; the GPU's n is 1 (``ml_drift_delegate/delegate/delegate_webgpu.cc``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .libcxx_sort import sort

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ..runtimes.workers.tflite_file import Op


def subsets(ops: Sequence[Op], accepted: Collection[int]) -> list[list[int]]:
    """The accepted subsets of operators, each run as one piece, in the order in which they become ready.

    An operator joins the current subset when everything it reads is computed; a subset ends when nothing more
    of its kind is ready. Linear in operators times subsets.
    """
    taken = set(accepted)
    waiting = list(range(len(ops)))
    pending = {tensor for op in ops for tensor in op.outputs if tensor >= 0}
    earlier = _order_of_effects(ops)
    done: set[int] = set()
    result: list[list[int]] = []
    while waiting:
        kind: bool | None = None
        subset: list[int] = []
        progress = True
        while progress:
            progress = False
            rest = []
            for position in waiting:
                op = ops[position]
                ready = not any(item in pending for item in op.inputs if item >= 0) and earlier.get(
                    position, -1
                ) in done | {-1}
                if not ready or (kind is not None and (op.index in taken) is not kind):
                    rest.append(position)
                    continue
                kind = op.index in taken
                subset.append(op.index)
                done.add(position)
                pending.difference_update(op.outputs)
                progress = True
            waiting = rest
        if not subset:
            raise ValueError("the operators form a cycle")
        if kind:
            result.append(subset)
    return result


def _order_of_effects(ops: Sequence[Op]) -> dict[int, int]:
    """Position of the operator with side effects before each one that has some."""
    found: dict[int, int] = {}
    last = -1
    for position, op in enumerate(ops):
        if op.effects:
            found[position] = last
            last = position
    return found


def largest(groups: Sequence[list[int]], count: int) -> list[list[int]]:
    """The ``count`` largest subsets; equal ones in the order in which LiteRT's ``std::sort`` leaves them."""
    return sort(groups, lambda left, right: len(left) > len(right))[:count]
