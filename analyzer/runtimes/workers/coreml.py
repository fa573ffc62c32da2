"""Core ML's compute plan and prediction, on macOS 14.4 or later.

Not run by accelint's own tests, which need no Mac: written against the documented interface of
``coremltools`` 9.0 (``coremltools.models.compute_plan``, ``coremltools.models.compute_device``) and tested on
recorded plans in its data classes.

A plan says which device Core ML prefers for an operation before anything runs. With flexible shapes it may
differ from what runs, so a placement is the plan's word; comparing the outputs with those on the CPU alone is
the caller's part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import tensors
from ..answers import Answer, Placed, Request
from .timing import measure

_UNITS = {"coreml/cpu": "CPU_ONLY", "coreml/gpu": "CPU_AND_GPU", "coreml/ane": "CPU_AND_NE"}
_DEVICE = {"coreml/cpu": "CPU", "coreml/gpu": "GPU", "coreml/ane": "NeuralEngine"}
_BODIES = {"cond": ("true", "false"), "while_loop": ("condition", "body")}
"""What the nested blocks of an operation are called, in their order."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An operation of the file: graph path, index there (``const`` operations counted), type, names of its
    outputs.
    """

    graph: str
    index: int
    type: str
    outputs: tuple[str, ...]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Planned:
    """An operation or layer of the compiled model: its outputs, the preferred device and all that could run
    it; None when not said.
    """

    type: str
    outputs: tuple[str, ...]
    preferred: str | None
    supported: tuple[str, ...]
    cost: float | None = None


class CoreMlWorker:
    """Loads plans and runs predictions with the compute units that the runtime's name stands for."""

    def __init__(self, name: str, folder: Path) -> None:
        import coremltools
        from coremltools.models import compute_plan

        base, _, self.chip = name.partition(":")
        self.ct = coremltools
        self.plans = compute_plan.MLComputePlan
        self.units = getattr(coremltools.ComputeUnit, _UNITS[base])
        self.device = _DEVICE[base]
        self.folder = folder
        self.asked = 0

    def __call__(self, request: Request) -> Answer:
        """One answer; ``missing`` when this Mac is not the chip that was asked about or has no such
        device.
        """
        self.asked += 1
        absent = self._absent()
        if absent:
            return Answer("missing", reason=absent, advice="ask on a Mac that has it")
        try:
            compiled = self._compiled(request.model)
            plan = self.plans.load_from_path(path=str(compiled), compute_units=self.units)
        except Exception as error:  # coremltools raises RuntimeError, ValueError and bare Exception
            return Answer("refused", reason=str(error)[:2000])
        placement = (
            placed(
                list(stored(self.ct.utils.load_spec(str(request.model)))), list(planned(plan)), self.device
            )
            if request.placement
            else ()
        )
        ran = self._run(request)
        return Answer(
            ran.status,
            reason=ran.reason,
            placement=placement,
            outputs=ran.outputs,
            latency=ran.latency,
            notes={"machine": _machine()},
        )

    def _absent(self) -> str:
        from coremltools.models.compute_device import MLComputeDevice

        machine = _machine()
        if self.chip and self.chip.lower() not in machine.lower().split():
            return f"this machine is {machine or 'not an Apple chip'}, not {self.chip.upper()}"
        kinds = {kind(item) for item in MLComputeDevice.get_all_compute_devices()}
        return (
            ""
            if self.device in kinds
            else f"Core ML lists no {self.device} here, only {', '.join(sorted(kinds))} (a virtual machine?)"
        )

    def _compiled(self, model: Path) -> Path:
        target = self.folder / f"compiled-{self.asked}.mlmodelc"
        return Path(self.ct.models.utils.compile_model(str(model), str(target)))

    def _run(self, request: Request) -> Answer:
        if not request.outputs and not request.latency_runs:
            return Answer("ok")
        if request.inputs is None:
            return Answer("failed", reason="Core ML needs an array for each input: none were given")
        try:
            model = self.ct.models.MLModel(str(request.model), compute_units=self.units)
            feeds = tensors.read(request.inputs)
            found = model.predict(feeds)
            latency = measure(lambda: model.predict(feeds), request.latency_runs, 0)
        except Exception as error:
            return Answer("failed", reason=f"running the model: {str(error)[:2000]}")
        path = self.folder / f"outputs-{self.asked}.npz"
        return Answer(
            "ok", outputs=tensors.write(path, dict(found)) if request.outputs else None, latency=latency
        )


