"""LiteRT's GPU accelerator (ML Drift on WebGPU): the same operator parser as its OpenCL, Metal and Vulkan
backends.

A ``CompiledModel`` says what it rejected on standard error only, per distinct operator type and reason, with
two counts. The operators behind them are found by asking about each distinct operator alone, in a request of
its own because a kernel that cannot be built may take the process down, and by replaying the partitioner; the
count of the runtime has the last word. ``is_fully_accelerated()`` is no help: it counts what XNNPACK takes as
accelerated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...partitioners.litert import largest, partitions
from .. import tensors
from ..answers import Answer, Placed, Request
from .printed import Printed
from .tflite_file import Op, TfliteFile, exposed, pick
from .timing import measure

if TYPE_CHECKING:
    from collections.abc import Mapping

PARTITIONS = 1
"""Pieces that the delegate takes: the largest one. Source: delegate_webgpu.cc,
``max_delegated_partitions=1``.
"""
_HEAD = "Following operations are not supported by GPU delegate:"
_COUNTS = re.compile(
    r"(?:(?P<gpu>\d+) operations will run on the GPU, and the remaining (?P<rest>\d+)"
    r"|No operations will run on the GPU, and all (?P<all>\d+))"
    r" operations will run on the CPU\."
)
_CREATED = "API from graph"
"""``Initializing WebGPU-based API from graph.``: a delegate kernel was made, so at least one operator was
taken.
"""


@dataclass(slots=True)
class Block:
    """What the delegate printed for one subgraph: reasons by operator type, and how many operators it took
    and left.
    """

    reasons: dict[str, list[str]] = field(default_factory=dict)
    gpu: int = 0
    cpu: int = 0


def blocks(log: str, types: set[str]) -> list[Block]:
    """The delegate's reports in a log, one per subgraph that it did not take whole. ``types``: the operator
    types of the file.
    """
    found = []
    for part in log.split(_HEAD)[1:]:
        counts = _COUNTS.search(part)
        if counts is None:
            continue
        block = Block(gpu=int(counts["gpu"] or 0), cpu=int(counts["rest"] or counts["all"]))
        last: list[str] | None = None
        for line in part[: counts.start()].strip("\n").splitlines():
            type_, colon, reason = line.partition(": ")
            if colon and type_ in types:
                last = block.reasons.setdefault(type_, [])
                last.append(reason.strip())
            elif last:
                last[-1] = f"{last[-1]} {line.strip()}".strip()
        found.append(block)
    return found


class GpuWorker:
    """Answers requests with a ``CompiledModel`` for GPU with the CPU behind it."""

    def __init__(self, folder: Path) -> None:
        from ..vulkan import prepare

        prepare(folder)
        from ai_edge_litert import compiled_model, environment
        from ai_edge_litert.hardware_accelerator import HardwareAccelerator

        self.folder = folder
        self.compiled_model = compiled_model
        self.gpu = HardwareAccelerator.GPU
        self.accelerators = HardwareAccelerator.GPU | HardwareAccelerator.CPU
        self.environment = environment.Environment.create(
            options=environment.EnvironmentOptions(runtime_path=str(Path(compiled_model.__file__).parent))
        )
        self.asked = 0

    def __call__(self, request: Request) -> Answer:
        """One answer; with ``notes["probe"]`` when small models must be asked about first."""
        self.asked += 1
        log = Printed(self.folder)
        model = self._load(
            request, exposed(request.model, tuple(request.options.get("keep", ())), self.folder)
        )
        printed = log.text()
        if isinstance(model, str):
            reason = _reasons(printed, model)
            return Answer("refused", reason=reason, notes={} if " | " in reason else {"unexplained": True})
        placement, partitions, notes = (
            self._placement(request, printed) if request.placement else ((), None, {})
        )
        if "probe" in notes:
            return Answer("ok", notes=notes)
        ran = self._run(model, request)
        return Answer(
            ran.status,
            reason=ran.reason,
            outputs=ran.outputs,
            latency=ran.latency,
            placement=placement,
            partitions=partitions,
            notes=notes,
        )

    def _load(self, request: Request, path: Path) -> Any:
        try:
            return self.compiled_model.CompiledModel.from_file(
                str(path), environment=self.environment, options=self._options(request)
            )
        except (RuntimeError, ValueError) as error:
            return str(error)

    def _options(self, request: Request) -> Any:
        """``enforce_f32``: compute in float32; by default the delegate may use float16. ``gpu_only``: without
        the CPU behind it.
        """
        module = self.compiled_model
        gpu_only = bool(request.options.get("gpu_only", False))
        return module.Options(
            hardware_accelerators=self.gpu if gpu_only else self.accelerators,
            cpu_options=module.CpuOptions(num_threads=int(request.options.get("threads", 1))),
            gpu_options=module.GpuOptions(enforce_f32=bool(request.options.get("enforce_f32", False))),
        )

    def _placement(
        self, request: Request, printed: str
    ) -> tuple[tuple[Placed, ...], int | None, dict[str, Any]]:
        main = TfliteFile(request.model)
        files = [main, *main.called()]
        reports = blocks(printed, {op.type for file in files for op in file.ops})
        matched = [(file, _matching(file, reports)) for file in files]
        known = dict(request.options.get("known", {}))
        wanted = {
            key: path
            for file, block in matched
            if block
            for key, path in self._undecided(file, block, known).items()
        }
        if wanted and not request.options.get("alone"):
            return (), None, {"probe": wanted}
        created = _CREATED in printed
        placed: list[Placed] = []
        notes: dict[str, Any] = {}
        partitions = 0
        for file, block in matched:
            more, count, said = (
                _split(file, block, known, partitions)
                if block
                else _whole(file, created or not file.ops, partitions)
            )
            placed += more
            partitions += count or 0
            notes |= said
        return tuple(placed), None if notes.get("disagreement") else partitions, notes

    def _undecided(self, file: TfliteFile, block: Block, known: Mapping[str, bool]) -> dict[str, str]:
        """One-operator models by key, for operators of which the report does not say which are meant."""
        wanted: dict[str, str] = {}
        for type_ in block.reasons:
            keys = {file.key(op): op for op in file.ops if op.type == type_ and not file.unpacks(op)}
            if len(keys) < 2:
                continue
            for key, op in keys.items():
                if key not in known:
                    path = self.folder / f"probe-{key}.tflite"
                    path.write_bytes(file.cut(op))
                    wanted[key] = str(path)
        return wanted

    def _run(self, model: Any, request: Request) -> Answer:
        if not request.outputs and not request.latency_runs:
            return Answer("ok")
        key, signature = next(iter(model.get_signature_list().items()))
        details = model.get_input_tensor_details(key)
        try:
            inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
            for name, buffer in zip(signature["inputs"], inputs, strict=True):
                buffer.write(_feed(request, name, details[name]))
            model.run_by_index(0, inputs, outputs)
            found = _results(model, key, signature["outputs"], outputs) if request.outputs else []
            latency = measure(lambda: _once(model, inputs, outputs), request.latency_runs, 1)
        except (RuntimeError, ValueError, TypeError) as error:
            return Answer("failed", reason=f"running the model: {str(error)[:2000]}")
        path = self.folder / f"outputs-{self.asked}.npz"
        return Answer("ok", outputs=tensors.write(path, found) if request.outputs else None, latency=latency)


def open(name: str, folder: Path) -> GpuWorker:
    """A worker for ``litert/gpu``."""
    return GpuWorker(folder)


def accepted(answer: Answer) -> bool:
    """Whether the delegate took the operator of a one-operator model.

    A kernel is made only for what the check let through, so a crash or an error while making it means that it
    was taken.
    """
    return _CREATED in answer.log and _HEAD not in answer.log


def _matching(file: TfliteFile, reports: list[Block]) -> Block | None:
    """The report about a subgraph, taken from the list; None when it was taken whole. They come in the order
    of subgraphs.
    """
    types = {op.type for op in file.ops}
    for position, block in enumerate(reports):
        if block.gpu + block.cpu == len(file.ops) and set(block.reasons) <= types:
            return reports.pop(position)
    return None


def _whole(file: TfliteFile, created: bool, first: int) -> tuple[list[Placed], int, dict[str, Any]]:
    """Nothing was rejected: everything runs on the GPU, if a kernel was made at all."""
    device, partition = ("accelerator", first) if created else ("unknown", None)
    reason = "" if created else "the delegate neither rejected an operator nor made a kernel"
    placed = [
        _folded(file, op) or Placed(op.index, file.label(op), op.type, device, file.graph, partition, reason)
        for op in file.ops
    ]
    return placed, 1 if created and file.ops else 0, {}


def _folded(file: TfliteFile, op: Op) -> Placed | None:
    if not file.unpacks(op):
        return None
    return Placed(
        op.index,
        file.label(op),
        op.type,
        "folded",
        file.graph,
        reason="float16 constant: the delegate reads it as it is",
    )


def _split(
    file: TfliteFile, block: Block, known: Mapping[str, bool], first: int
) -> tuple[list[Placed], int, dict[str, Any]]:
    reasons = {op.index: _reason(file, op, block, known) for op in file.ops}
    supported = {index for index, reason in reasons.items() if reason is None}
    found = partitions(file.ops, supported)
    chosen = largest(found, PARTITIONS)
    gpu = {index for partition in chosen for index in partition}
    notes: dict[str, Any] = {
        "counts": {"gpu": block.gpu, "cpu": block.cpu},
        "reasons": block.reasons,
        "pieces": [len(item) for item in found],
    }
    agrees = len(gpu) == block.gpu
    if not agrees:
        notes["disagreement"] = f"{len(gpu)} operators found, {block.gpu} counted by the runtime"
    placed = []
    for op in file.ops:
        device = "cpu" if op.index not in gpu else "accelerator"
        reason = reasons[op.index] or (
            ""
            if op.index in gpu
            else f"supported, but the delegate is assigned only the largest of {len(found)} partitions"
        )
        if not agrees and op.index in supported:
            device, reason = "unmapped", notes["disagreement"]
        placed.append(
            Placed(
                op.index,
                file.label(op),
                op.type,
                device,
                file.graph,
                first if device == "accelerator" else None,
                reason,
            )
        )
    return placed, len(chosen), notes


def _reason(file: TfliteFile, op: Op, block: Block, known: Mapping[str, bool]) -> str | None:
    """Why the delegate rejected the operator, None when it did not."""
    if file.unpacks(op):
        return "float16 constant: left on the CPU because other operators are"
    words = block.reasons.get(op.type)
    if words is None or known.get(file.key(op), False):
        return None
    return " / ".join(item for item in words if item) or "rejected without a reason"


def _feed(request: Request, name: str, details: Mapping[str, Any]) -> Any:
    import numpy as np

    if request.inputs is None:
        from ..inputs import draw

        shape = [int(dim) if dim > 0 else 1 for dim in details["shape"]]
        return draw(details["name"], details["dtype"], shape, int(request.options.get("seed", 0)))
    given = tensors.read(request.inputs)
    found = pick(given, int(details["index"]), details["name"], name)
    if found is None:
        raise ValueError(f"no array for input {name!r}: given are {', '.join(given) or 'none'}")
    return np.ascontiguousarray(given[found])


def _results(model: Any, key: str, names: list[str], buffers: list[Any]) -> list[tuple[str, Any]]:
    import numpy as np

    details = model.get_output_tensor_details(key)
    result = []
    for name, buffer in zip(names, buffers, strict=True):
        shape = tuple(int(dim) for dim in details[name]["shape"])
        values = buffer.read(int(np.prod(shape)), np.dtype(details[name]["dtype"]))
        result.append((details[name]["name"], np.asarray(values).reshape(shape)))
    return result


def _once(model: Any, inputs: list[Any], outputs: list[Any]) -> None:
    """One run, waited for: reading an output is what makes the host wait for the device."""
    model.run_by_index(0, inputs, outputs)
    if outputs:
        import numpy as np

        outputs[0].read(1, np.dtype("float32"))


def _reasons(printed: str, error: str) -> str:
    """The lines that say why, without the chatter of start-up."""
    marks = (
        "ERROR:",
        "WARNING: Attempting to use a delegate",
        "E0000",
        "INTERNAL:",
        "UNIMPLEMENTED:",
        "INVALID_ARGUMENT:",
    )
    skip = ("compiler_plugin.cc", "npu_registry", "InitGoogle")
    lines = [
        line.strip()
        for line in printed.splitlines()
        if line.startswith(marks) and not any(item in line for item in skip)
    ]
    last = error.strip().splitlines()[-1].strip("└ ") if error.strip() else ""
    return " | ".join([*dict.fromkeys(lines), last])[:2000]
