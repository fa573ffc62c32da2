"""Asking ONNX Runtime, whatever its execution provider: load, placement, outputs, latency. Runs in a worker.

Placement comes from ``session.record_ep_graph_assignment_info`` (ONNX Runtime 1.24 or later), asked by
default with graph optimization off, so that nodes meet the provider as they stand in the file;
``options={"optimize": "default"}`` asks what users will see, where fused nodes are ``unmapped``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from .. import tensors
from ..answers import MERGED, Answer, Placed, Request
from .onnx_feeds import as_fed
from .onnx_fused import behind, names_in
from .onnx_names import RENAMED, Marked, Node, mark
from .printed import Printed
from .timing import measure

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable
    from pathlib import Path

CPU = "CPUExecutionProvider"
_LEVELS = {
    "off": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "default": "ORT_ENABLE_ALL",
    "all": "ORT_ENABLE_ALL",
}


@dataclass(frozen=True, slots=True)
class Assigned:
    """A node of the loaded graph: its provider, the partition when the provider compiles groups, name and
    type.
    """

    provider: str
    partition: int | None
    name: str
    type: str


def _plain(request: Request) -> object:
    """What a session depends on, where nothing is asked for but outputs; None otherwise."""
    if request.placement or request.latency_runs or request.options.get("keep") or not request.model.exists():
        return None
    told = request.model.stat()
    return str(request.model), told.st_mtime_ns, told.st_size, repr(sorted(request.options.items()))


class OrtWorker:
    """Answers requests with one execution provider.

    Args:
        folder: for outputs.
        provider: the name by which the provider reports its nodes.
        attach: adds the provider to session options, given the request's options.
        compiles: the provider compiles partitions of nodes (QNN, OpenVINO), each of which is a partition; one
            with kernels has none.
    """

    def __init__(
        self,
        folder: Path,
        provider: str,
        attach: Callable[[Any, dict[str, Any]], None],
        *,
        compiles: bool = True,
    ) -> None:
        import onnxruntime

        self.ort = onnxruntime
        self.folder = folder
        self.provider = provider
        self.attach = attach
        self.compiles = compiles
        self.asked = 0
        self.stopped = False
        """Whether the last run that placement was read from ended early: what is not listed then may have
        been left out.
        """
        self.held: tuple[object, Any] = (None, None)
        """The last session that was asked for outputs alone, and what it was made from: further inputs of a
        model need no other.
        """

    def __call__(self, request: Request) -> Answer:
        """One answer."""
        self.asked += 1
        key = _plain(request)
        if key is not None and key == self.held[0]:
            return self._run(self.held[1], request)
        self.held = (None, None)
        try:
            marked = mark(request.model, tuple(request.options.get("keep", ())))
        except Exception as error:  # protobuf raises its own kinds
            return Answer("failed", reason=f"{request.model}: no ONNX model that can be parsed: {error}")
        if request.options.get("level1"):
            from . import onnx_level1

            place = self.folder / f"level1-{self.asked}"
            return onnx_level1.write(self.ort, request.model, marked, place)
        failure = self._fails_as_stored(request, marked)
        if failure is not None:
            return failure
        session = self._load(request, marked.source)
        if isinstance(session, Answer):
            return replace(session, reason=marked.readable(session.reason))
        self.held = (key, session) if key is not None else self.held
        placement, partitions, notes = (
            self._placement(session, request, marked) if request.placement else ((), None, {})
        )
        ran = self._run(session, request)
        return Answer(
            status=ran.status, reason=ran.reason, log=ran.log, outputs=ran.outputs, latency=ran.latency,
            placement=placement, partitions=partitions, notes=notes,
        )  # fmt: skip

    def _fails_as_stored(self, request: Request, marked: Marked) -> Answer | None:
        """Providers that reject repeated node names must see them before the copy hides them."""
        if not marked.duplicates:
            return None
        found = self._load(request, request.model)
        return found if isinstance(found, Answer) else None

    def options(self, request: Request) -> Any:
        """Session options as asked for."""
        options = self.ort.SessionOptions()
        level = request.options.get("optimize", "off")
        options.graph_optimization_level = getattr(self.ort.GraphOptimizationLevel, _LEVELS[level])
        options.intra_op_num_threads = int(request.options.get("threads", 1))
        options.log_severity_level = int(request.options.get("log_severity", 2))
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        for key, value in dict(request.options.get("session", {})).items():
            options.add_session_config_entry(key, str(value))
        self.attach(options, dict(request.options))
        return options

    def _load(self, request: Request, source: Path | bytes) -> Any:
        return self.load(request, source, self.options(request))

    def load(self, request: Request, source: Path | bytes, options: Any) -> Any:
        """A session, or the answer that it was refused."""
        if isinstance(source, bytes):
            options.add_session_config_entry(
                "session.model_external_initializers_file_folder_path", str(request.model.parent)
            )
        try:
            return self.ort.InferenceSession(source if isinstance(source, bytes) else str(source), options)
        except Exception as error:
            return Answer("refused", reason=_words(error))

    def assigned(self, session: Any, request: Request, marked: Marked) -> list[Assigned]:
        """Every node of the loaded graph and the provider that has it."""
        if not hasattr(session, "get_provider_graph_assignment_info"):
            return self.without_list(request, marked)
        result = []
        partition = 0
        for run in session.get_provider_graph_assignment_info():
            mine = run.ep_name == self.provider
            number = partition if mine and self.compiles else None
            result += [Assigned(run.ep_name, number, item.name, item.op_type) for item in run.get_nodes()]
            partition += mine
        return result

    def without_list(self, request: Request, marked: Marked) -> list[Assigned]:
        """The same before ONNX Runtime 1.24, which lists no assignment: what the CPU provider loads alone
        runs on it, and what a provider that compiles leaves is printed when a session is made.
        """
        if self.provider == CPU:
            return [Assigned(CPU, None, name, node.type) for name, node in marked.by_name.items()]
        return printed_assignment(self, request, marked)

    def _placement(
        self, session: Any, request: Request, marked: Marked
    ) -> tuple[tuple[Placed, ...], int | None, dict[str, Any]]:
        found: dict[str, list[tuple[str, int | None]]] = {}
        anonymous: list[tuple[str, str]] = []
        extra: list[str] = []
        assigned = self.assigned(session, request, marked)
        for item in assigned:
            node = marked.find(item.name) if item.name else None
            if node is not None:
                found.setdefault(node.place, []).append((item.provider, item.partition))
            elif not item.name:
                anonymous.append((item.type, item.provider))
            else:
                extra.append(f"{item.provider}: {item.type} {item.name}")
        mapper = _Mapper(marked, found, anonymous, self.provider)
        if self.stopped:
            mapper.folded = {node.place for node in marked.nodes if node.type == "Constant"}
        if request.options.get("optimize", "off") != "off":
            self._tell_optimized(request, marked, mapper, assigned)
        partitions = (
            len({item.partition for item in assigned if item.partition is not None})
            if self.compiles
            else None
        )
        return (
            tuple(mapper.placed(node) for node in marked.nodes),
            partitions,
            {"added": len(extra), "added_nodes": extra[:50]},
        )

    def _tell_optimized(
        self, request: Request, marked: Marked, mapper: _Mapper, assigned: list[Assigned]
    ) -> None:
        """What optimization left before providers were asked, and provider and partition by place of nodes
        that it merged into others.
        """
        import onnx

        target = self.folder / "optimized.onnx"
        options = self.ort.SessionOptions()
        options.graph_optimization_level = self.ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(target)
        session = self.load(request, marked.source, options)
        if isinstance(session, Answer) or not target.is_file():
            return
        graph = onnx.load(str(target), load_external_data=False).graph
        target.unlink()
        kept = (marked.find(name) for name in names_in(graph) if name)
        mapper.left = {node.place for node in kept if node is not None}
        known = {RENAMED.sub("", item.name): (item.provider, item.partition) for item in assigned}
        mapper.fused = {
            place: assignments
            for place, made in behind(marked.nodes, graph, marked.constants).items()
            if (assignments := [known[name] for name in made if name in known])
        }

    def _run(self, session: Any, request: Request) -> Answer:
        if not request.outputs and not request.latency_runs:
            return Answer("ok")
        feeds = self.feeds(session, request)
        names = [item.name for item in session.get_outputs()]
        try:
            values = session.run(names, feeds)
            latency = measure(
                lambda: session.run(names, feeds),
                request.latency_runs,
                int(request.options.get("threads", 1)),
            )
        except Exception as error:
            return Answer("failed", reason=f"running the model: {_words(error)}")
        outputs = self.folder / f"outputs-{self.asked}.npz"
        return Answer(
            "ok",
            outputs=tensors.write(outputs, _flat(names, values)) if request.outputs else None,
            latency=latency,
        )

    def feeds(self, session: Any, request: Request) -> dict[str, Any]:
        """The request's inputs, or small random ones: open sizes are those of the option ``open``, or 1."""
        wanted = {item.name: item for item in session.get_inputs()}
        if request.inputs is not None:
            given = tensors.read(request.inputs)
            return {name: as_fed(given[name], item.type) for name, item in wanted.items() if name in given}
        from ..inputs import draw

        seed, size = int(request.options.get("seed", 0)), int(request.options.get("open", 1))
        drawn = {
            name: draw(
                name, dtype_of(item.type), [dim if isinstance(dim, int) else size for dim in item.shape], seed
            )
            for name, item in wanted.items()
        }
        return {name: as_fed(array, wanted[name].type) for name, array in drawn.items()}


