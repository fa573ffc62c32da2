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
from ..check.prepared import Optimized, Prepared
from ..check.run import check
from ..errors import UsageError
from ..formats.onnx.build import Builder
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


def check_optimized(model: Model | Prepared, chosen: Chosen) -> Coverage:
    """Predict what becomes of every operator of a model that is loaded at the default optimization level.

    Operators that the runtime folds are ``folded``. Raises UsageError for models that are not ONNX.
    """
    prepared = Prepared.of(model)
    if prepared.optimized is None:
        prepared.optimized = optimize(prepared)
    small = prepared.optimized
    coverage = lifted(check(small.prepared, chosen), prepared.model, small.origins, chosen)
    note = f"as ONNX Runtime optimizes it by default: {small.folded} operators are folded"
    return replace(coverage, notes=(*coverage.notes, note))


def optimize(prepared: Prepared) -> Optimized:
    """The model as ONNX Runtime optimizes it, local functions in place of their calls; the prepared one stays
    as it is.
    """
    if prepared.model.dialect != "onnx":
        raise UsageError(
            f"{prepared.model.path} is a {prepared.model.dialect} model: only ONNX Runtime optimizes a graph "
            f"before it is divided"
        )
    flat, origins = prepared.flat
    graph = flat.graph
    before = graph.ops()
    makers = {name: origins.get(op.id, op.id) for op in before for name in op.outputs if name}
    state = graph.state()
    try:
        small = folded(flat)
    finally:
        graph.restore(state)
    found = {op.id: maker for op in small.graph.ops() if (maker := _maker(op, makers)) is not None}
    held = prepared if small is prepared.model else Prepared(small)
    return Optimized(held, found, len(before) - len(small.graph.ops()))


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
        inlined = model.graph.facts.inlined
        model = from_stripped(proto.SerializeToString(), builder.spans, model.path, file)
        model.graph.facts = replace(model.graph.facts, inlined=inlined)
    return model


def _maker(op: Operator, makers: Mapping[str, str]) -> str | None:
    """The stored operator that writes what an operator of the folded model writes."""
    return next((makers[name] for name in op.outputs if name and name in makers), None)
