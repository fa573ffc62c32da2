"""Small models that show one finding, to report it with: an operator and what is around it, with names
replaced and weights of random numbers, and the text of an issue beside it.

A model is kept only when a check of it has the same finding; the neighbourhood grows until it has, or is
given up.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import AccelintError, UsageError
from ..files import atomic
from ..formats import emit
from ..ir.graph import Constant, Dim, Graph, Operator, Shape, Source, Tensor
from ..ir.model import Model

if TYPE_CHECKING:
    from ...rules.pack import Chosen
    from ..check.coverage import Coverage, Finding

MOST = 20
"""Models a target: one for each cause of most operators."""
TRIES = 3
"""Operators of a cause that are tried before it is given up."""
REACHES = (0, 1, 2)
"""How many steps of neighbours a model has."""
SMALL, LARGEST = 64, 1 << 24
"""Numbers that are kept up to so many elements; above the largest no model is made."""
Again = Callable[[Model], "Coverage"]


def free(folder: Path) -> None:
    """Raise UsageError for a folder that holds something, or that is none: nothing is written over."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"--save-unsupported {folder}: give a folder that is new or empty")


def save(
    model: Model, coverage: Coverage, chosen: Chosen, again: Again, folder: Path, version: str
) -> list[dict[str, Any]]:
    """Write a model and an issue for each cause; returns what was written, and why not where none was."""
    if model.dialect not in ("onnx", "tflite") or chosen.pack.dialect != model.dialect:
        return []
    places = {op.id: (graph, op) for graph, op in model.operators()}
    causes: dict[tuple[str, str], list[Finding]] = {}
    for item in coverage.findings:
        if item.severity != "note" and item.operator in places:
            causes.setdefault((item.code, item.rule), []).append(item)
    told = []
    most = sorted(causes, key=lambda key: -len(causes[key]))[:MOST]
    for number, key in enumerate(most, 1):
        shown = _first(model, [places[item.operator] for item in causes[key]], key, again)
        row: dict[str, Any] = {"code": key[0], "rule": key[1], "model": None, "issue": None}
        if shown is not None:
            stem = _stem(model.path, coverage.target, number, key)
            path = folder / f"{stem}.{model.dialect}"
            folder.mkdir(parents=True, exist_ok=True)
            emit(shown[0], path)
            with atomic(path.with_suffix(".md")) as draft:
                draft.write_text(_issue(path.name, shown[1], coverage, chosen, version), encoding="utf-8")
            row |= {"model": str(path), "issue": str(path.with_suffix(".md"))}
        told.append(row)
    return told


def _first(
    model: Model, places: Sequence[tuple[Graph, Operator]], key: tuple[str, str], again: Again
) -> tuple[Model, Finding] | None:
    """The first small model that a check says the same of."""
    for graph, op in places[:TRIES]:
        for reach in REACHES:
            small = _cut(model, graph, _around(graph, op, reach))
            found = None if small is None else _same(again, small, key)
            if small is not None and found is not None:
                return small, found
    return None


def _same(again: Again, small: Model, key: tuple[str, str]) -> Finding | None:
    try:
        coverage = again(small)
    except AccelintError:
        return None
    return next((item for item in coverage.findings if (item.code, item.rule) == key), None)


def _around(graph: Graph, op: Operator, reach: int) -> list[Operator]:
    """The operator and its neighbours up to some steps away, in order."""
    found = {op.id: op}
    for _ in range(reach):
        for item in list(found.values()):
            near = [graph.producer(name) for name in item.inputs if name]
            near += [reader for name in item.outputs if name for reader in graph.consumers(name)][:8]
            found.update((other.id, other) for other in near if other is not None)
    found.update((item.id, item) for item in _constants(graph, list(found.values())))
    return [item for item in graph.ops() if item.id in found]


def _constants(graph: Graph, ops: Sequence[Operator]) -> Iterator[Operator]:
    for op in ops:
        for name in op.inputs:
            writer = graph.producer(name)
            if writer is not None and not any(writer.inputs):
                yield writer


