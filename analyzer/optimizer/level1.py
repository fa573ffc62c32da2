"""ONNX Runtime's first optimization level, which runs once before any provider is asked for its operators.

Source: onnxruntime/core/optimizer/graph_transformer_utils.cc (``GenerateTransformers``, Level1) for what
runs in which order, core/session/inference_session.cc for the rounds.

Not modelled: LabelEncoderFusion, whose operators no accelerator runs, and what only an application switches
on (FreeDimensionOverride, CastChainElimination).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ..errors import GraphError
from ..formats.wire import KEEP
from ..ir.graph import Constant, Graph, Operator, Tensor
from ..ir.model import Model
from ..policies.tables import STANDARD, Tables
from .board import Board, Fate, Log
from .passes.combine import combine
from .passes.eliminate import eliminate
from .passes.focus import fuse_focus
from .passes.fold import Kernel, fold
from .passes.merge import merge, share
from .passes.norms import fuse_norms
from .passes.products import fuse_products
from .passes.qdq import dequantize_scalars, propagate, quantize_weights, remove_double_pairs
from .passes.quantized import unshare
from .passes.reshapes import fuse_reshapes
from .passes.transposes import push_transposes

INFERENCES = 4
"""Times at most that shapes are inferred again: how deep shapes that become known stand on each other."""
SHOWN = 16
"""Elements of a folded value up to which shape inference is shown it: sizes, axes, pads, scales."""

Infer = Callable[[Model], None]
"""Writes into a model's graph what can be told of its shapes."""


@dataclass(frozen=True, eq=False, slots=True)
class Level1:
    """What the passes make of a model.

    Attributes:
        model: the optimized one; the very model where nothing changed.
        fates: by id, what became of the operators that are gone.
        made: by id of an operator that the passes made, the one of the model that it is part of.
    """

    model: Model
    fates: dict[str, Fate]
    made: dict[str, str]

    def into(self, id: str) -> str:
        """The operator that computes the result of one that is gone; empty where none does."""
        seen: set[str] = set()
        while id in self.fates and id not in seen:
            seen.add(id)
            id = self.fates[id].into
        return "" if id in self.fates else id


def optimized(
    model: Model,
    kernel: Kernel,
    infer: Infer,
    lacking: frozenset[str] = frozenset(),
    tables: Tables = STANDARD,
) -> Level1:
    """The model as providers see it, by a release without the passes that are ``lacking``. The model stays as
    it is.
    """
    log = Log(lacking=lacking, tables=tables)
    current, shared = model, False
    for left in reversed(range(INFERENCES)):
        board = Board(current.graph, log)
        if not shared:
            share(board)
            shared = True
        before, log.learned = log.edits, set()
        run(board, kernel, patient=left > 0)
        if log.edits == before:
            break
        current = _with_graph(model, board.build())
        if not _tells_shapes(board, log.learned):
            break
        _infer(current, infer)
    return Level1(current, log.fates, log.made)


def run(board: Board, kernel: Kernel, *, patient: bool = False) -> None:
    """All passes, until a round changes nothing; a ``patient`` run ends where transposes would be pushed by
    shapes that are not known yet: ONNX Runtime infers shapes after each pass.
    """
    for graph in _graphs(board):
        unshare(graph)
    for _ in range(board.book.limit("rounds")):
        before = board.log.edits
        for work in (
            eliminate,
            combine,
            remove_double_pairs,
            merge,
            lambda graph: fold(graph, kernel),
            *_FUSIONS,
        ):
            for graph in _graphs(board):
                work(graph)
        _settle(board)
        if patient and _tells_shapes(board, board.log.learned):
            return
        for graph in _graphs(board):
            push_transposes(graph)
        _settle(board)
        if board.log.edits == before:
            break
    for graph in _graphs(board):
        unshare(graph)


_FUSIONS = (
    fuse_products, fuse_reshapes, fuse_focus, fuse_norms, propagate, quantize_weights, unshare,
    dequantize_scalars,
)  # fmt: skip


def _settle(board: Board) -> None:
    for graph in _graphs(board):
        for id in list(graph.bodies):
            graph.settle(id)


def _graphs(board: Board) -> Iterator[Board]:
    """A graph and the bodies in it, the innermost first."""
    for bodies in list(board.bodies.values()):
        for body in bodies.values():
            yield from _graphs(body)
    yield board


def _with_graph(model: Model, graph: Graph) -> Model:
    return Model(model.path, model.format, graph, {"main": graph}, {}, dict(model.metadata), model.stored)


def _tells_shapes(board: Board, learned: set[str]) -> bool:
    """Whether what became a constant may tell the shape of something: one that an operator reads whose
    result's shape is not known, or one that went with an operator in front of it (a Pad that was fused).
    """
    if not learned:
        return False
    for graph, op in board.walk():
        if op.type in _OF_VALUES or all(not name or graph.sizes(name) is not None for name in op.outputs):
            continue
        known = all(not name or graph.sizes(name) is not None for name in op.inputs)
        if known or any(name in learned for name in op.inputs):
            return True
    return False


_OF_VALUES = frozenset(("Compress", "NonMaxSuppression", "NonZero", "Unique"))
"""Types of whose results no shape tells the size."""


def _infer(model: Model, infer: Infer) -> None:
    """Infer without the bytes of large values: their shapes are enough."""
    held: list[tuple[Graph, Tensor]] = []
    for graph in _all(model.graph):
        for tensor in list(graph.tensors.values()):
            value = tensor.const
            if value is not None and value.loader is not None and not _showable(value):
                held.append((graph, tensor))
                hidden = Constant(value.dtype, value.shape, model.path, 0, max(value.length, KEEP + 1))
                graph.set_tensor(replace(tensor, const=hidden))
    infer(model)
    for graph, tensor in held:
        graph.set_tensor(tensor)


def _showable(value: Constant) -> bool:
    """A small value that can be computed here."""
    if value.elements > SHOWN:
        return False
    try:
        value.raw()
    except GraphError:
        return False
    return True


def _all(graph: Graph) -> Iterator[Graph]:
    yield graph
    seen: set[int] = set()
    for op in graph.ops():
        for body in op.graphs.values():
            if id(body) not in seen:
                seen.add(id(body))
                yield from _all(body)


__all__ = ["Fate", "Kernel", "Level1", "Operator", "optimized", "run"]
