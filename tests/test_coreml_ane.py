"""The Neural Engine's pack against the measured programs, and what it says of whole models."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from accelint.analyzer.check.run import check
from accelint.analyzer.conform.corpora.mil.cases import BUILDERS, Measured, programs, read_table, said
from accelint.analyzer.conform.corpora.mil.corpus import cases
from accelint.analyzer.flows.check_file import check_file
from accelint.analyzer.formats import load
from accelint.analyzer.formats.coreml.build import build, package
from accelint.analyzer.formats.coreml.schema import message, operators
from accelint.analyzer.ir.graph import Graph, Operator, Tensor
from accelint.rules.conditions import Context
from accelint.rules.predicates.coreml import states_at_most, weights_without_blocks
from accelint.rules.registry import choose, load_pack
from accelint.rules.verdict import Answer, Verdict

FIXTURES = Path(__file__).parent.parent / "fixtures" / "coreml"
TABLE = read_table()
NOT_OPERATORS = {"const"}
"""Stored values: the reader makes tensors of them."""


def test_every_measured_case_has_a_program() -> None:
    assert len(TABLE) == 232
    assert {measured.name for measured in TABLE} == set(BUILDERS)


@pytest.mark.parametrize("measured", TABLE, ids=lambda measured: measured.name)
@pytest.mark.parametrize("device", ["ane", "gpu"])
def test_the_pack_answers_as_measured(measured: Measured, device: str) -> None:
    chosen = choose(f"coreml/{device}")
    for program in programs(measured.name):
        verdicts = {op.id: op.verdict.value for op in check(program.graph, chosen).operators}
        for id in program.asked:
            expected = said(measured, device, program, id)
            assert not expected or verdicts[id] == expected, program.graph.op(id)


def test_the_table_has_both_answers() -> None:
    """The comparison above can fail: support and refusal are both among the expectations."""
    told = Counter(
        said(m, "ane", program, id) for m in TABLE for program in programs(m.name) for id in program.asked
    )
    assert told == {"accelerated": 209, "fallback": 60, "unknown": 1}


def test_a_program_that_is_written_and_read_again_gets_the_same_verdicts(tmp_path: Path) -> None:
    chosen = choose("coreml/ane:m4")
    for case in cases():
        path = tmp_path / "case.mlmodel"
        path.write_bytes(case.build())
        read = {op.name: op.verdict for op in check(load(path), chosen).operators}
        made = {op.name: op.verdict for op in check(case.program.graph, chosen).operators}
        assert read == made, case.name


def test_a_program_can_be_put_into_a_package(tmp_path: Path) -> None:
    (program,) = programs("linear")
    package(build({"main": program.graph}), tmp_path / "linear.mlpackage")
    model = load(tmp_path / "linear.mlpackage")
    assert model.format == "mlpackage"
    assert [(op.type, op.inputs) for op in model.graph.ops()] == [
        (op.type, op.inputs) for op in program.graph.ops()
    ]
    assert model.metadata["specification_version"] == 9


ORACLE = """
import sys
from pathlib import Path
from coremltools.converters.mil.frontend.milproto.load import load
from coremltools.proto import Model_pb2
for path in sorted(Path(sys.argv[1]).glob("*.mlmodel")):
    spec = Model_pb2.Model.FromString(path.read_bytes())
    try:
        function = load(spec, spec.specificationVersion, sys.argv[1]).functions["main"]
    except Exception as error:
        print("refused", path.stem, type(error).__name__, error)
        continue
    block = spec.mlProgram.functions["main"].block_specializations["CoreML8"]
    results = [value for op in block.operations for value in op.outputs]
    declared = {v.name: [d.constant.size for d in v.type.tensorType.dimensions] for v in results}
    for op in function.operations:
        for var in op.outputs:
            pairs = zip(declared.get(var.name, []), var.shape)
            wrong = [(a, b) for a, b in pairs if isinstance(b, int) and a != b]
            if wrong and op.op_type != "const":
                print("shape", path.stem, op.op_type, declared[var.name], var.shape)