def printed_assignment(worker: OrtWorker, request: Request, marked: Marked) -> list[Assigned]:
    """Assignment from what a session prints about it: every node that is left to another provider, and the
    nodes that the provider made of its partitions. Which partition has which node is not told.
    """
    printed = Printed(worker.folder)
    options = worker.options(request)
    options.log_severity_level = 0
    worker.load(request, marked.source, options)
    told = printed.text()
    rows, provider = [], ""
    for line in told.splitlines():
        head, item = _PLACED_ON.search(line), _PLACED.search(line)
        if head is not None:
            provider = head[1]
            rows += [(provider, "", "")] * (int(head[2]) if line.count("All nodes placed") else 0)
        elif item is not None and provider:
            rows.append((provider, item[1], item[2]))
    mine = [row for row in rows if row[0] == worker.provider]
    others = [Assigned(name, None, label, type_) for name, type_, label in rows if name != worker.provider]
    left = {node.place for item in others if (node := marked.find(item.name)) is not None}
    inside = [
        Assigned(worker.provider, min(index, len(mine) - 1), name, node.type)
        for index, (name, node) in enumerate(
            (name, node) for name, node in marked.by_name.items() if node.place not in left
        )
    ]
    return others + (inside if mine else [])


_PLACED_ON = re.compile(r"odes? ?(?:\(s\) )?placed on \[(\w+)\]\. Number of nodes: (\d+)")
_PLACED = re.compile(r"\]\s+(\w+) \((.*)\)\s*$")


