"""Operators on more dimensions than accelerators take, on views with four: what holds in every dialect.

A dialect names the types of its operators, reads their axes, and makes the operators of the replacement.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

from .draft import Draft
from .engine import Miss, Promise, Rewrite
from .permute import Step, steps
from .views import (
    Merged,
    broadcast_views,
    joined_views,
    last_axis_views,
    product_views,
    reduction_views,
    sizes,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..analyzer.ir.graph import Graph, Operator

MOST_DIMS = 4
"""Dimensions that GPU delegates and most NPUs take."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a transpose does: the sizes before and after, and the order of the axes."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    perm: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Swaps:
    """A transpose as steps on few axes."""

    op: Operator
    after: tuple[int, ...]
    steps: tuple[Step, ...]


class TransposeOnFour(Rewrite[Swaps]):
    """A transpose of more than four dimensions becomes transposes of views with at most four."""

    parity: ClassVar[Promise] = Promise.BIT_EXACT

    @abstractmethod
    def order(self, graph: Graph, op: Operator) -> Order | Miss:
        """The sizes and the order, when all of them are known."""

    @abstractmethod
    def turned(self, draft: Draft, name: str, view: Sequence[int], order: Sequence[int]) -> str:
        """A view of a value with its axes in another order."""

    @abstractmethod
    def finish(self, draft: Draft, name: str, shape: Sequence[int], to: str) -> None:
        """Write a value in its shape as ``to``."""

    def match(self, graph: Graph, op: Operator) -> Swaps | Miss:
        """More than four dimensions of known sizes."""
        found = self.order(graph, op)
        if isinstance(found, Miss):
            return found
        if len(found.before) <= MOST_DIMS:
            return Miss(f"it has {len(found.before)} dimensions, which is few enough")
        return Swaps(op, found.after, tuple(steps(found.before, found.perm, MOST_DIMS)))

    def apply(self, graph: Graph, found: Swaps) -> None:
        """View, transpose, view, transpose, ..., shape."""
        draft = Draft(graph, found.op)
        name = found.op.inputs[0] or ""
        for view, order in found.steps:
            name = self.turned(draft, name, view, order)
        self.finish(draft, name, found.after, found.op.outputs[0] or "")
        draft.commit((found.op,))


@dataclass(frozen=True, slots=True)
class Views:
    """An operator with the views of its operands and of its result, which has the sizes ``after``."""

    op: Operator
    merged: Merged
    after: tuple[int, ...]


class OnFour(Rewrite[Views]):
    """Element-wise operators, reductions, concatenations, softmax and products on more than four dimensions
    work on views with four.

    Attributes:
        reduces: types that reduce their first operand over axes.
        joins: types that join their operands along an axis.
        along: types that work along one axis.
        multiplies: types that multiply matrices, in batches. All others broadcast their operands.
    """

    parity: ClassVar[Promise] = Promise.ROUNDING
    reduces: ClassVar[tuple[str, ...]]
    joins: ClassVar[tuple[str, ...]]
    along: ClassVar[tuple[str, ...]]
    multiplies: ClassVar[tuple[str, ...]]

    @abstractmethod
    def axes(self, graph: Graph, op: Operator, rank: int) -> Sequence[int] | Miss:
        """The axes of a reduction, or the one along which an operator joins or works."""

    @abstractmethod
    def compute(self, draft: Draft, found: Views) -> None:
        """The operator on views, its result shaped back."""

    def match(self, graph: Graph, op: Operator) -> Views | Miss:
        """Known sizes, more than four dimensions, and few enough after merging."""
        if len(op.outputs) != 1 or op.outputs[0] is None:
            return Miss("it has several results")
        data = op.inputs[:1] if op.type in self.reduces else op.inputs
        shapes = [sizes(graph.find(name or "")) for name in data]
        after = sizes(graph.find(op.outputs[0]))
        if after is None or any(shape is None for shape in shapes) or not shapes:
            return Miss("its shapes are not all known")
        known = [shape or () for shape in shapes]
        if max(len(shape) for shape in (*known, after)) <= MOST_DIMS:
            return Miss("it has at most four dimensions")
        if not prod(after) or any(not prod(shape) for shape in known):
            return Miss("a tensor has no elements")
        found = self.merged(graph, op, known, after)
        return found if isinstance(found, Miss) else Views(op, found, after)

    def merged(
        self, graph: Graph, op: Operator, known: list[tuple[int, ...]], after: tuple[int, ...]
    ) -> Merged | Miss:
        """The views by the kind of the operator."""
        if op.type in self.multiplies:
            return product_views(known, after) or Miss("its batches are broadcast")
        if op.type not in (*self.reduces, *self.joins, *self.along):
            return broadcast_views(known, after, MOST_DIMS) or Miss("its broadcast needs too many dimensions")
        reduces = op.type in self.reduces
        axes = self.axes(graph, op, len(known[0] if reduces else after))
        if isinstance(axes, Miss):
            return axes
        if reduces:
            few = reduction_views(known[0], axes, MOST_DIMS)
            return few or Miss("its reduction needs too many dimensions, or reduces nothing")
        if op.type in self.joins:
            return joined_views(known, after, axes[0])
        return last_axis_views(after) if axes[0] == len(after) - 1 else Miss("it works along an inner axis")

    def apply(self, graph: Graph, found: Views) -> None:
        """Reshape in, the operator, reshape out."""
        draft = Draft(graph, found.op)
        self.compute(draft, found)
        draft.commit((found.op,))
