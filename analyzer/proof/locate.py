"""Where two runs part: the first operator, in the order of execution, whose result no longer agrees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import RuntimeFailure
from ..runtimes.answers import Request
from .parity import Difference, first_divergence

if TYPE_CHECKING:
    from ..ir.graph import Graph, Operator
    from ..runtimes.session import Session

_AT_ONCE = 64
"""Intermediate tensors kept in one run, so that memory stays bounded."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """The operator whose result differs first, and how."""

    operator: Operator
    difference: Difference


def locate(
    graph: Graph,
    reference: tuple[Session, Path],
    other: tuple[Session, Path],
    inputs: Path,
    *,
    promise: str = "rounding",
    precision: str = "fp32",
) -> Divergence | None:
    """The first operator of ``graph`` whose result differs between two runs; None when all that both keep
    agree.

    Args:
        graph: of the reference model; tensors are paired by name, so the other may be another runtime or a
        rewritten model.
        reference, other: a session and the model that it runs. Runtimes that keep intermediate tensors:
        ONNX Runtime's, litert/cpu.
        inputs: an ``.npz`` that both take.

    Raises RuntimeFailure when a run gives no outputs.
    """
    makers = {name: op for op in graph.ops() for name in op.outputs if name and op.type != "Constant"}
    for names in _chunks(list(makers)):
        left, right = (_kept(session, model, inputs, names) for session, model in (reference, other))
        found = first_divergence(left, right, names, promise, precision)
        if found is not None:
            return Divergence(makers[found.name], found)
    return None


def _chunks(names: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), _AT_ONCE):
        yield list(names[start : start + _AT_ONCE])


def _kept(session: Session, model: Path, inputs: Path, names: list[str]) -> dict[str, Any]:
    answer = session.ask(Request(model, inputs, outputs=True, placement=False, options={"keep": names}))
    if not answer.ok:
        raise RuntimeFailure(
            f"{session.name} gave no intermediate tensors of {model}: {answer.status}: {answer.reason}"
        )
    return answer.tensors()
