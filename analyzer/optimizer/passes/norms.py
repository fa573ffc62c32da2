"""The expressions of GELU and of layer normalization become the operators of ONNX that stand for them.

Source: onnxruntime/core/optimizer/{gelu,layer_norm}_fusion.cc: on the first level where the operator set has
the operator (Gelu since 20, LayerNormalization since 17).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...ir.graph import Constant, Operator, Tensor
from ...ir.match import Match, Scope, alone, any_order, number, op, value
from ..board import Board


@dataclass(frozen=True)
class _Seen(Scope):
    """A graph under edit, as patterns see it."""

    board: Board | None = None

    def _b(self) -> Board:
        assert self.board is not None
        return self.board

    def producer(self, name: str | None) -> Operator | None:
        """The operator that writes a tensor now."""
        return self._b().maker(name)

    def read_once(self, name: str | None) -> bool:
        """Read by one operator once, and no output."""
        maker = self._b().maker(name)
        return maker is not None and self._b().sole(maker) is not None

    def constant(self, name: str | None) -> Constant | None:
        """Stored, or folded by now."""
        return self._b().constant(name)

    def tensor(self, name: str | None) -> Tensor | None:
        """What is known now."""
        return self._b().find(name)


_x = value("x")
_erf = alone(
    "Add",
    any_order(
        alone(
            "Erf",
            alone("Div", _x, number(1.4142135, within=1e-3))
            | alone("Mul", any_order(_x, number(0.70710678, within=1e-3))),
        ),
        number(1),
    ),
)  # fmt: skip
_GELU = (
    op("Mul", any_order(alone("Mul", any_order(_x, _erf)), number(0.5)))
    | op("Mul", any_order(alone("Mul", any_order(_x, number(0.5))), _erf))
    | op("Mul", any_order(_x, alone("Mul", any_order(_erf, number(0.5)))))
)
_mean = op("ReduceMean", _x, name="mean")
_d = op("Sub", _x, _mean, name="sub") | op("Cast", op("Sub", _x, _mean, name="sub"))
_square = alone("Pow", op("Sub", _x, _mean, name="sub"), number(2)) | op(
    "Mul", op("Sub", _x, _mean, name="sub"), op("Sub", _x, _mean, name="sub")
)
_root = alone(
    "Sqrt", alone("Add", any_order(alone("ReduceMean", _square, name="variance"), number("epsilon")))
)
_scaled = alone("Mul", any_order(alone("Div", op("Sub", _x, _mean, name="sub"), _root), value("scale")))
_LAYER_NORM = op("Add", any_order(_scaled, value("bias")))


def fuse_norms(board: Board) -> None:
    """One walk over a graph."""
    opset = board.graph.opsets.get("", 1)
    types = {item.type for item in board.ops()} if opset >= 17 else set()
    if opset >= 20 and "Erf" in types and board.has("GeluFusion"):
        for item in board.ops():
            if item.type == "Mul" and board.get(item.id) is item:
                match = _GELU.match(_Seen(board.graph, board), item)
                if match is not None:
                    _become(board, match, "Gelu", "GeluFusion", (match.value("x"),), {})
    if {"ReduceMean", "Sqrt", "Div", "Sub"} <= types and board.has("LayerNormFusion"):
        for item in board.ops():
            if item.type == "Add" and board.get(item.id) is item:
                match = _LAYER_NORM.match(_Seen(board.graph, board), item)
                if match is not None:
                    _layer_norm(board, match)


def _layer_norm(board: Board, match: Match) -> None:
    scale, bias = match.value("scale"), match.value("bias")
    axes = [_axes(board, match.op(name)) for name in ("mean", "variance")]
    stored = [board.constant(name) for name in (scale, bias)]
    shape = board.shape(match.value("x"))
    if axes[0] is None or axes[0] != axes[1] or any(item is None or len(item.shape) != 1 for item in stored):
        return
    rank = len(shape) if shape is not None else None
    if axes[0] != [-1] and (rank is None or axes[0] != [rank - 1]):
        return
    attrs = {"axis": -1, "epsilon": match.number("epsilon")}
    inputs = (match.value("x"), scale, bias)
    _become(board, match, "LayerNormalization", "LayerNormFusion", inputs, attrs)


def _axes(board: Board, mean: Operator) -> list[int] | None:
    if "axes" in mean.attrs:
        return list(mean.attrs["axes"])
    return board.numbers(mean.input(1)) if mean.input(1) else None


def _become(
    board: Board, match: Match, kind: str, by: str, inputs: tuple[str, ...], attrs: Mapping[str, object]
) -> None:
    """The last operator of the expression becomes the new one, the others go when nobody reads them."""
    root = match.root
    last = board.update(root, type=kind, inputs=inputs, attrs=attrs)
    todo = [maker for name in root.inputs if (maker := board.maker(name)) is not None]
    while todo:
        item = todo.pop()
        if board.get(item.id) is not item or board.edges(item) or board.gives_output(item):
            continue
        if item.outputs[0] in inputs:
            continue
        makers = [maker for name in item.inputs if (maker := board.maker(name)) is not None]
        board.drop(item, by, last.id)
        todo += makers
