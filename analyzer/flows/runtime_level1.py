"""What ONNX Runtime's own optimizer makes of a model before its providers are asked, told of the operators of
the user's file.
"""

from __future__ import annotations

import shutil
from collections.abc import Hashable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..check.prepared import Optimized, Prepared
from ..errors import ModelError, RuntimeFailure, UsageError, WorkerKilled
from ..formats import emit, load
from ..processes.scratch import Scratch, temporary
from ..runtimes import Request, Session
from ..runtimes.catalog import every, info

if TYPE_CHECKING:
    from ...rules.pack import Chosen
    from ..ir.graph import Graph, Operator
    from ..ir.model import Model
    from ..runtimes import Answer

HOST = "onnxruntime/cpu"
_AHEAD = ("Shape", "Size", "Constant")
_BYPASSED = frozenset(
    ("Identity", "Cast", "Slice", "Dropout", "Expand", "Unsqueeze", "Transpose", "Add", "Sub", "Mul", "Div")
)
"""Operators that ONNX Runtime walks around: one in front of an operator that stays is not part of that."""
_SHARED = 8
"""Elements up to which constants of equal value count as one."""


def environment(chosen: Chosen) -> str:
    """The runtime whose ONNX Runtime is asked: the target's own where it is here, else the CPU's."""
    name = chosen.target.partition(":")[0]
    own = next((item for item in every() if item.name == name and item.dialect == "onnx"), None)
    return name if own is not None and info(own).available else HOST


def optimize_by_runtime(prepared: Prepared, name: str) -> tuple[Optimized, str]:
    """The optimized model and which ONNX Runtime made it. ``name``: the runtime, as ``environment`` gives it.

    The model is asked about as it is in memory. Raises RuntimeFailure, with what to do, where the runtime is
    not here, refuses the model, crashes or takes too long.
    """
    model, held = prepared.model, Scratch("level1-")
    if prepared.misfits or prepared.flat_misfits:
        return Optimized(prepared, {}, {}), ""
    with temporary("asked-") as folder, Session(name) as session:
        file = model.path
        if prepared.edited:
            file = folder / "model.onnx"
            emit(model, file)
        answer = session.ask(Request(file, placement=False, options={"level1": True}))
        if not answer.ok:
            raise _failure(answer, model)
        written = Path(str(answer.notes["file"]))
        shutil.copytree(written.parent, held.path, dirs_exist_ok=True)
    try:
        made = load(held.path / written.name)
    except ModelError as error:
        raise RuntimeFailure(
            f"{answer.runtime}: its optimized model cannot be read: {error.message}; --optimizer builtin "
            f"predicts what it does"
        ) from error
    version = str(answer.notes["version"])
    mapped = _Mapping(_ids(model, answer.notes["places"]), f"optimizer of {version}")
    mapped.graphs(model.graph, made.graph)
    mapped.rest(made)
    mapped.lost(model)
    return Optimized(Prepared(made), mapped.origins, mapped.gone, held), version