def _cut(model: Model, graph: Graph, ops: Sequence[Operator]) -> Model | None:
    """Those operators as a model of their own; None where they have subgraphs, call functions or are
    large.
    """
    if any(op.graphs or f"{op.domain}::{op.type}" in model.functions for op in ops):
        return None
    names = dict.fromkeys(name for op in ops for name in (*op.inputs, *op.outputs) if name)
    tensors = {name: graph.find(name) for name in names}
    if sum(item.const.elements for item in tensors.values() if item and item.const) > LARGEST:
        return None
    short = {name: f"t{index}" for index, name in enumerate(names)}
    symbols: dict[str, str] = {}
    small = Graph("main", graph.dialect, {op.domain: graph.opsets.get(op.domain, op.version) for op in ops})
    small.opsets.setdefault("", graph.opsets.get("", 1))
    for index, (name, tensor) in enumerate(tensors.items()):
        small.add_tensor(_plain(tensor or Tensor(name), short[name], symbols, index))
    for index, op in enumerate(ops):
        small.add_op(
            replace(
                op,
                id=f"main/{index}",
                name=f"op{index}",
                inputs=tuple(short[name] if name else None for name in op.inputs),
                outputs=tuple(short[name] if name else None for name in op.outputs),
                source=Source(),
            )
        )
    written = {name for op in small.ops() for name in op.outputs if name}
    read = {name for op in small.ops() for name in op.inputs if name}
    inputs = [
        name
        for name, item in small.tensors.items()
        if name not in written and item.const is None and name in read
    ]
    ends = [name for name in small.tensors if name in written and name not in read]
    small.set_interface(inputs, ends)
    return Model(model.path, model.format, small, {"main": small} if model.dialect == "tflite" else {})


def _plain(tensor: Tensor, name: str, symbols: dict[str, str], seed: int) -> Tensor:
    """The tensor under another name, with symbols of other names and random weights."""
    const = tensor.const
    if const is not None and const.elements > SMALL and const.dtype in _RANDOM:
        const = _random(const.dtype, const.shape, seed)
    elif const is not None:
        raw = const.raw()
        const = Constant(const.dtype, const.shape, length=len(raw), inline=raw)
    kept = {key: value for key, value in tensor.attrs.items() if key in ("shape_signature", "is_variable")}
    return Tensor(name, tensor.dtype, _renamed(tensor.shape, symbols), const, tensor.quant, kept)


def _renamed(shape: Shape, symbols: dict[str, str]) -> Shape:
    def dim(size: Dim) -> Dim:
        return symbols.setdefault(size, f"d{len(symbols)}") if isinstance(size, str) else size

    return None if shape is None else tuple(dim(size) for size in shape)


_RANDOM = ("float32", "float16", "float64", "int8", "uint8")


def _random(dtype: str, shape: tuple[int, ...], seed: int) -> Constant:
    import numpy as np

    rng = np.random.default_rng(seed)
    floats = dtype.startswith("float")
    values = rng.standard_normal(shape) * 0.1 if floats else rng.integers(0, 100, shape)
    data = values.astype(dtype).tobytes()
    return Constant(dtype, shape, length=len(data), inline=data)


# ---- names and words -------------------------------------------------------------------------


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "x"


def _stem(path: Path, target: str, number: int, key: tuple[str, str]) -> str:
    """A file's name of letters, digits and hyphens, whatever the model is called."""
    mark = hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()[:6]
    return f"{_slug(path.stem)}-{mark}-{_slug(target)}-{number:02}-{_slug(key[0])}-{_slug(key[1])}"


def _issue(name: str, finding: Finding, coverage: Coverage, chosen: Chosen, version: str) -> str:
    """What to write to those who make the runtime, of the small model: none of the original's names."""
    asked = f"{chosen.target}@{chosen.version}" if chosen.version != chosen.pack.version else chosen.target
    level = " --optimize off" if coverage.optimize == "off" else ""
    rows: Mapping[str, str] = {
        "runtime": coverage.runtime,
        "target": chosen.target,
        "rule": f"{finding.code} {finding.rule}",
        "seen": finding.seen,
        "limit": finding.limit,
        "evidence": finding.evidence,
        "source": finding.source,
        "accelint": version,
    }
    table = [f"| {key} | {_cell(value)} |" for key, value in rows.items() if value]
    return "\n".join(
        [
            f"# {coverage.runtime}: {_cell(finding.message)}",
            "",
            f"The attached `{name}` has one operator, or a few, of a larger model; its weights are random.",
            "",
            "| | |",
            "|---|---|",
            *table,
            "",
            "## To reproduce",
            "",
            f"    accelint check {name} --target {asked}{level}",
            f"    accelint verify {name} --target {asked}{level}",
            "",
            "## Expected",
            "",
            "The operator runs on the accelerator.",
            "",
        ]
    )


def _cell(text: str) -> str:
    """On one line, and no markup."""
    plain = "".join(char if char.isprintable() else " " for char in text)
    return re.sub(r"([\\`*_\[\]<>|#@!])", r"\\\1", plain)
