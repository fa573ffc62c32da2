"""The real runtimes, each asked in a process of its own.

    from accelint.analyzer.runtimes import Request, Session
    with Session("onnxruntime/qnn:sm8650") as session:
        answer = session.ask(Request(Path("model.onnx")))
        answer.status, answer.counts, [item.id for item in answer.placement if item.device == "cpu"]

``runtimes()`` tells what is here without importing any of it.
"""

from __future__ import annotations

from .answers import DEVICES, STATUSES, Answer, Latency, Placed, Request
from .catalog import RuntimeInfo, every, find, info
from .session import Session

__all__ = [
    "DEVICES",
    "STATUSES",
    "Answer",
    "Latency",
    "Placed",
    "Request",
    "RuntimeInfo",
    "Session",
    "find",
    "runtimes",
]


def runtimes() -> tuple[RuntimeInfo, ...]:
    """Every runtime that accelint can ask, with its version or what is missing."""
    return tuple(info(item) for item in every())
