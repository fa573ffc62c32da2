"""One function over many items in several processes.

Answers come in the items' order, and where a process ends that is the answer of the item it was at.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from . import memory as memories
from . import scratch
from .process import End, end_all

Item = TypeVar("Item")
Result = TypeVar("Result")
_START = "fork" if sys.platform == "linux" else "spawn"
"""Forking is free here: the process has one thread when it spreads, and what it has imported is shared."""


class Ended(Exception):
    """A process ended in the middle of an item, and how; the message says it in words."""

    def __init__(self, end: End) -> None:
        super().__init__(f"the process {end.text}")
        self.end = end


class _Hand(Generic[Item, Result]):
    """One process and the index of the item that it is at."""

    def __init__(self, work: Callable[[Item], Result], memory: int) -> None:
        context: Any = multiprocessing.get_context(_START)
        self._killed_by_system = memories.killed_by_system()
        self.ours, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(work, theirs, os.getpid(), memory), daemon=True)
        self.process.start()
        theirs.close()
        self.at: int | None = None

    def give(self, index: int, item: Item) -> None:
        """Let it work; one that has ended is met when its answer is read."""
        self.at = index
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.ours.send(item)

    def stop(self) -> None:
        """Kill it and what it started; harmless when it has ended."""
        if self.process.is_alive() and self.process.pid is not None:
            end_all(self.process.pid, left=True)
        self.process.kill()
        self.process.join()
        self.ours.close()

    def ending(self) -> End:
        """How it ended by itself."""
        self.process.join(0.5)
        code = self.process.exitcode
        self.stop()
        return End.of(code or 0, here=code is None, killed_before=self._killed_by_system)


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
                    done[hand.at] = hand.ours.recv()
                except (EOFError, OSError):
                    done[hand.at] = Ended(hand.ending())
                    hands.remove(hand)
                    continue
                index = next(todo, None)
                if index is None:
                    hand.stop()
                    hands.remove(hand)
                else:
                    hand.give(index, items[index])
            while told in done:
                yield done.pop(told)
                told += 1
    finally:
        for hand in hands:
            hand.stop()


def _ready(hands: Sequence[_Hand[Item, Result]]) -> list[_Hand[Item, Result]]:
    by_pipe = {id(hand.ours): hand for hand in hands}
    return [by_pipe[id(pipe)] for pipe in wait([hand.ours for hand in hands])]


def _serve(work: Callable[[Item], Result], pipe: Connection, parent: int, memory: int) -> None:
    """Answer items until the pipe ends or the parent goes."""
    from .worker import die_with_parent

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its processes itself
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)  # what it starts goes with it
    die_with_parent(parent)
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