class _Mapper:
    """From the runtime's node names back to one place per node of the file.

    Args:
        found: provider and partition of each listed node, by place in the file.
        anonymous: type and provider of the nodes without a name: ONNX Runtime makes them when it decomposes
            an operator
            that no kernel takes into the body that the ONNX standard gives it.
    """

    def __init__(
        self,
        marked: Marked,
        found: dict[str, list[tuple[str, int | None]]],
        anonymous: list[tuple[str, str]],
        provider: str,
    ) -> None:
        self.found = found
        self.fused: dict[str, list[tuple[str, int | None]]] = {}
        self.left: set[str] | None = None
        """Places of the nodes that optimization left, where it was asked for and is known."""
        self.anonymous = anonymous
        self.provider = provider
        self.nodes = {node.place: node for node in marked.nodes}
        self.folded = _folded(marked, self.found)
        self.told = {node.graph for node in marked.nodes if node.place in self.found}
        self.missing = [node for node in marked.nodes if self._listed(node) is None and _has_body(node.type)]

    def placed(self, node: Node) -> Placed:
        """One node of the file and where it ran."""
        device, partition, reason = self._where(node)
        return Placed(node.index, node.label, node.type, device, node.graph, partition, reason)

    def _where(self, node: Node) -> tuple[str, int | None, str]:
        listed = self._listed(node)
        if listed is not None and node.type != "Constant":
            return self._device(listed)
        body = self._decomposed(node)
        if node.place in self.folded and not body:
            return "folded", None, "constant: computed when the model is loaded"
        merged = self.fused.get(node.place)
        if merged:
            device, partition, reason = self._device(merged)
            return device, partition, f"{MERGED} {reason}".rstrip()
        if not body:
            return "unmapped", None, "the runtime lists no node of that name: fused or rewritten"
        if len(set(body)) > 1 and len(self.missing) > 1:
            return "unmapped", None, f"decomposed into other operators, some on {self.provider} and some not"
        device, _, reason = self._device([(name, None) for name in body])
        return (
            device,
            None,
            f"decomposed into {len(body)} operators {reason}".rstrip()
            if len(self.missing) == 1
            else "decomposed",
        )

    def _listed(self, node: Node) -> list[tuple[str, int | None]] | None:
        return self.found.get(node.place) or self._holder(node)

    def _decomposed(self, node: Node) -> list[str]:
        """Providers of the nameless nodes that this node can have become."""
        if node not in self.missing:
            return []
        types = _BODIES.get(node.type)
        return [name for type_, name in self.anonymous if types is None or type_ in types]

    def _device(self, assignments: list[tuple[str, int | None]]) -> tuple[str, int | None, str]:
        mine = [number for name, number in assignments if name == self.provider]
        if len(mine) == len(assignments):
            return "accelerator", mine[0], ""
        others = ", ".join(sorted({name for name, _ in assignments if name != self.provider}))
        return (
            "cpu",
            None,
            f"on {others}"
            if not mine
            else f"{len(assignments) - len(mine)} of its {len(assignments)} operators on {others}",
        )

    def _holder(self, node: Node) -> list[tuple[str, int | None]] | None:
        """A body that is not listed by itself runs where the accelerator took the node that holds it. Where
        others of the same body are listed, one that is not is gone, and so is one that optimization did not
        leave.
        """
        if node.graph in self.told or (self.left is not None and node.place not in self.left):
            return None
        while node.parent:
            node = self.nodes[node.parent]
            assignments = self.found.get(node.place)
            if assignments:
                return assignments if all(name == self.provider for name, _ in assignments) else None
        return None


