"""Every rewrite of ML Programs: it settles, keeps the graph valid and its interface, keeps its promise by
the reference evaluation, and what is written is loaded by coremltools.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accelint.analyzer.formats import emit, load
from accelint.analyzer.proof.parity import compare
from accelint.analyzer.proof.reference import has_halves
from accelint.analyzer.runtimes import Request, Session, inputs, tensors
from accelint.rewrites.engine import Miss, run
from accelint.rewrites.planner import tidy
from accelint.rewrites.promise import Promise, weakest
from accelint.rewrites.registry import rewrite, rewrites

ct = pytest.importorskip("coremltools", reason="pip install 'accelint[coreml]'")
from rewrite_cases_mil import APPLIES, MISSES, Program, counted_list  # noqa: E402 (needs coremltools)

CASES = [(id, name) for id, cases in APPLIES.items() for name in cases]


@pytest.fixture(scope="module")
def session() -> Any:
    with Session("coreml/reference") as found:
        yield found


def package(program: Program, path: Path, ios: int = 18) -> Path:
    """A package of what a case builds, written by coremltools without its passes."""
    from coremltools.converters.mil import Builder as mb
    from coremltools.converters.mil.mil import types

    arrays, build = program
    kinds = {"float16": types.fp16, "float32": types.fp32, "int32": types.int32}
    specs = [mb.TensorSpec(shape=item.shape, dtype=kinds[str(item.dtype)]) for item in arrays.values()]
    scope: dict[str, Any] = {"build": build}
    names = ", ".join(arrays)
    exec(f"def program({names}): return build({names})", scope)  # inputs are named as the arguments
    target = getattr(ct.target, f"iOS{ios}")
    made = mb.program(input_specs=specs, opset_version=target)(scope["program"])
    ct.convert(
        made, minimum_deployment_target=target, skip_model_load=True,
        compute_precision=ct.precision.FLOAT32, pass_pipeline=ct.PassPipeline.EMPTY,
    ).save(str(path))  # fmt: skip
    return path


def interface(model: Any) -> list[tuple[str, str, object]]:
    graph = model.graph
    return [
        (name, graph.tensor(name).dtype, graph.tensor(name).shape) for name in (*graph.inputs, *graph.outputs)
    ]


def agrees(session: Session, before: Path, after: Path, graph: Any, promise: Promise, folder: Path) -> None:
    halves = has_halves(graph)
    promise = weakest(promise, Promise.ROUNDING) if halves else promise
    for seed in (1, 2):
        feeds = tensors.write(folder / f"{seed}.npz", inputs.for_graph(graph, seed=seed))
        found = []
        for model in (before, after):
            answer = session.ask(Request(model, inputs=feeds, outputs=True, placement=False))
            assert answer.ok, answer.reason
            found.append(answer.tensors())
        result = compare(found[0], found[1], str(promise), "fp16" if halves else "fp32")
        assert result.agrees, result.problems


def loads(path: Path) -> None:
    """By coremltools, which checks what Core ML's own types allow."""
    from coremltools.converters.mil.frontend.milproto import load as milproto

    model = ct.models.MLModel(str(path), skip_model_load=True)
    spec = model.get_spec()
    milproto.load(spec, spec.specificationVersion, model.weights_dir)


@pytest.mark.parametrize(("id", "name"), CASES, ids=[f"{id}-{name}" for id, name in CASES])
def test_it_applies_settles_and_keeps_its_promise(
    id: str, name: str, session: Session, tmp_path: Path
) -> None:
    before = package(APPLIES[id][name], tmp_path / "before.mlpackage")
    model, item = load(before), rewrite(id)
    stated = interface(model)
    assert run(model.graph, [item]).get(id, 0) >= 1, "it does not apply"
    assert run(model.graph, [item]) == {}, "it does not settle"
    model.graph.validate()
    assert interface(model) == stated
    emit(model, tmp_path / "after.mlpackage")
    loads(tmp_path / "after.mlpackage")
    agrees(session, before, tmp_path / "after.mlpackage", model.graph, item.parity, tmp_path)
    tidy(model.graph, rewrites("mil"))
    model.graph.validate()
    emit(model, tmp_path / "tidy.mlpackage")
    loads(tmp_path / "tidy.mlpackage")
    assert interface(load(tmp_path / "tidy.mlpackage")) == stated
    agrees(session, before, tmp_path / "tidy.mlpackage", model.graph, item.parity, tmp_path)


