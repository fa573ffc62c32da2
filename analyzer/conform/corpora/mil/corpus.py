"""The measured single-operator ML Programs as model files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ....formats.coreml.build import build
from .cases import programs, read_table
from .programs import Program


@dataclass(frozen=True)
class Case:
    """One program: its name, and the content of an ``.mlmodel`` file."""

    name: str
    program: Program

    def build(self) -> bytes:
        """The model's bytes."""
        return build({"main": self.program.graph})


def cases(seed: int = 0, ops: frozenset[str] | None = None) -> Iterator[Case]:
    """Every program of every measured case; ``ops`` keeps those about one of the operator types."""
    for measured in read_table():
        for index, program in enumerate(programs(measured.name)):
            kinds = {program.graph.op(id).type for id in program.asked}
            if ops is None or kinds & ops:
                yield Case(f"{measured.name}/{index}", program)