@cache
def _has_body(type_: str) -> bool:
    """True when the ONNX standard defines the operator by others."""
    from onnx import defs

    try:
        schema = defs.get_schema(type_)
    except defs.SchemaError:
        return False
    return bool(schema.has_function or schema.has_context_dependent_function)


def _folded(marked: Marked, listed: Container[str]) -> set[str]:
    """Places of the nodes whose result the file alone decides; behind a listed one, which runs, nothing was
    computed ahead.
    """
    known = set(marked.constants)
    folded = set()
    for node in marked.nodes:
        if (
            node.graph == "main"
            and all(item in known for item in node.inputs if item)
            and node.type not in _IMPURE
        ):
            folded.add(node.place)
            known.update(() if node.place in listed else node.outputs)
        elif node.type == "Constant":
            folded.add(node.place)
    return folded


_BODIES = {"CastLike": {"Cast"}}
"""Types in the standard body of operators that occur several times in one model; others are taken to become
any nameless node.
"""
_IMPURE = {
    "RandomNormal",
    "RandomUniform",
    "RandomNormalLike",
    "RandomUniformLike",
    "Multinomial",
    "Bernoulli",
    "If",
    "Loop",
    "Scan",
}
_TYPES = {"float": "float32", "double": "float64"}


def dtype_of(text: str) -> str:
    """``float32`` for ``tensor(float)``."""
    inner = text.partition("(")[2].rstrip(")")
    return _TYPES.get(inner, inner)


def _flat(names: Iterable[str], values: Iterable[Any]) -> list[tuple[str, Any]]:
    """Tensors by name; a sequence as ``name[0]``, ``name[1]``, ...; an empty optional is left out."""
    import numpy as np

    result: list[tuple[str, Any]] = []
    for name, value in zip(names, values, strict=True):
        if isinstance(value, list):
            result += [(f"{name}[{index}]", np.asarray(item)) for index, item in enumerate(value)]
        elif value is not None:
            result.append((name, np.asarray(value)))
    return result


def _words(error: Exception) -> str:
    """The runtime's message: ``FAIL: ...`` for ``[ONNXRuntimeError] : 1 : FAIL : ...``."""
    return _PREFIX.sub(r"\1: ", str(error).strip())[:2000]


_PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : (\w+) : ")