NEAR = [(id, name) for id, cases in MISSES.items() for name in cases]


@pytest.mark.parametrize(("id", "name"), NEAR, ids=[f"{id}-{name}" for id, name in NEAR])
def test_a_near_miss_says_which_guard_held(id: str, name: str, tmp_path: Path) -> None:
    program, words = MISSES[id][name]
    model, item = load(package(program, tmp_path / "model.mlpackage")), rewrite(id)
    before = model.graph.edits
    found = [item.look(model.graph, op) for op in model.graph.ops() if item.speaks_of(op)]
    assert found and all(isinstance(miss, Miss) for miss in found)
    assert any(words in miss.reason for miss in found if isinstance(miss, Miss)), found
    assert model.graph.edits == before


def test_a_loop_over_a_list_becomes_plain_operators(session: Session, tmp_path: Path) -> None:
    before = package(counted_list(), tmp_path / "before.mlpackage")
    model = load(before)
    for _ in range(3):
        run(model.graph, [rewrite("unroll-loops-mil"), rewrite("lists-as-values-mil")])
        tidy(model.graph, rewrites("mil"))
    assert {"while_loop", "make_list", "list_write", "list_gather"} & {
        op.type for op in model.graph.ops()
    } == set()
    emit(model, tmp_path / "after.mlpackage")
    loads(tmp_path / "after.mlpackage")
    agrees(session, before, tmp_path / "after.mlpackage", model.graph, Promise.BIT_EXACT, tmp_path)


def test_large_new_weights_go_to_the_weight_file(tmp_path: Path) -> None:
    """And those that nothing reads any more leave it."""
    from accelint.rewrites.engine import run as apply

    rows = np.random.default_rng(1).normal(size=(64, 300)).astype(np.float32)
    from coremltools.converters.mil import Builder as mb

    before = package(
        ({"x": np.zeros((1, 300), np.float32)}, lambda x: mb.linear(x=x, weight=rows)),
        tmp_path / "a.mlpackage",
    )
    model = load(before)
    apply(model.graph, [rewrite("float32-to-float16")])
    after = tmp_path / "b.mlpackage"
    emit(model, after)
    sizes = [(item / "Data/com.apple.CoreML/weights/weight.bin").stat().st_size for item in (before, after)]
    assert sizes[0] > rows.nbytes and rows.nbytes // 2 < sizes[1] < rows.nbytes // 2 + 1024
    assert (after / "Data/com.apple.CoreML/model.mlmodel").stat().st_size < 10_000
    loads(after)
    [weight] = [
        tensor
        for tensor in load(after).graph.tensors.values()
        if tensor.const is not None and tensor.shape == (64, 300)
    ]
    np.testing.assert_array_equal(weight.const.read(), rows.astype(np.float16))


def test_new_values_leave_the_names_of_stored_configurations(session: Session, tmp_path: Path) -> None:
    """A stored ``pad`` of a convolution may be called as the widths of the pad before its parts."""
    from accelint.analyzer.formats.coreml.schema import message
    from coremltools.converters.mil import Builder as mb

    weight = np.linspace(-1, 1, 2 * 2 * 20, dtype=np.float16).reshape(2, 2, 1, 20)
    program = {"x": np.zeros((1, 2, 3, 30), np.float16)}
    before = package(
        (program, lambda x: mb.conv(x=x, weight=weight, pad_type="same", name="stem")),
        tmp_path / "a.mlpackage",
    )
    file = before / "Data/com.apple.CoreML/model.mlmodel"
    spec = message("Model").FromString(file.read_bytes())
    [block] = spec.mlProgram.functions["main"].block_specializations.values()
    for op in block.operations:
        for argument in op.inputs.values():
            for binding in argument.arguments:
                binding.name = binding.name.replace("stem_pad_0", "stem_pad")
        if op.type == "const":
            op.outputs[0].name = op.outputs[0].name.replace("stem_pad_0", "stem_pad")
    file.write_bytes(spec.SerializeToString())
    model = load(before)
    run(model.graph, [rewrite("split-large-kernels")])
    emit(model, tmp_path / "b.mlpackage")
    loads(tmp_path / "b.mlpackage")
    agrees(session, before, tmp_path / "b.mlpackage", model.graph, Promise.ROUNDING, tmp_path)
