"""One function over many items in several processes.

Answers come in the items' order, and where a process ends that is the answer of the item it was at.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Generic, TypeVar

from . import memory as memories
from . import scratch
from .process import End, Forked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection

Item = TypeVar("Item")
Result = TypeVar("Result")


class Ended(Exception):
    """A process ended in the middle of an item, and how; the message says it in words."""

    def __init__(self, end: End) -> None:
        super().__init__(f"the process {end.text}")
        self.end = end


class _Hand(Generic[Item, Result]):
    """One process and the index of the item that it is at."""

    def __init__(self, work: Callable[[Item], Result], memory: int) -> None:
        self.process = Forked(_serve, work, memory)
        self.at: int | None = None

    def give(self, index: int, item: Item) -> None:
        """Let it work; one that has ended is met when its answer is read."""
        self.at = index
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.process.pipe.send(item)


def spread(work: Callable[[Item], Result], items: Sequence[Item], jobs: int) -> Iterator[Result | Exception]:
    """``work`` of every item, in order.

    What ``work`` raises is the item's answer; ``Ended`` is, where its process ended. ``work``, items and
    answers must be picklable.
    """
    hands: list[_Hand[Item, Result]] = []
    done: dict[int, Result | Exception] = {}
    todo = iter(range(len(items)))
    told = 0
    memory = memories.limit() // max(1, min(jobs, len(items)))
    scratch.home()  # theirs are in it, and go with this process
    try:
        while told < len(items):
            while len(hands) < jobs and (index := next(todo, None)) is not None:
                hands.append(_Hand(work, memory))
                hands[-1].give(index, items[index])
            for hand in _ready(hands):
                assert hand.at is not None
                try:
                    done[hand.at] = hand.process.pipe.recv()
                except (EOFError, OSError):
                    done[hand.at] = Ended(hand.process.ended())
                    hands.remove(hand)
                    continue
                index = next(todo, None)
                if index is None:
                    hand.process.close()
                    hands.remove(hand)
                else:
                    hand.give(index, items[index])
            while told in done:
                yield done.pop(told)
                told += 1
    finally:
        for hand in hands:
            hand.process.close()


def _ready(hands: Sequence[_Hand[Item, Result]]) -> list[_Hand[Item, Result]]:
    from multiprocessing.connection import wait

    by_pipe = {id(hand.process.pipe): hand for hand in hands}
    return [by_pipe[id(pipe)] for pipe in wait([hand.process.pipe for hand in hands])]


def _serve(pipe: Connection, work: Callable[[Item], Result], memory: int) -> None:
    """Answer items until the pipe ends or the parent goes."""
    memories.set_limit(memory)
    memories.bound()
    answer: Result | Exception
    while True:
        try:
            item = pipe.recv()
        except EOFError:
            return
        try:
            answer = work(item)
        except Exception as error:
            answer = error
        pipe.send(answer)
