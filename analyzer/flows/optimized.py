"""What ONNX Runtime's default optimization level makes of a model before its providers are asked."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ..check.coverage import Coverage
from ..check.inlining import lifted
from ..check.prepared import Optimized, Prepared
from ..check.run import check
from ..errors import UsageError
from ..ir.graph import Graph, Operator, Tensor
from ..optimizer.level1 import Level1, optimized
from ..optimizer.releases import lacking
from ..words import counted

if TYPE_CHECKING:
    from ...rules.pack import Chosen
    from ..ir.model import Model
    from ..optimizer.board import Board

OFF, DEFAULT = "off", "default"
RUNTIME = "runtime"
"""The default level, its passes run by ONNX Runtime itself."""
FINAL = "ONNX Runtime runs no graph optimization on a file of its own format: the operators are those stored"
OF_ORT = "give the ONNX model that it was made from, and convert what comes of it"
"""What to do with a file that is only read."""
HOST = "onnxruntime/cpu"
"""Whose kernels compute what is folded."""


def check_at(model: Model | Prepared, chosen: Chosen, optimize: str | None = None) -> Coverage:
    """Predict what becomes of every operator at an optimization level of ONNX Runtime, ``default`` or
    ``off``; without one at the level that applications load a model with. Targets of other runtimes
    have none, and ONNX Runtime optimizes no file of its own format. ``runtime``: at the default level, as the
    ONNX Runtime that is installed optimizes the model; raises RuntimeFailure where it gives no answer.
    """
    if not leveled(chosen):
        return check(model, chosen)
    if optimize == OFF:
        return replace(check(model, chosen), optimize=OFF)
    if _final(model):
        coverage = check(model, chosen)
        return replace(coverage, optimize=OFF, notes=(*coverage.notes, FINAL))
    if optimize == RUNTIME:
        return _check_by_runtime(Prepared.of(model), chosen)
    return check_optimized(model, chosen)


def _final(model: Model | Prepared) -> bool:
    """Whether ONNX Runtime takes the operators of a file as they are stored."""
    return Prepared.of(model).model.format == "ort"


def level_of(optimize: str | None) -> str:
    """The level that a runtime is told."""
    return OFF if optimize == OFF else DEFAULT


def leveled(chosen: Chosen) -> bool:
    """Whether a target's runtime optimizes a graph before it is partitioned."""
    return chosen.pack.dialect == "onnx" and chosen.target.startswith("onnxruntime/")


def check_optimized(model: Model | Prepared, chosen: Chosen) -> Coverage:
    """Predict what becomes of every operator of a model that is loaded at the default optimization level.

    An operator that a pass takes away is ``folded``, or has the verdict of the operator that it was fused
    into. Raises UsageError for models that are not ONNX.
    """
    prepared = Prepared.of(model)
    without = lacking(release_of(chosen))
    if without not in prepared.optimized:
        prepared.optimized[without] = optimize(prepared, without)
    return _told(prepared, prepared.optimized[without], chosen, "ONNX Runtime")


def release_of(chosen: Chosen) -> str:
    """The ONNX Runtime that a target's release works in: itself, or the one whose CPU provider is its host;
    empty where that is not told.
    """
    pack = chosen.pack
    if pack.host.partition("@")[0] == HOST:
        return pack.host_release(chosen.version)
    return chosen.version if pack.runtime.startswith("onnxruntime") else ""


def _check_by_runtime(prepared: Prepared, chosen: Chosen) -> Coverage:
    from .runtime_level1 import environment, optimize_by_runtime

    name = environment(chosen)
    if name not in prepared.by_runtime:
        prepared.by_runtime[name] = optimize_by_runtime(prepared, name)
    small, runtime = prepared.by_runtime[name]
    return _told(prepared, small, chosen, runtime)


def _told(prepared: Prepared, small: Optimized, chosen: Chosen, runtime: str) -> Coverage:
    """The coverage of the optimized model in terms of the stored one."""
    coverage = check(small.prepared, chosen)
    if small.prepared is prepared:
        return replace(coverage, optimize=DEFAULT)
    coverage = lifted(coverage, prepared.model, small.origins, chosen, small.gone)
    folded, all_of_them = coverage.count_gone(), counted(len(coverage.operators), "operator")
    note = (
        f"as {runtime}'s default optimization level leaves it: of {all_of_them}, "
        f"{folded} folded or fused (--optimize off: as stored)"
    )
    return replace(coverage, notes=(*coverage.notes, note), optimize=DEFAULT)


def optimize(prepared: Prepared, without: frozenset[str] | None = None) -> Optimized:
    """The model as ONNX Runtime optimizes it, local functions in place of their calls; the prepared one stays
    as it is. ``without``: passes that a release lacks; those of the newest one where it is not given.
    """
    if prepared.model.dialect != "onnx":
        raise UsageError(
            f"{prepared.model.path} is a {prepared.model.dialect} model: only ONNX Runtime optimizes a graph "
            f"before it is divided"
        )
    flat, calls = prepared.flat
    if prepared.misfits or prepared.flat_misfits:
        return Optimized(prepared, {}, {})
    found = optimized(flat, _Kernels(), _infer, lacking() if without is None else without)
    if found.model is prepared.model:
        return Optimized(prepared, {}, {})
    return Optimized(Prepared(found.model), {**calls, **_origins(found, calls)}, _gone(found, calls, flat))


def _origins(found: Level1, calls: Mapping[str, str]) -> dict[str, str]:
    """Operator that a pass made -> the one of the file that it stands for."""
    return {id: calls.get(of, of) for id, of in found.made.items()}


def _gone(found: Level1, calls: Mapping[str, str], flat: Model) -> dict[str, list[tuple[str, str]]]:
    """By id in the file, the pass that took an operator away and the one that computes its result now."""
    gone: dict[str, list[tuple[str, str]]] = {}
    for id, fate in found.fates.items():
        if id in found.made:
            continue
        into = found.into(fate.into) if fate.into else ""
        gone.setdefault(calls.get(id, id), []).append((fate.by, into))
    return gone


def _infer(model: Model) -> None:
    from ...rewrites.onnx.infer import infer_onnx

    infer_onnx(model)


class _Kernels:
    """Whether ONNX Runtime's CPU provider has a kernel for an operator."""

    def __init__(self) -> None:
        self._host: Chosen | None = None
        self._known: dict[Hashable, bool] = {}

    def __call__(self, board: Board, op: Operator) -> bool:
        """By the rules of ``onnxruntime/cpu``, once for operators that differ in values alone."""
        types = tuple(board.dtype(name) for name in (*op.inputs, *op.outputs) if name)
        kind = (op.type, op.version, types, repr(sorted(op.attrs.items())))
        if kind not in self._known:
            self._known[kind] = self._ask(board, op)
        return self._known[kind]

    def _ask(self, board: Board, op: Operator) -> bool:
        from ...rules.registry import choose
        from ...rules.verdict import Verdict
        from ..check.judge import judge

        if self._host is None:
            self._host = choose(HOST)
        return judge(_alone(board, op), op, self._host)[0] is Verdict.ACCELERATED


def _alone(board: Board, op: Operator) -> Graph:
    """A graph of one operator, with the tensors as they are on the board: passes make operators of their
    own."""
    graph = Graph(board.graph.name, board.graph.dialect, board.graph.opsets)
    graph.facts = board.graph.facts
    for name in dict.fromkeys((*op.inputs, *op.outputs)):
        if name:
            graph.add_tensor(replace(board.find(name) or Tensor(name), name=name, const=board.constant(name)))
    graph.set_interface([], [name for name in op.outputs if name])
    graph.add_op(op)
    return graph
