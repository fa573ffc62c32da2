"""Core ML's worker on plans recorded in coremltools' own data classes. Nothing here ran on Core ML: that
takes a Mac.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from accelint.analyzer.formats import load
from accelint.analyzer.runtimes import Request, Session, catalog

pytest.importorskip("coremltools", reason="pip install 'accelint[coreml]'")
FIXTURES = Path(__file__).parent.parent / "fixtures" / "coreml"


class RecordedPlan:
    """What ``MLComputePlan`` gives: a structure, and per operation (by its first output) a usage or None."""

    def __init__(self, structure: Any, usages: dict[str, tuple[str, list[str]]]) -> None:
        self.model_structure = structure
        self._usages = usages

    def get_compute_device_usage_for_mlprogram_operation(self, op: Any) -> Any:
        return self._usage(op.outputs[0].name)

    def get_compute_device_usage_for_neuralnetwork_layer(self, layer: Any) -> Any:
        return self._usage(layer.output_names[0])

    def get_estimated_cost_for_mlprogram_operation(self, op: Any) -> Any:
        from coremltools.models.compute_plan import MLComputePlanCost

        return MLComputePlanCost(0.5) if op.outputs[0].name in self._usages else None

    def _usage(self, name: str) -> Any:
        from coremltools.models.compute_plan import MLComputePlanDeviceUsage

        if name not in self._usages:
            return None
        preferred, supported = self._usages[name]
        return MLComputePlanDeviceUsage(device(preferred), [device(item) for item in supported])


def device(kind: str) -> Any:
    """A device object without the native part that only macOS has."""
    from coremltools.models import compute_device

    return object.__new__(getattr(compute_device, f"ML{kind}ComputeDevice"))


def program(spec: Any) -> Any:
    """The structure of a program as Core ML gives it for the compiled model, constants included, types with
    their opset.
    """
    from coremltools.models import compute_plan as cp

    def block(stored: Any) -> Any:
        return cp.MLModelStructureProgramBlock(
            [], [operation(item) for item in stored.operations], list(stored.outputs)
        )

    def operation(stored: Any) -> Any:
        outputs = [
            cp.MLModelStructureProgramNamedValueType(item.name, cp.MLModelStructureProgramValueType())
            for item in stored.outputs
        ]
        return cp.MLModelStructureProgramOperation(
            {}, f"ios16.{stored.type}", outputs, [block(item) for item in stored.blocks], None
        )

    functions = {
        name: cp.MLModelStructureProgramFunction([], block(next(iter(item.block_specializations.values()))))
        for name, item in spec.mlProgram.functions.items()
    }
    return cp.MLModelStructure(None, cp.MLModelStructureProgram(functions), None)


def spec_of(path: Path) -> Any:
    from coremltools.proto import Model_pb2

    spec = Model_pb2.Model()
    file = path if path.is_file() else next(path.rglob("*.mlmodel"))
    spec.ParseFromString(file.read_bytes())
    return spec


ANE = ("NeuralEngine", ["CPU", "GPU", "NeuralEngine"])


def test_a_program_is_mapped_to_the_operators_that_the_reader_gives() -> None:
    from accelint.analyzer.runtimes.workers.coreml import placed, planned, stored

    path = FIXTURES / "conv_net.mlpackage"
    usages = {
        "stem": ANE,
        "relu_0": ANE,
        "pool": ("CPU", ["CPU", "GPU"]),
        "reshape_0": ("GPU", ["CPU", "GPU", "NeuralEngine"]),
        "head": ANE,
    }
    spec = spec_of(path)
    found = placed(list(stored(spec)), list(planned(RecordedPlan(program(spec), usages))), "NeuralEngine")
    assert [item.id for item in found] == [op.id for _, op in load(path).operators()]
    assert {item.name: item.device for item in found} == {
        "stem": "accelerator",
        "relu_0": "accelerator",
        "pool": "cpu",
        "reshape_0": "cpu",
        "head": "accelerator",
        "probabilities": "unknown",
    }
    reasons = {item.name: item.reason for item in found}
    assert reasons["pool"] == "Core ML prefers CPU; only CPU, GPU can run it"
    assert reasons["reshape_0"] == "Core ML prefers GPU; could run there too"


def test_nested_blocks_have_the_readers_ids() -> None:
    from accelint.analyzer.runtimes.workers.coreml import placed, planned, stored

    path = FIXTURES / "control_flow.mlpackage"
    spec = spec_of(path)
    found = placed(
        list(stored(spec)), list(planned(RecordedPlan(program(spec), {"mul_1": ANE}))), "NeuralEngine"
    )
    assert {item.id for item in found} == {op.id for _, op in load(path).operators()}
    assert [item.id for item in found if item.device == "accelerator"] == ["main/1/body/4/true/1"]


def test_layers_of_a_neural_network() -> None:
    from accelint.analyzer.runtimes.workers.coreml import placed, planned, stored
    from coremltools.models import compute_plan as cp

    path = FIXTURES / "network.mlmodel"
    spec = spec_of(path)
    layers = [
        cp.MLModelStructureNeuralNetworkLayer(
            item.name, item.WhichOneof("layer"), list(item.input), list(item.output), None
        )
        for item in spec.neuralNetworkClassifier.layers or spec.neuralNetwork.layers
    ]
    structure = cp.MLModelStructure(
        cp.MLModelStructureNeuralNetwork([item for item in layers if item.name != "act"]), None, None
    )
    usages = {item.output_names[0]: ANE for item in layers}
    found = placed(list(stored(spec)), list(planned(RecordedPlan(structure, usages))), "NeuralEngine")
    assert [item.id for item in found] == [op.id for _, op in load(path).operators()]
    assert {item.name: item.device for item in found if item.device != "accelerator"} == {"act": "unmapped"}


def test_off_macos_the_answer_is_that_a_mac_is_missing() -> None:
    runtime, variant = catalog.find("coreml/ane:m4")
    assert variant == "m4"
    if catalog.info(runtime).available:
        pytest.skip("this is a Mac")
    with Session("coreml/ane:m4") as session:
        answer = session.ask(Request(FIXTURES / "conv_net.mlpackage"))
    assert answer.status == "missing"
    assert "macOS" in answer.reason
