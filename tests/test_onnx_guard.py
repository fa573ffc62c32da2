"""onnx's own C++ on models that make it loop or grow: an answer in seconds, whatever the model."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from accelint.analyzer.errors import LimitError
from accelint.analyzer.formats.onnx import guard
from accelint.analyzer.formats.onnx.bounds import malformed, sure
from cli import accelint, report
from onnx import TensorProto, helper, numpy_helper, parser

QNN = "onnxruntime/qnn:sm8650"
INTS = TensorProto.INT64


def model(nodes: list[onnx.NodeProto], inputs: dict[str, tuple[int, list[int | str] | None]], result: str,
          constants: dict[str, object] | None = None, kind: int = 1) -> onnx.ModelProto:  # fmt: skip
    infos = [helper.make_tensor_value_info(name, *given) for name, given in inputs.items()]
    stored = [numpy_helper.from_array(np.array(value), name) for name, value in (constants or {}).items()]
    output = helper.make_tensor_value_info(result, kind, None)
    return helper.make_model(
        helper.make_graph(nodes, "g", infos, [output], stored),
        opset_imports=[helper.make_opsetid("", 18)], ir_version=9,
    )  # fmt: skip


def einsum(equation: str, operands: int = 2) -> onnx.ModelProto:
    node = helper.make_node("Einsum", ["x"] * operands, ["y"], equation=equation)
    return model([node], {"x": (1, ["a", "b"])}, "y")


def doubled(kind: str, times: int) -> onnx.ModelProto:
    """Each operator reads the one before twice: Gather doubles the rank, Concat the list that is followed."""
    more = {"axis": 0} if kind == "Concat" else {}
    nodes = [helper.make_node("Shape", ["x"], ["x0"])] if kind == "Concat" else []
    nodes += [helper.make_node(kind, [f"x{i}"] * 2, [f"x{i + 1}"], **more) for i in range(times)]
    first = "x" if kind == "Concat" else "x0"
    return model(nodes, {first: (INTS, [2, 2])}, f"x{times}", kind=INTS)


def shaped(kind: str, length: int) -> onnx.ModelProto:
    """A result of as many dimensions as an operand has elements."""
    given: dict[str, tuple[int, list[int | str] | None]] = {"s": (INTS, [length])}
    names = ["s"]
    if kind != "ConstantOfShape":
        given, names = {"x": (1, [2, 2]), **given}, ["x", *([""] * 2 if kind == "Resize" else []), "s"]
    return model([helper.make_node(kind, names, ["y"])], given, "y")


def stepping(step: int) -> onnx.ModelProto:
    constants = {"a": [1], "b": [2**31 - 1], "ax": [0], "st": [step]}
    nodes = [helper.make_node("Shape", ["x"], ["s"]), helper.make_node("Slice", ["s", *constants], ["y"])]
    return model(nodes, {"x": (1, [2, 2, 3])}, "y", constants, INTS)


UNBOUNDED = {
    "an equation with an ellipsis": einsum("i...,j...->ij..."),
    "an equation for more operands": einsum("ij,jk->ik", 1),
    "ranks that double": doubled("Gather", 30),
    "lists that double": doubled("Concat", 30),
    "a step that overflows": stepping(2**31 - 2),
    "a function": parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17, "d": 1]> g (float[1] x) => (float[1] y) { y = d.F(x) }'
        '<domain: "d", opset_import: ["": 17]> F (a) => (b) { b = Relu(a) }'
    ),
    **{
        f"{kind} by a list of 2^60": shaped(kind, 2**60)
        for kind in ("Reshape", "Expand", "ConstantOfShape", "Resize")
    },
}
BOUNDED = {
    "a product": einsum("ij,jk->ik"),
    "ranks that double twice": doubled("Gather", 3),
    "lists that double twice": doubled("Concat", 3),
    "a step": stepping(2),
    "the shape of a shape": model(
        [
            helper.make_node("Shape", ["x"], ["s"]),
            helper.make_node("Gather", ["s", "i"], ["n"]),
            helper.make_node("Unsqueeze", ["n", "ax"], ["u"]),
            helper.make_node("Concat", ["u", "m"], ["t"], axis=0),
            helper.make_node("Reshape", ["x", "t"], ["y"]),
        ],
        {"x": (1, ["n", 2, 3])},
        "y",
        {"i": 0, "ax": [0], "m": [-1]},
    ),
    **{
        f"{kind} by a list of 4": shaped(kind, 4)
        for kind in ("Reshape", "Expand", "ConstantOfShape", "Resize")
    },
}


@pytest.mark.parametrize("name", UNBOUNDED)
def test_what_has_no_bound_is_not_inferred_here(name: str) -> None:
    assert not sure(UNBOUNDED[name])


@pytest.mark.parametrize("name", BOUNDED)
def test_what_has_a_bound_starts_no_process(name: str) -> None:
    assert sure(BOUNDED[name])


@pytest.mark.parametrize("name", [*UNBOUNDED, *BOUNDED])
@pytest.mark.parametrize("values", [False, True])
def test_the_child_answers_what_onnx_answers_or_that_it_takes_too_long(
    name: str, values: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = (UNBOUNDED | BOUNDED)[name]
    monkeypatch.setattr(guard, "SECONDS", 2.0)
    started = time.monotonic()
    try:
        told: bytes | None = guard._child.ask(found.SerializeToString(), {"do": "infer", "values": values})
    except LimitError:
        told = None
    assert time.monotonic() - started < 15
    if name in BOUNDED:
        assert told == onnx.shape_inference.infer_shapes(found, data_prop=values).SerializeToString()


@pytest.mark.parametrize("equation", ["ij,ij..", "..", "i.j", "ij->..", "i-j", "ij->k->l", "i....j"])
def test_a_malformed_equation_is_told_and_not_asked(equation: str) -> None:
    assert "Einsum is malformed" in malformed(einsum(equation))
    with pytest.raises(ValueError, match="malformed"):
        guard.infer_shapes(einsum(equation).SerializeToString(), values=False)


@pytest.mark.parametrize(
    "equation", ["ij,jk->ik", "ij, jk -> ik", "...ij,...jk->...ik", "ii", "i,j", "", "...->..."]
)
def test_an_equation_that_is_none_of_them(equation: str) -> None:
    assert not malformed(einsum(equation))


@pytest.mark.parametrize("command", ["check", "fix", "verify"])
def test_the_equation_that_hung(command: str, tmp_path: Path) -> None:
    path = tmp_path / "einsum.onnx"
    onnx.save(einsum("ij,ij.."), path)
    result = accelint(command, path, "--target", QNN, *(["--json"] if command == "fix" else []), timeout=30)
    assert result.returncode in (0, 1, 4, 5), result.stderr


def test_ranks_beyond_reason_are_unknown_shapes_and_no_hang(tmp_path: Path) -> None:
    path = tmp_path / "ranks.onnx"
    onnx.save(doubled("Gather", 30), path)
    started = time.monotonic()
    target = report("check", path, "--target", QNN)["models"][0]["targets"][0]
    assert time.monotonic() - started < 20
    assert target["operators"], "the operators are judged all the same"


BELOW_ZERO = {
    "MaxPool": "p=MaxPool<kernel_shape=[9,9]>(x)",
    "Conv": "p=Conv(x,w)",
    "ConvTranspose": "p=ConvTranspose<pads=[9,9,9,9]>(x,v)",
    "TopK": "p,i=TopK(x,k)",
    "Resize": "p=Resize(x,,s)",
    "Pad": "p=Pad(x,b)",
    "Relu of Pad": "q=Pad(x,b) p=Relu(q)",
}


def sliced(step: str, value_info: str = "") -> onnx.ModelProto:
    """A Slice of what has a size below zero, on every axis."""
    text = f"""<ir_version: 9, opset_import: ["": 18]>
        g (float[1,3,4,4] x, float[3,3,9,9] w, float[3,3,1,1] v) => (float[a,b,c,d] y)
        <int64[1] k={{-3}}, float[4] s={{1.0,1.0,-2.0,-2.0}}, int64[8] b={{0,0,-9,-9,0,0,0,0}},
         int64[4] z={{0,0,0,0}}, int64[4] e={{9,9,9,9}}, int64[4] ax={{0,1,2,3}}
         {value_info}> {{ {step} y=Slice(p,z,e,ax) }}"""
    return parser.parse_model(text)


@pytest.mark.parametrize("kind", BELOW_ZERO)
def test_a_slice_of_a_size_below_zero_is_not_inferred_here(kind: str) -> None:
    assert not sure(sliced(BELOW_ZERO[kind]))


def test_a_slice_of_other_sizes_is_inferred_here() -> None:
    assert sure(sliced("p=Relu(x)"))
    assert sure(sliced("q=Conv(x,w) t=Shape(q) p=Relu(x)"))
    assert not sure(sliced("p=Relu(x)", ", float[1,3,-4,4] p"))


def test_a_size_below_zero_does_not_end_the_process(tmp_path: Path) -> None:
    for at, step in enumerate(BELOW_ZERO.values()):
        onnx.save(sliced(step), tmp_path / f"m{at}.onnx")
    stated = sliced("p=Relu(x)")
    stated.graph.value_info.append(helper.make_tensor_value_info("p", 1, [1, 3, -4, 4]))
    onnx.save(stated, tmp_path / "stated.onnx")
    result = accelint("check", tmp_path, "--target", QNN, timeout=60)
    assert result.returncode in (0, 1, 3), result.stderr


@pytest.mark.parametrize("target", ["coreml/convertible-onnx", "coreml/ane", "onnxruntime/cpu"])
def test_the_equation_that_hung_is_asked_of_no_single_operator_either(target: str, tmp_path: Path) -> None:
    path = tmp_path / "einsum.onnx"
    found = einsum("ij,ij..")
    found.opset_import[0].version = 61
    onnx.save(found, path)
    result = accelint("check", path, "--target", target, timeout=30)
    assert result.returncode in (0, 1, 2), result.stderr