print("done")
"""


def test_coremltools_reads_every_program_and_infers_the_same_shapes(tmp_path: Path) -> None:
    """All but non_maximum_suppression, whose program coremltools cannot parse; the measurement could not
    either.
    """
    for case in cases():
        (tmp_path / f"{case.name.replace('/', '_')}.mlmodel").write_bytes(case.build())
    answer = subprocess.run(
        [sys.executable, "-c", ORACLE, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if "No module named 'coremltools'" in answer.stderr:
        pytest.skip("needs coremltools: pip install 'accelint[coreml]'")
    lines = [line for line in answer.stdout.splitlines() if line.startswith(("refused", "shape", "done"))]
    assert lines == ["refused nms_0 KeyError 'score_threshold'", "done"], answer.stderr[-1000:]


@pytest.mark.parametrize("target", ["coreml/ane", "coreml/gpu", "coreml/cpu"])
def test_every_operator_of_mil_has_an_entry(target: str) -> None:
    pack = load_pack(target)
    spoken = pack.known | {name for rule in pack.rules for name in rule.ops}
    constant = {name for name in operators() if name.startswith("constexpr_")} | NOT_OPERATORS
    assert set(operators()) - spoken - constant == set()
    stages = {field.name for field in message("Model").DESCRIPTOR.oneofs_by_name["Type"].fields}
    assert spoken - set(operators()) - stages == {"*"}


@pytest.mark.parametrize("target", ["coreml/ane-nn", "coreml/gpu-nn", "coreml/cpu-nn"])
def test_every_layer_has_an_entry(target: str) -> None:
    pack = load_pack(target)
    spoken = pack.known | {name for rule in pack.rules for name in rule.ops}
    layers = {field.name for field in message("NeuralNetworkLayer").DESCRIPTOR.oneofs_by_name["layer"].fields}
    stages = {field.name for field in message("Model").DESCRIPTOR.oneofs_by_name["Type"].fields}
    assert len(layers) == 158
    assert layers - spoken <= {"loadConstant", "loadConstantND"}
    assert spoken - layers - stages == {"*"}


def test_network_models_are_checked_by_the_pack_of_their_dialect() -> None:
    entry = check_file(FIXTURES / "pipeline.mlmodel", [choose("coreml/ane:m1")])
    (coverage,) = entry.coverages
    assert coverage.target == "coreml/ane-nn:m1"
    assert [op.verdict.value for op in coverage.operators] == ["accelerated", "accelerated", "fallback"]


def verdicts(name: str, target: str = "coreml/ane:m4") -> dict[str, str]:
    return {op.name: op.verdict.value for op in check(load(FIXTURES / name), choose(target)).operators}


def test_a_plain_network_runs_there() -> None:
    assert set(verdicts("conv_net.mlpackage").values()) == {"accelerated"}


def test_compressed_weights_are_folded_and_blocks_are_not_known() -> None:
    assert verdicts("palettized.mlpackage")["mix"] == "accelerated"
    assert verdicts("palettized.mlpackage")["mix_weight_0_palettized"] == "folded"
    assert verdicts("quantized.mlpackage")["project"] == "accelerated"
    assert verdicts("blockwise.mlpackage")["project"] == "unknown"


def test_control_flow_and_what_is_in_it_run_on_the_cpu() -> None:
    found = check(load(FIXTURES / "control_flow.mlpackage"), choose("coreml/ane:m4"))
    assert [op.verdict for op in found.operators if "/body/" in op.id] == [Verdict.FALLBACK] * 6
    assert found.operators[0].verdict is Verdict.FALLBACK


def test_flexible_models_are_judged_at_their_default_shapes_and_say_so() -> None:
    found = check(load(FIXTURES / "flexible.mlpackage"), choose("coreml/ane:m4"))
    assert {op.verdict for op in found.operators} == {Verdict.ACCELERATED}
    assert {item.rule for item in found.findings} == {"judged-at-the-default-shape"}
    assert "by default 1x3x16x8" in found.findings[0].message


def test_a_classifier_ends_on_the_cpu() -> None:
    assert verdicts("classifier.mlpackage")["classify_0"] == "fallback"
    assert verdicts("classifier.mlpackage")["scores_cast_to_fp32"] == "accelerated"


def test_a_program_that_is_newer_than_the_system_is_rejected() -> None:
    assert set(verdicts("state.mlpackage", "coreml/ane:m4@17.5").values()) == {"rejected"}
    assert "rejected" not in verdicts("state.mlpackage", "coreml/ane:m4@18.0").values()


@pytest.mark.parametrize(
    ("shape", "answer"), [((64, 1), Answer.HOLDS), ((64, 2), Answer.FAILS), (None, Answer.FAILS)]
)
def test_blocks_are_told_by_the_shape_of_the_scales(shape: tuple[int, ...] | None, answer: Answer) -> None:
    graph = Graph("main", "mil")
    for name, dims in {
        "data": (64, 64),
        "scale": shape,
        "weight": (64, 64),
        "x": (1, 64),
        "y": (1, 64),
    }.items():
        graph.add_tensor(Tensor(name, "float16", dims))
    names = {"input_names": ("data", "scale")}
    graph.add_op(Operator("main/0", "constexpr_blockwise_shift_scale", ("data", "scale"), ("weight",), names))
    op = Operator("main/1", "linear", ("x", "weight"), ("y",))
    graph.add_op(op)
    assert weights_without_blocks(graph, op, Context()).answer is answer


def test_states_are_counted_in_the_function() -> None:
    graph = Graph("main", "mil")
    for index in range(3):
        graph.add_tensor(Tensor(f"state{index}", "float16", (1,), attrs={"is_variable": True}))
    graph.set_interface(["state0", "state1"], [])
    op = Operator("main/0", "write_state", ("state0",))
    graph.add_op(op)
    assert states_at_most(graph, op, Context(), most=2).answer is Answer.HOLDS
    graph.set_interface(["state0", "state1", "state2"], [])
    assert states_at_most(graph, op, Context(), most=2).answer is Answer.FAILS
