"""The model of ONNX Runtime's first optimization level beside ONNX Runtime's own: the same is left.

Each model stands on one side of a guard of one pass. ``tools/conformance/level1.py`` compares whole folders.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from accelint.analyzer.check.prepared import Prepared
from accelint.analyzer.flows.optimized import optimize
from accelint.analyzer.formats import load
from accelint.analyzer.optimizer.releases import changes, lacking
from cli import report
from counted import Calls
from onnx import numpy_helper, parser
from random_graphs import random_model

sys.path.append(str(Path(__file__).parent.parent / "tools" / "conformance"))
import level1

F, I = np.float32, np.int64  # noqa: E741
W, B, K = np.linspace(0, 1, 20, dtype=F).reshape(4, 5), np.ones(5, F), np.ones((3, 2, 3, 3), F)
ZERO, ONE, AXES = np.array(0), np.array(1), np.array([0])
SIZES = {"zero": ZERO, "one": ONE, "ax": AXES, "two": np.array([2]), "four": np.array([4])}
SPLIT = """g (float[N,M,8] x) => (float[N,M,2,4] y) { r=Neg(x)
 s=Shape(r) a=Gather(s,zero) au=Unsqueeze(a,ax) b=Gather(s,one) bu=Unsqueeze(b,ax)
 c=Concat<axis=0>(au,bu,two,four) y=Reshape(r,c) }"""
NORM = """g (float[2,3,4] x) => (float[2,3,4] y) { m=ReduceMean<axes=[-1]>(x) d=Sub(x,m) q=Pow(d,two)
 v=ReduceMean<axes=[-1]>(q) e=Add(v,eps) s=Sqrt(e) n=Div(d,s) t=Mul(n,scale) y=Add(t,bias) }"""
NORMS = {"two": np.array(2, F), "eps": np.array(1e-5, F), "scale": np.ones(4, F), "bias": np.zeros(4, F)}
GELU = """g (float[2,3] x) => (float[2,3] y) { d=Div(x,s) e=Erf(d) a=Add(e,o) m=Mul(x,a) y=Mul(m,h) }"""
GELUS = {"s": np.array(1.4142135, F), "o": np.array(1, F), "h": np.array(0.5, F)}
PADS = np.array([0, 0, 1, 1, 0, 0, 1, 1])
CONV = "g (float[1,2,8,8] x) => (float[1,3,6,6] y) { a=Conv(x,K) "
TOWARDS = """g (float[N,M,4] x) => (float[A,B,C] y, int64[3] z) { r=Relu(x) t=Transpose<perm=[1,0,2]>(r)
 c=Neg(t) """
FOCUS = """g (float[N,3,8,8] x) => (float[N,12,4,4] y) { a=Slice(x,s00,e,hw,st) b=Slice(x,s10,e,hw,st)
 c=Slice(x,s01,e,hw,st) d=Slice(x,s11,e,hw,st) """
EVERY_OTHER = {
    "s00": np.array([0, 0]), "s01": np.array([0, 1]), "s10": np.array([1, 0]), "s11": np.array([1, 1]),
    "e": np.array([8, (1 << 63) - 1]), "hw": np.array([2, -1]), "st": np.array([2, 2]),
}  # fmt: skip
ROWS_FIRST = """g (float[1,3,8,8] x) => (float[1,12,4,4] y) { r=Slice(x,zero,e,h,two) q=Slice(x,one,e,h,two)
 a=Slice(r,zero,e,w,two) b=Slice(q,zero,e,w,two) c=Slice(r,one,e,w,two) d=Slice(q,one,e,w,two)
 t=Concat<axis=1>(a,b,c,d) y=Relu(t) }"""
CASES = {
    "every other row and column": (FOCUS + "t=Concat<axis=1>(a,b,c,d) y=Relu(t) }", EVERY_OTHER),
    "in the order of SpaceToDepth": (FOCUS + "t=Concat<axis=-3>(a,c,b,d) y=Relu(t) }", EVERY_OTHER),
    "every other, unknown channels": (
        (FOCUS + "t=Concat<axis=1>(a,b,c,d) y=Relu(t) }").replace("[N,3,8,8]", "[N,C,8,8]"),
        EVERY_OTHER,
    ),
    "one twice": (FOCUS + "t=Concat<axis=1>(a,b,c,c) y=Relu(t) }", EVERY_OTHER),
    "along another axis": (
        (FOCUS + "t=Concat<axis=0>(a,b,c,d) y=Relu(t) }").replace("[N,12,4,4]", "[M,3,4,4]"),
        EVERY_OTHER,
    ),
    "not to the end": (
        FOCUS.replace("[N,12,4,4]", "[N,12,3,4]") + "t=Concat<axis=1>(a,b,c,d) y=Relu(t) }",
        {**EVERY_OTHER, "e": np.array([6, 8])},
    ),
    "a slice that others read": (
        FOCUS.replace(") {", ", float[N,3,4,4] z) {") + "t=Concat<axis=1>(a,b,c,d) y=Relu(t) z=Neg(a) }",
        EVERY_OTHER,
    ),
    "rows first": (
        ROWS_FIRST,
        {
            "zero": np.array([0]),
            "one": np.array([1]),
            "two": np.array([2]),
            "e": np.array([8]),
            "h": np.array([2]),
            "w": np.array([3]),
        },
    ),
    "a whole shape": ("g (float[2,3] x) => (int64[2] y) { s=Shape(x) y=Abs(s) }", {}),
    "a part of a dynamic shape": ("g (float[N,3] x) => (int64 y) { s=Shape(x) y=Gather(s,one) }", SIZES),
    "size": ("g (float[2,3] x) => (int64 y) { s=Size(x) y=Abs(s) }", {}),
    "an output": ("g (float[2] x) => (float[2] y, float[5] z) { y=Neg(x) z=Neg(B) }", {"B": B}),
    "nonzero": ("g (int64[1,2] x) => (int64[1,2] y) { n=NonZero(c) y=Add(n,x) }", {"c": np.array([1, 0, 3])}),
    "half add": (
        "g (float16[2] x) => (float16[2] y) { a=Add(c,c) y=Mul(x,a) }",
        {"c": np.ones(2, np.float16)},
    ),
    "range": (
        "g (int64[3] x) => (int64[3] y) { n=Range(zero,t,one) y=Add(n,x) }",
        {**SIZES, "t": np.array(3)},
    ),
    "what fed a shape": ("g (float[2] x) => (int64[1] y, float[2] z) { t=Relu(x) y=Shape(t) z=Neg(x) }", {}),
    "a branch": (
        "g (float[2] x) => (float[2] y) { t=If(c)<then_branch = a () => (float[2] r) { r=Relu(x) },"
        " else_branch = b () => (float[2] q) { q=Neg(x) }> y=Abs(t) }",
        {"c": np.array(True)},
    ),
    "a shape of its own sizes, where zeros are kept": (
        SPLIT.replace("Reshape(r,c)", "Reshape<allowzero=1>(r,c)"),
        SIZES,
    ),
    "reshapes in a row, where zeros are kept": (
        "g (float[2,12] x) => (float[24] y) { r=Relu(x) a=Reshape(r,s) b=Reshape<allowzero=1>(a,t)"
        " y=Neg(b) }",
        {"s": np.array([4, 6]), "t": np.array([24])},
    ),
    "elements of a row": (
        "g (int64[1,3] x) => (int64[1,3] y) { n=GatherElements<axis=1>(c,i) y=Add(n,x) }",
        {"c": np.arange(5).reshape(1, 5), "i": np.array([[0, 2, 4]])},
    ),
    "neutral": (
        "g (float[2,3] x) => (float[2,3] y) { r=Relu(x) a=Add(r,z) y=Neg(a) }",
        {"z": np.array([0], F)},
    ),
    "neutral, of an input": (
        "g (float[2] x) => (float[2] y) { a=Add(x,z) y=Neg(a) }",
        {"z": np.array([0], F)},
    ),
    "identity": ("g (float[2] x) => (float[2] y) { a=Identity(x) b=Relu(a) y=Identity(b) }", {}),
    "slice": (
        "g (float[2,3] x) => (float[2,3] y) { r=Relu(x) a=Slice(r,s,e) y=Neg(a) }",
        {"s": AXES, "e": np.array([2**63 - 1])},
    ),
    "expand": (
        "g (float[2,3] x) => (float[2,3] y) { r=Relu(x) a=Expand(r,s) y=Neg(a) }",
        {"s": np.array([3])},
    ),
    "cast before shape": ("g (float[N,3] x) => (int64[2] y) { a=Cast<to=7>(x) b=Shape(a) y=Neg(b) }", {}),
    "conv and add": (CONV + "y=Add(a,b) }", {"K": K, "b": np.ones((3, 1, 1), F)}),
    "add and conv": (CONV + "y=Add(b,a) }", {"K": K, "b": np.ones((3, 1, 1), F)}),
    "conv and add of one": (CONV + "y=Add(a,b) }", {"K": K, "b": np.array(2, F)}),
    "conv and mul of one": (CONV + "y=Mul(a,b) }", {"K": K, "b": np.array(2, F)}),
    "conv and norm": (CONV + "y=BatchNormalization(a,b,b,b,b) }", {"K": K, "b": np.ones(3, F)}),
    "conv, relu, norm": (CONV + "r=Relu(a) y=BatchNormalization(r,b,b,b,b) }", {"K": K, "b": np.ones(3, F)}),
    "pad and conv": (
        "g (float[1,2,6,6] x) => (float[1,3,6,6] y) { p=Pad(x,P) y=Conv(p,K) }",
        {"K": K, "P": PADS},
    ),
    "pad and pool": (
        "g (float[1,2,6,6] x) => (float[1,2,6,6] y) { p=Pad(x,P) y=MaxPool<kernel_shape=[3,3]>(p) }",
        {"P": PADS},
    ),
    "relu and clip": ("g (float[2] x) => (float[2] y) { a=Relu(x) y=Clip(a,l) }", {"l": np.array(-1, F)}),
    "not and where": ("g (bool[5] c, float[5] x) => (float[5] y) { a=Not(c) y=Where(a,x,B) }", {"B": B}),
    "one over": (
        "g (float[2] c, float[2] x) => (float[2] y) { a=Div(o,c) y=Mul(a,x) }",
        {"o": np.array(1, F)},
    ),
    "transpose and gemm": (
        "g (float[4,2] x) => (float[2,5] y) { a=Transpose<perm=[1,0]>(x) y=Gemm(a,W) }",
        {"W": W},
    ),
    "gemm and sum": ("g (float[2,4] x, float[2,5] c) => (float[2,5] y) { a=Gemm(x,W) y=Sum(a,c) }", {"W": W}),
    "matmul and add": ("g (float[N,4] x) => (float[N,5] y) { t=MatMul(x,W) y=Add(t,B) }", {"W": W, "B": B}),
    "matmul of three": (
        "g (float[2,3,4] x) => (float[2,3,5] y) { t=MatMul(x,W) y=Add(t,B) }",
        {"W": W, "B": B},
    ),
    "matmul of three, dynamic": (
        "g (float[N,3,4] x) => (float[N,3,5] y) { t=MatMul(x,W) y=Add(t,B) }",
        {"W": W, "B": B},
    ),
    "matmul, a wide bias": (
        "g (float[2,3,4] x) => (float[2,3,5] y) { t=MatMul(x,W) y=Add(t,B) }",
        {"W": W, "B": B.reshape(1, 5)},
    ),
    "reshape by own sizes": (SPLIT, SIZES),
    "reshape by sizes of another": (SPLIT.replace("Shape(r)", "Shape(x)"), SIZES),
    "reshape by sizes of another and one element": (
        SPLIT.replace("Shape(r)", "Shape(x)").replace("(au,bu,two,four)", "(au,two,four)"),
        SIZES,
    ),
    "reshape by other sizes": (SPLIT.replace("Gather(s,zero)", "Gather(s,one)"), SIZES),
    "reshapes in a row": (
        "g (float[2,12] x) => (float[24] y) { a=Reshape(x,s) b=Reshape(a,t) y=Neg(b) }",
        {"s": np.array([6, 4]), "t": np.array([24])},
    ),
    "twice the same": (
        "g (float[2] x) => (float[2] y, float[2] z) { a=Relu(x) b=Relu(x) y=Neg(a) z=Neg(b) }",
        {},
    ),
    "twice the same, outputs": ("g (float[2] x) => (float[2] y, float[2] z) { y=Relu(x) z=Relu(x) }", {}),
    "layer norm": (NORM, NORMS),
    "gelu too early": (GELU, GELUS),
    "transposes that cancel": (
        "g (float[2,3,4] x) => (float[2,3,4] y) { a=Transpose<perm=[0,2,1]>(x) b=Relu(a)"
        " y=Transpose<perm=[0,2,1]>(b) }",
        {},
    ),
    "a transpose that stays": (
        "g (float[2,3,4] x) => (float[2,4,3] y) { a=Transpose<perm=[0,2,1]>(x) y=Relu(a) }",
        {},
    ),
    "transposes around an add": (
        "g (float[2,3,4] x, float[2,3,4] z) => (float[2,3,4] y) { a=Transpose<perm=[0,2,1]>(x)"
        " b=Transpose<perm=[0,2,1]>(z) c=Add(a,b) y=Transpose<perm=[0,2,1]>(c) }",
        {},
    ),
    "transpose towards one and a shape": (TOWARDS + "z=Shape(c) y=Transpose<perm=[0,2,1]>(c) }", {}),
    "transpose towards its inverse and a shape": (TOWARDS + "z=Shape(c) y=Transpose<perm=[1,0,2]>(c) }", {}),
    "transpose towards its inverse and another": (
        TOWARDS + "z=Shape(c) e=Exp(c) a=Transpose<perm=[1,0,2]>(e) b=Transpose<perm=[0,2,1]>(c)"
        " y=MatMul(a,b) }",
        {},
    ),
    "transpose of a shape that a pass makes known": (
        "g (float[A,B] x, float[2,3,1] z) => (float[2,1,3] y) { r=Relu(x) k=Mul(one3,sizes) q=Reshape(r,k)"
        " t=Transpose<perm=[0,2,1]>(q) b=Add(t,z) y=Transpose<perm=[0,2,1]>(b) }",
        {"one3": np.ones(3, I), "sizes": np.array([2, 1, 3])},
    ),
    "transpose towards one alone": (TOWARDS + "e=Exp(c) y=Transpose<perm=[0,2,1]>(e) z=Shape(x) }", {}),
    "shape of a transpose": (
        "g (float[N,3,4] x) => (float[N,4,3] y, int64[3] z) { r=Neg(x) a=Transpose<perm=[0,2,1]>(r)"
        " s=Shape(a) z=Neg(s) y=Softmax(a) }",
        {},
    ),
    "a quantized constant": (
        "g (float[2] x) => (float[2] y) { q=QuantizeLinear(c,s,z) d=DequantizeLinear(q,s,z) y=Add(d,x) }",
        {"c": np.ones(2, F), "s": np.array(0.1, F), "z": np.array(0, np.int8)},
    ),
}


def model(text: str, values: dict[str, np.ndarray], path: Path, opset: int = 17) -> Path:
    made = parser.parse_model(f'<ir_version: 9, opset_import: ["" : {opset}]>\n{text}')
    made.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in values.items())
    onnx.save(made, path)
    return path


@pytest.mark.parametrize("name", CASES)
def test_the_same_operators_are_left(name: str, tmp_path: Path) -> None:
    file = model(*CASES[name], tmp_path / "m.onnx")
    theirs = level1.reference(file)
    assert not isinstance(theirs, str), theirs
    assert level1.predicted(file) == theirs


def test_gelu_where_onnx_has_it(tmp_path: Path) -> None:
    file = model(GELU, GELUS, tmp_path / "m.onnx", 20)
    assert level1.predicted(file) == level1.reference(file) == {"Gelu": 1}


def test_nothing_changes_in_the_model_that_is_optimized(tmp_path: Path) -> None:
    loaded = load(model(SPLIT, SIZES, tmp_path / "m.onnx"))
    before = loaded.graph.state()
    made = optimize(Prepared(loaded))
    assert [op.type for op in made.prepared.model.graph.ops()] == ["Neg", "Reshape"]
    assert loaded.graph.state() == before
    assert made.gone["main/2"] == [("ReshapeFusion", "")] or made.gone["main/2"] == [("ConstantFolding", "")]


def test_what_is_fused_goes_with_what_computes_it(tmp_path: Path) -> None:
    """The Add of a MatMul runs where the Gemm runs, and says so; --optimize off has it by itself."""
    file = model(*CASES["matmul and add"], tmp_path / "m.onnx")
    target = report("check", file, "--target", "onnxruntime/cpu")["models"][0]["targets"][0]
    assert target["optimize"] == "default"
    add = target["operators"][1]
    assert (add["type"], add["verdict"], add["removed_by"], add["into"]) == (
        "Add", "accelerated", "MatMulAddFusion", "main/0",
    )  # fmt: skip
    stored = report("check", file, "--target", "onnxruntime/cpu", "--optimize", "off")["models"][0][
        "targets"
    ][0]
    assert "removed_by" not in stored["operators"][1]


def test_a_large_result_is_not_computed(tmp_path: Path) -> None:
    """Folding 64 MB of zeros costs no memory: the value is a promise."""
    text = "g (float[16777216] x) => (float[16777216] y) { a=ConstantOfShape(s) b=Cast<to=1>(a) y=Mul(x,b) }"
    made = optimize(Prepared(load(model(text, {"s": np.array([1 << 24])}, tmp_path / "m.onnx"))))
    graph = made.prepared.model.graph
    value = graph.constant(graph.ops()[0].inputs[1])
    assert [op.type for op in graph.ops()] == ["Mul"]
    assert value is not None
    assert value.inline is None
    assert value.shape == (1 << 24,)


def test_a_stored_size_of_minus_one_stays_unknown(tmp_path: Path) -> None:
    """PaddlePaddle's exporter writes -1 where a size is not known; inferred anew it is none either."""
    text = """g (float[N,3] x) => (float[N,6] y) { a=Neg(x) s=Size(c) t=Range(s,e,one) u=Concat<axis=0>(m,t)
 r=Reshape(a,u) b=Concat<axis=1>(r,r) y=Abs(b) }"""
    values = {"c": np.array([0, 0, 0]), "e": np.array(4), "one": ONE, "m": np.array([-1])}
    file = model(text, values, tmp_path / "m.onnx")
    stored = onnx.load(file)
    stored.graph.output[0].type.tensor_type.shape.dim[0].dim_value = -1
    onnx.save(stored, file)
    graph = optimize(Prepared(load(file))).prepared.model.graph
    assert [op.type for op in graph.ops()] == ["Neg", "Reshape", "Concat", "Abs"]
    assert not isinstance(graph.tensor("y").shape[0], int)
    assert graph.tensor("b").shape[1] == 6


def test_weights_in_computed_shapes_are_not_kept(tmp_path: Path) -> None:
    """No inference follows the shape through floats; each step of the chain would be another copy."""
    rows = " ".join(
        f"r{at}=Reshape(w,s) n{at}=Neg(r{at}) a{at}=MatMul({f'a{at - 1}' if at else 'x'},n{at})"
        for at in range(8)
    )
    text = f"g (float[N,64] x) => (float[N,64] y) {{ k=Mul(c,two) s=Cast<to=7>(k) {rows} y=Relu(a7) }}"
    values = {"c": np.array([32, 32], F), "two": np.array(2, F), "w": np.ones((16, 256), F)}
    graph = optimize(Prepared(load(model(text, values, tmp_path / "m.onnx")))).prepared.model.graph
    assert {op.type for op in graph.ops()} == {"MatMul", "Relu"}
    weights = [value for op in graph.ops() if (value := graph.constant(op.input(1))) is not None]
    assert {(value.shape, value.inline) for value in weights} == {((64, 64), None)}
    assert set(weights[0].read().reshape(-1).tolist()) == {-1.0}


def test_a_long_row_on_constants(tmp_path: Path) -> None:
    """Results that are computed when they are asked for do not ask for thousands of others."""
    row = " ".join(f"a{at}=Abs({f'a{at - 1}' if at else 'c'})" for at in range(3000))
    text = f"g (float[N,3] x) => (float[N,3] y) {{ r=Relu(x) {row} m=Mul(r,a2999) y=Neg(m) }}"
    file = model(text, {"c": np.array([1], F)}, tmp_path / "m.onnx")
    assert level1.predicted(file) == level1.reference(file) == {"Relu": 1, "Neg": 1}


def test_time_grows_with_the_model(tmp_path: Path) -> None:
    """Products become Gemm between reshapes: four times as many take about four times as long."""
    spent = []
    for count in (500, 2000):
        row = " ".join(
            f"p{at}=MatMul({f's{at - 1}' if at else 'x'},w) s{at}=Add(p{at},b)" for at in range(count)
        )
        text = f"g (float[2,3,4] x) => (float[2,3,4] y) {{ {row} y=Relu(s{count - 1}) }}"
        loaded = load(model(text, {"w": np.ones((4, 4), F), "b": np.ones(4, F)}, tmp_path / "m.onnx"))
        with Calls() as calls:
            assert len(optimize(Prepared(loaded)).prepared.model.graph) == 2 * count + 2
        spent.append(calls.count)
    assert spent[1] < 5 * spent[0], spent


OLDER = [
    ("cast before shape", "1.15.1", ["Cast", "Shape", "Neg"]),
    ("a branch", "1.16.3", ["If", "Relu", "Neg", "Abs"]),
    ("pad and conv", "1.19.2", ["Pad", "Conv"]),
    ("pad and pool", "1.32.0", ["Pad", "MaxPool"]),
    ("matmul of three", "1.20.1", ["MatMul", "Add"]),
    ("reshapes in a row", "1.20.1", ["Reshape", "Reshape", "Neg"]),
    (
        "reshape by sizes of another",
        "1.28.0",
        ["Neg", "Shape", "Gather", "Unsqueeze", "Gather", "Unsqueeze", "Concat", "Reshape"],
    ),
    (
        "transpose towards one and a shape",
        "1.30.0",
        ["Relu", "Neg", "Shape", "Transpose", "Gather"],
    ),
    ("not and where", "1.24.4", ["Not", "Where"]),
    ("nonzero", "1.26.0", ["Add"]),
    ("every other row and column", "1.24.4", ["Slice", "Slice", "Slice", "Slice", "Concat", "Relu"]),
]
"""Probes whose answers other releases gave: what they leave (``tools/derive/ort_passes.py``)."""


@pytest.mark.parametrize(("name", "release", "left"), OLDER)
def test_a_release_has_its_own_passes(name: str, release: str, left: list[str], tmp_path: Path) -> None:
    loaded = load(model(*CASES[name], tmp_path / "m.onnx"))
    older, here = (
        optimize(Prepared(loaded), lacking(version)).prepared.flat[0].graph for version in (release, "")
    )
    assert [op.type for _, op in older.walk() if op.type != "Constant"] == left
    assert [op.type for _, op in here.walk()] != left


def test_every_change_has_a_probe() -> None:
    from test_optimizer_qdq import QUANTIZED

    probes = {*CASES, *QUANTIZED, "gelu"}
    assert {item.probe for item in changes()} <= probes
    assert all(item.since or item.until for item in changes())


def test_a_target_at_a_release_is_optimized_by_its_passes(tmp_path: Path) -> None:
    """OpenVINO's provider comes with ONNX Runtime 1.24.1, which does not fuse Not into Where."""
    file = model(*CASES["not and where"], tmp_path / "m.onnx")
    targets = report("check", file, "--target", "onnxruntime/openvino", "--target", "onnxruntime/cpu")
    gone = [
        [op.get("removed_by") for op in target["operators"]] for target in targets["models"][0]["targets"]
    ]
    assert gone == [[None, None], ["NotWhereFusion", None]]


@pytest.mark.parametrize("start", range(0, 57, 19))
def test_random_graphs(start: int, tmp_path: Path) -> None:
    """A sample of ``make passes``."""
    differing = []
    for seed in range(start, start + 19):
        onnx.save(random_model(seed), tmp_path / "m.onnx")
        theirs = level1.reference(tmp_path / "m.onnx")
        assert not isinstance(theirs, str), theirs
        ours = level1.predicted(tmp_path / "m.onnx")
        differing += [] if ours == theirs else [(seed, ours, theirs)]
    assert not differing


def test_an_operator_that_stays_has_its_own_verdict(tmp_path: Path) -> None:
    """A Shape behind a Transpose is read before it, and a Gather puts the sizes in order: WebGPU runs the
    Shape, and the Gather of int64, which the file has not, stays on the CPU.
    """
    text = """g (float[N,3,4] x) => (float[N,4,3] y, int64[3] z) { r=Neg(x) a=Transpose<perm=[0,2,1]>(r)
     s=Shape(a) z=Slice(s,b,e) y=Softmax(a) }"""
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {text}')
    for name, value in (("b", [0]), ("e", [3])):
        model.graph.initializer.append(numpy_helper.from_array(np.array(value), name))
    onnx.save(model, tmp_path / "m.onnx")
    told = report("check", tmp_path / "m.onnx", "--target", "onnxruntime/webgpu")["models"][0]["targets"][0]
    verdicts = {item["type"]: item["verdict"] for item in told["operators"]}
    assert verdicts["Shape"] == "accelerated", verdicts
    assert verdicts["Slice"] == "fallback", verdicts


@pytest.mark.parametrize(
    "text",
    [
        "r=Relu(x) k=Mul(one4,two) p=Pad(r,k) y=Neg(p)",
        "r=Relu(x) s=Shape(r) a=Gather(s,zero) au=Unsqueeze(a,ax) c=Concat<axis=0>(au,m) q=Reshape(r,c)"
        " y=Neg(q)",
    ],
)
def test_what_a_pass_tells_of_shapes_is_known_to_providers(text: str, tmp_path: Path) -> None:
    """Sizes that were computed are stored after the passes: an accelerator that needs them has them."""
    values = {**SIZES, "one4": np.ones(4, I), "m": np.array([-1])}
    file = model(f"g (float[2,3] x) => (float[A,B] y) {{ {text} }}", values, tmp_path / "m.onnx")
    target = report("check", file, "--target", "onnxruntime/qnn:sm8650")["models"][0]["targets"][0]
    assert target["verdict"] == "full", target["findings"]