def open(name: str, folder: Path) -> CoreMlWorker:
    """A worker for ``coreml/cpu``, ``coreml/gpu`` or ``coreml/ane``, the latter with a chip behind a
    colon.
    """
    return CoreMlWorker(name, folder)


def kind(device: Any) -> str:
    """``NeuralEngine`` for an ``MLNeuralEngineComputeDevice``."""
    return type(device).__name__.removeprefix("ML").removesuffix("ComputeDevice")


def planned(plan: Any) -> Iterator[Planned]:
    """Everything that a plan tells of, nested blocks included. ``plan`` is an ``MLComputePlan``."""
    structure = plan.model_structure
    if structure.program is not None:
        todo = [function.block for function in structure.program.functions.values()]
        while todo:
            block = todo.pop()
            for op in block.operations:
                usage, cost = (
                    plan.get_compute_device_usage_for_mlprogram_operation(op),
                    plan.get_estimated_cost_for_mlprogram_operation(op),
                )
                names = tuple(item.name for item in op.outputs)
                yield _planned(op.operator_name, names, usage, None if cost is None else cost.weight)
                todo += op.blocks
    if structure.neuralnetwork is not None:
        for layer in structure.neuralnetwork.layers:
            usage = plan.get_compute_device_usage_for_neuralnetwork_layer(layer)
            yield _planned(layer.type, tuple(layer.output_names), usage, None)


def _planned(type_: str, outputs: tuple[str, ...], usage: Any, cost: float | None) -> Planned:
    if usage is None:
        return Planned(type_, outputs, None, (), cost)
    return Planned(
        type_,
        outputs,
        kind(usage.preferred_compute_device),
        tuple(map(kind, usage.supported_compute_devices)),
        cost,
    )


def stored(spec: Any) -> Iterator[Stored]:
    """The operations or layers of a model's specification with their places, ``const`` operations left
    out.
    """
    network = spec.WhichOneof("Type")
    if network == "mlProgram":
        todo = [(name, _block(function)) for name, function in spec.mlProgram.functions.items()]
        while todo:
            path, block = todo.pop()
            for index, op in enumerate(block.operations):
                if op.type == "const":
                    continue
                yield Stored(path, index, op.type, tuple(item.name for item in op.outputs))
                keys = _BODIES.get(op.type, ())
                todo += [
                    (f"{path}/{index}/{keys[at] if at < len(keys) else f'block{at}'}", inner)
                    for at, inner in enumerate(op.blocks)
                ]
    elif network in ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor"):
        for index, layer in enumerate(getattr(spec, network).layers):
            yield Stored("main", index, layer.WhichOneof("layer") or "", tuple(layer.output), layer.name)


def _block(function: Any) -> Any:
    blocks = function.block_specializations
    return blocks[function.opset] if function.opset in blocks else next(iter(blocks.values()))


def placed(file: list[Stored], plan: list[Planned], device: str) -> tuple[Placed, ...]:
    """Where each operation of the file is to run: on ``device``, elsewhere, or not told (``unknown``,
    ``unmapped``).

    The compiler may fuse and fold, so operations are followed by the names of what they write.
    """
    by_output = {name: item for item in plan for name in item.outputs}
    return tuple(
        _placed(item, next((by_output[name] for name in item.outputs if name in by_output), None), device)
        for item in file
    )


def _placed(item: Stored, found: Planned | None, device: str) -> Placed:
    label = item.name or next(iter(item.outputs), f"{item.graph}/{item.index}")
    where, reason = _verdict(found, device)
    return Placed(item.index, label, item.type, where, item.graph, reason=reason)


def _verdict(found: Planned | None, device: str) -> tuple[str, str]:
    if found is None:
        return "unmapped", "the compiled model has no operation that writes its result: fused or folded"
    if found.type.rpartition(".")[2] == "const":
        return "folded", "constant in the compiled model"
    if found.preferred is None:
        return "unknown", "the plan names no device"
    if found.preferred == device:
        return "accelerator", ""
    able = (
        "could run there too"
        if device in found.supported
        else f"only {', '.join(found.supported)} can run it"
    )
    return "cpu", f"Core ML prefers {found.preferred}; {able}"


def _machine() -> str:
    """``Apple M4 Pro``."""
    from ...processes.process import complete

    return complete(["sysctl", "-n", "machdep.cpu.brand_string"], 60.0).out.strip()
