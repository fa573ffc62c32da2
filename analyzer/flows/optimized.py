"""What ONNX Runtime's default optimization level makes of a model before its providers are asked: what is
known is folded.

Verdicts are otherwise those of the graph as it is stored (``ORT_DISABLE_ALL``). The fusions of the higher
levels stay within what a provider takes or leaves as a whole; constants, shapes of known sizes and idle
operators are what moves placements.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ...rewrites.engine import ordered, run
from ...rewrites.registry import rewrites
from ..check.coverage import Coverage
from ..check.inlining import lifted
from ..check.run import check
from ..errors import UsageError
from ..formats import load
from ..formats.onnx.build import Builder
from ..formats.onnx.inline import inlined
from ..formats.onnx.reader import from_stripped
from ..formats.onnx.stored import Stored

if TYPE_CHECKING:
    from ...rules.pack import Chosen
    from ..ir.graph import Operator
    from ..ir.model import Model

FOLDS = frozenset(
    (
        "fold-constants",
        "fold-half-constants",
        "fold-shape",
        "fold-part-of-shape",
        "inline-constant-if",
        "remove-idle",
    )
)
"""The rewrites that do what the runtime does."""
_ROUNDS = 4
"""Folds at most: how deep shapes that become known stand on each other."""


def check_optimized(model: Model, chosen: Chosen) -> Coverage:
    """Predict what becomes of every operator of a model that is loaded at the default optimization level.

    Operators that the runtime folds are ``folded``. The file is read once more, for folding changes a graph.
    Raises UsageError for models that are not ONNX.
    """
    if model.dialect != "onnx":
        raise UsageError(
            f"{model.path} is a {model.dialect} model: only ONNX Runtime optimizes a graph "
            f"before it is divided"
        )
    flat, origins = inlined(model)
    makers = {name: origins.get(op.id, op.id) for op in flat.graph.ops() for name in op.outputs if name}
    before = len(flat.graph.ops())
    small = folded(inlined(load(model.path))[0])
    found = {op.id: maker for op in small.graph.ops() if (maker := _maker(op, makers)) is not None}
    coverage = lifted(check(small, chosen), model, found)
    count = before - len(small.graph.ops())
    return replace(
        coverage,
        notes=(*coverage.notes, f"as ONNX Runtime optimizes it by default: {count} operators are folded"),
    )


def folded(model: Model) -> Model:
    """The model with all that is known before it runs computed, its shapes inferred again. Changes the graph
    that it is given.
    """
    rules = ordered(item for item in rewrites("onnx") if item.id in FOLDS)
    for _ in range(_ROUNDS):
        if not run(model.graph, rules):
            break
        builder = Builder(model)
        proto = builder.model()
        file = model.stored.file if isinstance(model.stored, Stored) else None
        model = from_stripped(proto.SerializeToString(), builder.spans, model.path, file)
    return model


def _maker(op: Operator, makers: Mapping[str, str]) -> str | None:
    """The stored operator that writes what an operator of the folded model writes."""
    return next((makers[name] for name in op.outputs if name and name in makers), None)
