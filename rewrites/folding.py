"""Constant folding: what holds in every dialect. A dialect says what it evaluates, and how."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ..analyzer.errors import GraphError
from ..analyzer.ir.dtypes import BITS
from .draft import constant_of
from .engine import Miss, Promise, Rewrite

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from ..analyzer.ir.graph import Constant, Graph, Operator, Tensor

GROWTH = 1 << 20
"""Bytes that the results of a folded operator may have beyond its inputs."""
LARGEST = 1 << 26
"""Bytes of inputs beyond which an operator is left to the runtime's own folding."""


@dataclass(frozen=True, slots=True)
class Known:
    """An operator and the values of its inputs."""

    op: Operator
    inputs: tuple[Constant | None, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of the inputs together."""
        return sum(nbytes(const) for const in self.inputs)

    def holds(self, *dtypes: str) -> bool:
        """Whether an input is of one of the dtypes."""
        return any(const is not None and const.dtype in dtypes for const in self.inputs)


def nbytes(const: Constant | None) -> int:
    """Bytes that a constant takes in a file."""
    return 0 if const is None else (const.elements * BITS.get(const.dtype, 8) + 7) // 8


class Fold(Rewrite[Known]):
    """An operator whose inputs are all constants becomes the constants that it computes.

    Attributes:
        plain: dtypes of constants that are evaluated.
    """

    title: ClassVar[str] = "An operator whose inputs are all constants becomes its result"
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    plain: ClassVar[frozenset[str]]

    @abstractmethod
    def objection(self, graph: Graph, found: Known) -> str | None:
        """Why an operator on constants is not folded all the same."""

    @abstractmethod
    def results(self, graph: Graph, found: Known) -> Iterable[Any]:
        """What the operator computes. Raises GraphError when it cannot be told."""

    def match(self, graph: Graph, op: Operator) -> Known | Miss:
        """All inputs are constants of plain dtypes, and nothing else speaks against it."""
        if any(name in graph.outputs for name in op.outputs if name):
            return Miss("its result is an output of the graph")
        constants = tuple(None if name is None else graph.constant(name) for name in op.inputs)
        for name, const in zip(op.inputs, constants, strict=True):
            if name is not None and const is None:
                return Miss(f"its input {name!r} is computed when the model runs")
            if const is not None and const.dtype not in self.plain:
                return Miss(f"values of {const.dtype} are not folded")
        found = Known(op, constants)
        objection = self.objection(graph, found)
        return found if objection is None else Miss(objection)

    def apply(self, graph: Graph, found: Known) -> None:
        """Evaluate and fold. Raises GraphError where the result is not what the model says about it."""
        import numpy as np

        names = [name for name in found.op.outputs if name]
        arrays = [np.asarray(result) for result in self.results(graph, found)]
        if len(arrays) != len(names):
            raise GraphError(f"{found.op.type} gave {len(arrays)} results where the model has {len(names)}")
        told = zip(names, arrays, strict=True)
        graph.fold(found.op, {name: self._fitting(found, graph.tensor(name), array) for name, array in told})

    def _fitting(self, found: Known, told: Tensor, array: NDArray[Any]) -> Constant:
        gave, type = str(array.dtype), found.op.type
        if gave not in self.plain or told.dtype not in ("unknown", gave):
            raise GraphError(f"{type} gave {gave} where the model says {told.dtype}")
        if not _fits(told, array):
            raise GraphError(f"{type} gave the shape {array.shape} where the model says {told.shape}")
        return constant_of(array)


def _fits(told: Tensor, array: NDArray[Any]) -> bool:
    if told.shape is None:
        return True
    if len(told.shape) != array.ndim:
        return False
    return all(
        not isinstance(dim, int) or dim == size for dim, size in zip(told.shape, array.shape, strict=True)
    )