def _ids(model: Model, places: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """By name of an operator of the optimized model, the id of the one that it was. Ids are places in the
    file; an edited model is written in another order, and there the name of its first result tells.
    """
    by_id = {op.id: op for _, op in model.operators()}
    by_result = {op.outputs[0]: op.id for op in by_id.values() if op.outputs}
    found = {}
    for name, (place, result) in places.items():
        op = by_id.get(place)
        same = op is not None and (op.outputs[0] if op.outputs else "") == result
        id = place if same else by_result.get(result)
        if id is not None:
            found[name] = id
    return found


def _failure(answer: Answer, model: Model) -> RuntimeFailure | WorkerKilled | UsageError:
    """Why there is no answer, and what to do."""
    if answer.status == "missing":
        return RuntimeFailure(f"--optimizer runtime: {answer.reason}: {answer.advice}".rstrip(": "))
    if answer.status == "killed":
        return WorkerKilled(f"--optimizer runtime: {answer.reason}")
    verb = {"refused": "fails to load", "hung": "gave no answer about", "failed": "could not be asked about"}
    words = f"{answer.runtime} {verb.get(answer.status, answer.status)} {model.path}: {answer.reason}"
    return RuntimeFailure(f"{words[:600]} (--optimizer builtin predicts what its optimizer does)")


@dataclass
class _Mapping:
    """From operators of the optimized model to those of the file.

    Attributes:
        places: by name of an operator of the optimized model, the id of the one of the file that it was.
        by: what the report calls that which took an operator away.
        origins: by id of an operator of the optimized model, the id of the file's.
        gone: by id of the file's, by what it went, and the operator of the optimized model that computes its
            result now.
        renamed: by id of the file's, the operator of the optimized model in front of it whose result has a
            name that the file does not know: what vanished there is part of it.
    """

    places: Mapping[str, str]
    by: str
    origins: dict[str, str] = field(default_factory=dict)
    gone: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)

    def graphs(self, stored: Graph, made: Graph) -> None:
        """Both graphs, and the bodies of operators that are in both."""
        by_id = {op.id: op for op in stored.ops()}
        ahead = set(_ahead(stored))
        written = {name for op in made.ops() for name in op.outputs}
        for op in made.ops():
            known = by_id.get(self.places.get(op.name, ""))
            reads = _Stops(set(op.inputs), written, set(op.outputs))
            behind = [item for item in _behind(stored, op.outputs, reads) if item.id not in ahead]
            if known is None and op.type == "Transpose":  # one that was moved stands for one alone
                behind = [item for item in behind if item.type == op.type][:1]
            if known is None and not behind:
                continue
            source = known or behind[0]
            if known is None and source.type == "If" and op.type != "If":
                self._inlined(made, op, source)
                continue
            self.origins[op.id] = self.places.get(op.name, source.id)
            stays = known is not None and known.type == op.type
            if known is not None and not any(name in stored.tensors for name in op.outputs):
                after = stored.consumers(known.outputs[0])
                self.renamed.update((item.id, op.id) for item in after if not _cancelled(item, op))
            before = {item.id for item in _behind(stored, source.inputs, reads)} if stays else set()
            for item in behind:
                passed = _cancelled(item, op) or (item.id in before and item.type in _BYPASSED)
                self.gone.setdefault(item.id, []).append((self.by, "" if passed else op.id))
            for key, body in op.graphs.items():
                if key in source.graphs:
                    self.graphs(source.graphs[key], body)

    def _inlined(self, made: Graph, op: Operator, choice: Operator) -> None:
        """An If whose condition is known became the operators of a branch, under other names: they are found
        side by side from the results back.
        """
        place = next(at for at, name in enumerate(choice.outputs) if name in op.outputs)
        ends = [(body, body.producer(body.outputs[place])) for body in choice.graphs.values()]
        todo = [(op, body, end) for body, end in ends if end is not None and end.type == op.type][:1]
        while todo:
            new, body, old = todo.pop()
            if new.id in self.origins:
                continue
            self.origins[new.id] = old.id
            for result, source in zip(new.inputs, old.inputs, strict=False):
                one, other = made.producer(result), body.producer(source)
                if one is not None and other is not None and one.type == other.type:
                    todo.append((one, body, other))

    def rest(self, made: Model) -> None:
        """Operators that nothing of the file stands behind: they go with a neighbour."""
        known = {id for _, op in made.operators() if (id := self.places.get(op.name))}
        for graph, op in made.operators():
            if op.id in self.origins:
                continue
            told = self.places.get(op.name)
            self.origins[op.id] = told if told in known else next(self._beside(graph, op), "")

    def _beside(self, graph: Graph, op: Operator) -> Iterator[str]:
        seen = {op.id}
        todo = [op]
        while todo:
            item = todo.pop(0)
            near = [maker for name in item.inputs if name and (maker := graph.producer(name)) is not None]
            near += [reader for name in item.outputs if name for reader in graph.consumers(name)]
            for other in near:
                if other.id in self.origins:
                    yield self.origins[other.id]
                elif other.id not in seen:
                    seen.add(other.id)
                    todo.append(other)

    def lost(self, stored: Model) -> None:
        """An operator of the file that no operator of the optimized model stands for is folded, or merged
        with one that computes the same.
        """
        there = {of: id for id, of in self.origins.items()}
        alike: dict[Hashable, list[str]] = {}
        same: dict[str, str] = {}
        for graph, op in stored.operators():
            ids = alike.setdefault(_key(graph, op, same), [])
            ids.append(op.id)
            same.update((name or "", f"{ids[0]}:{place}") for place, name in enumerate(op.outputs))
            if op.id not in there and op.type != "Constant":
                self.gone.setdefault(op.id, [])
        for ids in alike.values():
            into = next((there[id] for id in ids if id in there), "")
            for id in ids:
                if id in self.gone and not self.gone[id]:
                    self.gone[id].append((self.by, into or self.renamed.get(id, "")))


def _cancelled(item: Operator, op: Operator) -> bool:
    """Whether an operator vanished wherever it stood: an Identity, a transpose that met another."""
    return item.type == "Identity" or (item.type == "Transpose" and op.type not in ("Transpose", "Gemm"))


def _key(graph: Graph, op: Operator, same: Mapping[str, str]) -> Hashable:
    """What is equal for operators that compute the same."""
    if op.graphs or op.domain not in ("", "com.microsoft"):
        return op.id
    inputs = []
    for name in op.inputs:
        value = graph.constant(name)
        small = value is not None and value.elements <= _SHARED and value.dtype != "string"
        inputs.append(
            (value.dtype, value.shape, value.raw()) if small and value else same.get(name or "", name)
        )
    return op.type, op.domain, tuple(inputs), repr(sorted(op.attrs.items())), len(op.outputs)


def _ahead(graph: Graph) -> Iterator[str]:
    """Ids of operators that compute with shapes and constants alone: nothing else stands for one of them."""
    known: set[str] = set()
    for op in graph.ops():
        fed = all(name in known or graph.constant(name) is not None for name in op.inputs if name)
        if op.type in _AHEAD or (fed and not op.graphs):
            known.update(name for name in op.outputs if name)
            yield op.id


@dataclass(frozen=True)
class _Stops:
    """Where a walk back from the results of an operator ends: at what it reads and at what others write."""

    reads: Set[str | None]
    written: Set[str | None]
    own: Set[str | None]

    def __contains__(self, name: object) -> bool:
        return name in self.reads or (name in self.written and name not in self.own)


def _behind(stored: Graph, names: Iterable[str | None], reads: _Stops) -> Iterator[Operator]:
    """Operators of the file on the way from some tensors back to those that are read, the last first."""
    todo = [name for name in names if name not in reads]
    seen: set[str] = set()
    while todo:
        maker = stored.producer(todo.pop())
        if maker is None or maker.id in seen:
            continue
        seen.add(maker.id)
        yield maker
        todo += [name for name in maker.inputs if name not in reads]
