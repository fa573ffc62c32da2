"""The partitioner of LiteRT in linear time gives what its own walk gives, which goes over the plan again and
again.
"""

from __future__ import annotations

import pytest
from accelint.analyzer.partitioners.litert import Node, largest, partitions, ranked
from hypothesis import given, settings
from hypothesis import strategies as st


def walked(plan: list[Node], supported: set[int]) -> list[list[int]]:
    """``PartitionGraphIntoIndependentNodeSubsets`` step by step: an epoch ends when a walk adds nothing."""
    computed = {item for node in plan for item in node.inputs} - {i for node in plan for i in node.outputs}
    waiting, found, effects = list(plan), [], [node for node in plan if node.effects]
    while waiting:
        kind: bool | None = None
        epoch: list[Node] = []
        grows = True
        while grows:
            grows = False
            for node in list(waiting):
                earlier = effects[: effects.index(node)] if node.effects else []
                ready = computed.issuperset(node.inputs) and not any(item in waiting for item in earlier)
                if ready and kind in (None, node.index in supported):
                    kind = node.index in supported
                    epoch.append(node)
                    waiting.remove(node)
                    computed.update(node.outputs)
                    grows = True
        if kind:
            found.append(sorted(node.index for node in epoch))
    return found


@settings(deadline=None)
@given(st.data())
def test_it_is_the_walk(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 14))
    plan = [
        Node(at, data.draw(st.lists(st.integers(0, at), max_size=3)), [at + 1], data.draw(st.booleans()))
        for at in range(count)
    ]
    supported = data.draw(st.sets(st.integers(0, count - 1)))
    found = partitions(plan, supported)
    assert found == walked(plan, supported)
    assert sorted(index for part in found for index in part) == sorted(supported)


def test_an_omitted_tensor_is_no_one_s_result() -> None:
    for omitted in (None, -1):
        plan = [Node(0, [7], [omitted]), Node(1, [omitted], [8])]
        assert partitions(plan, {0}) == [[0]] and partitions(plan, {1}) == [[1]]


def test_a_cycle_is_told() -> None:
    with pytest.raises(ValueError, match="cycle"):
        partitions([Node(0, [2], [1]), Node(1, [1], [2])], {0})


def test_the_largest_partitions() -> None:
    found = [[0], [1, 2], [3, 4], [5, 6, 7]]
    assert ranked(found) == [[5, 6, 7], [1, 2], [3, 4], [0]]
    assert largest(found, 1) == [[5, 6, 7]] and largest(found, 0) == ranked(found)
    assert largest(found, 3, least=3) == [[5, 6, 7]] and largest(found, 1, least=4) == []
