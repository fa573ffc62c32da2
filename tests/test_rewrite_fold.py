"""Constant folding and clean-ups in ONNX: what folds, what stays and why, and that the bits stay."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from accelint.analyzer.ir.graph import Constant, Graph, Operator, Tensor
from accelint.rewrites.engine import Miss
from accelint.rewrites.folding import GROWTH
from accelint.rewrites.onnx.fold import EXACT, FoldConstants, InlineBranch
from accelint.rewrites.planner import tidy
from accelint.rewrites.registry import rewrites
from rewrite_models import feeds_of, onnx_bytes, onnx_model, ort, same_bits


def tidied(text: str, opset: int = 17, **weights: np.ndarray) -> tuple[list[str], dict[str, int]]:
    """Types that are left after the clean-ups, and the edits; the outputs are the same before and after."""
    data, model = onnx_bytes(text, opset, **weights), onnx_model(text, opset, **weights)
    edits = tidy(model.graph, rewrites("onnx"))
    model.graph.validate()
    assert tidy(model.graph, rewrites("onnx")) == {}, "it does not settle"
    before, after = ort(data), ort(model)
    for boundary in (False, True):
        feeds = feeds_of(before, boundary=boundary)
        assert same_bits(before.run(None, feeds), after.run(None, feeds))
    return [op.type for op in model.graph.ops()], edits


@pytest.mark.parametrize("opset", [9, 11, 13, 17, 19, 21])
def test_a_shape_chain_folds_in_every_operator_set(opset: int) -> None:
    unsqueeze = "u = Unsqueeze<axes=[0]>(g)" if opset < 13 else "u = Unsqueeze(g, zero)"
    text = f"""
    g (float[2,3,4] x) => (float[2,12] y) <int64 i0={{0}}, int64[1] zero={{0}}, int64[1] m={{-1}}> {{
      s = Shape(x)
      g = Gather<axis=0>(s, i0)
      {unsqueeze}
      t = Concat<axis=0>(u, m)
      y = Reshape(x, t)
    }}"""
    types, edits = tidied(text, opset)
    assert types == ["Reshape"]
    assert edits["fold-shape"] == 1 and edits["fold-constants"] == 3


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ("s = Size(x) t = Cast<to=1>(s) y = Mul(x, t)", ["Mul"]),
        ("s = Shape<start=1>(x) t = ConstantOfShape(s) y = Add(x, t)", ["Add"]),
        ("s = Shape<start=-1, end=9>(x) t = Cast<to=1>(s) y = Add(x, t)", ["Add"]),
        ("s = Shape(x) n = ReduceProd<keepdims=0>(s) f = Cast<to=1>(n) y = Div(x, f)", ["Div"]),
        ("s = Shape(x) e = Equal(s, s) w = Where(e, s, s) y = Reshape(x, w)", ["Reshape"]),
        ("r = Range(zero, four, one) f = Cast<to=1>(r) y = Add(x, f)", ["Add"]),
        ("t = Trilu<upper=0>(ones) y = Mul(x, t)", ["Mul"]),
        ("e = Expand(half, shape) y = Mul(x, e)", ["Mul"]),
        ("t = Tile(half, shape) y = Mul(x, t)", ["Mul"]),
        ("q = Sqrt(half) r = Reciprocal(q) y = Mul(x, r)", ["Reciprocal", "Mul"]),
        ("i = Identity(x) d = Dropout(i) y = Relu(d)", ["Relu"]),
        ("c = Cast<to=1>(x) t = Transpose<perm=[0,1]>(c) y = Relu(t)", ["Relu"]),
        ("t = Transpose<perm=[1,0]>(x) y = Transpose<perm=[1,0]>(t)", ["Transpose", "Transpose"]),
        ("c = Concat<axis=0>(x) m = Max(c) y = Relu(m)", ["Relu"]),
        ("r = Relu(x) y = Identity(r)", ["Relu"]),
        ("y = Identity(x)", ["Identity"]),
        (
            "r = RandomNormalLike<seed=1.0>(half) m = Mul(r, zerof) y = Add(x, m)",
            ["RandomNormalLike", "Mul", "Add"],
        ),
        ("d = Neg(x) y = Relu(x)", ["Relu"]),
        ("e = Exp(half) y = Mul(x, e)", ["Exp", "Mul"]),
    ],
)
def test_what_is_left(body: str, left: list[str]) -> None:
    text = f"""
    g (float[3,4] x) => (float[3,4] y) <int64 zero={{0}}, int64 one={{1}}, int64 four={{4}}, int64[2]
    shape={{3,4}},
      float[1,1] half={{0.3}}, float zerof={{0.0}}, float[3,4] ones> {{ {body} }}"""
    assert tidied(text)[0] == left


def test_the_known_part_of_a_dynamic_shape_folds() -> None:
    text = """
    g (float[N, 3, 4] x) => (float[N, 12] y) <int64[2] last={1,-1}, int64 axis={0}, int64[1] m={-1},
    int64[1] zero={0}, int64[1] one={1}> {
      s = Shape(x)
      l = Gather<axis=0>(s, last)
      p = ReduceProd<keepdims=1>(l)
      b = Slice(s, zero, one, zero)
      t = Concat<axis=0>(b, p)
      y = Reshape(x, t)
    }"""
    types, edits = tidied(text)
    assert types == ["Shape", "Slice", "Concat", "Reshape"]
    assert edits == {"fold-part-of-shape": 1, "fold-constants": 1}


def test_what_would_bloat_the_file_stays() -> None:
    side = 1 + int((GROWTH / 4) ** 0.5)
    text = (
        f"g (float[1] x) => (float[{side},{side}] y) <int64[2] s={{{side},{side}}}> {{ c = "
        f"ConstantOfShape(s) y = Add(x, c) }}"
    )
    assert tidied(text)[0] == ["ConstantOfShape", "Add"]


def test_training_dropout_and_a_read_mask_stay() -> None:
    text = "g (float[4] x) => (float[4] y, bool[4] m) <float r={0.5}> { y, m = Dropout(x, r) }"
    graph = onnx_model(text).graph
    assert tidy(graph, rewrites("onnx")) == {}
    training = (
        "g (float[4] x) => (float[4] z) <float r={0.5}, bool t={1}> { y = Dropout(x, r, t) z = Relu(y) }"
    )
    graph = onnx_model(training).graph
    assert tidy(graph, rewrites("onnx")) == {}


def test_dequantize_and_quantize_of_constants_stay() -> None:
    text = """g (float[2] x) => (float[2] y) <float s={0.5}, int8 z={0}, int8[2] w={1,2}> { d =
    DequantizeLinear(w, s, z) y = Add(x, d) }"""
    assert tidied(text)[0] == ["DequantizeLinear", "Add"]


@pytest.mark.parametrize("used", [True, False])
def test_a_constant_if_becomes_its_branch(used: bool) -> None:
    text = f"""
    g (float[3] x) => (float[3] z) <bool c={{{int(used)}}}> {{
      r = Relu(x)
      y = If (c) <then_branch = t () => (float[3] a) {{ r2 = Neg(r) a = Exp(r2) }}, else_branch = e () =>
      (float[3] b) {{ b = Sqrt(r) }}>
      z = Abs(y)
    }}"""
    types, edits = tidied(text)
    assert types == (["Relu", "Neg", "Exp", "Abs"] if used else ["Relu", "Sqrt", "Abs"])
    assert edits["inline-constant-if"] == 1


def test_reasons_are_given() -> None:
    graph = onnx_model("g (bool c, float[3] x) => (float[3] y) { a = Add(x, x) y = Identity(a) }").graph
    miss = FoldConstants().match(graph, graph.ops()[0])
    assert isinstance(miss, Miss) and miss.reason == "its input 'x' is computed when the model runs"
    assert FoldConstants().speaks_of(graph.ops()[0])
    assert not InlineBranch().speaks_of(graph.ops()[0])


def test_an_evaluation_that_fails_is_a_miss_and_changes_nothing() -> None:
    graph = Graph("main", "onnx", {"": 17})
    graph.add_tensor(Tensor("a", "float32", (2,), Constant("float32", (2,), inline=bytes(8))))
    graph.add_tensor(Tensor("b", "float32", (3,), Constant("float32", (3,), inline=bytes(12))))
    for name in ("c", "d"):
        graph.add_tensor(Tensor(name, "float32", None))
    graph.add_op(Operator("main/0", "Add", ("a", "b"), ("c",), version=17))
    graph.add_op(Operator("main/1", "Relu", ("c",), ("d",), version=17))
    graph.set_interface((), ("d",))
    miss = FoldConstants().attempt(graph, graph.op("main/0"))
    assert miss is not None and "cannot be evaluated" in miss.reason
    assert len(graph) == 2


@pytest.mark.parametrize(
    "type", [name for name in EXACT if name not in ("CastLike", "Clip", "Mod", "Cast", "BitShift")]
)
def test_every_folded_kind_gives_what_the_runtime_gives(type: str) -> None:
    """One or two constants of each kind that the operator takes, folded, against ONNX Runtime computing
    them.
    """
    schema = (
        onnx.defs.get_schema(type, 17) if not type.startswith("Bitwise") else onnx.defs.get_schema(type, 18)
    )
    kinds = {name for constraint in schema.type_constraints for name in constraint.allowed_type_strs}
    kind = next(
        name
        for name in ("tensor(float)", "tensor(int32)", "tensor(bool)")
        if any(name in item for item in kinds) and name in {str(t) for t in schema.inputs[0].types}
    )
    rng = np.random.default_rng(3)
    floats, whole = (
        rng.normal(size=(3, 4)).astype(np.float32) * 3,
        rng.integers(-9, 9, (3, 4)).astype(np.int32),
    )
    values = {"tensor(float)": floats, "tensor(int32)": whole,
              "tensor(bool)": rng.integers(0, 2, (3, 4)).astype(bool)}  # fmt: skip
    count = max(schema.min_input, 1)
    names = ["a", "b", "c"][:count]
    result = (
        onnx.shape_inference.infer_shapes(_single(type, names, values[kind], kind))
        .graph.value_info[0]
        .type.tensor_type.elem_type
    )
    model_text = _single(type, names, values[kind], kind, result)
    data = model_text.SerializeToString()
    from accelint.analyzer.formats.onnx.reader import from_bytes

    model = from_bytes(data)
    tidy(model.graph, rewrites("onnx"))
    assert [op.type for op in model.graph.ops()] == ["Identity"]
    assert same_bits(ort(data).run(None, {}), ort(model).run(None, {}))


def _single(type: str, names: list[str], value: np.ndarray, kind: str, result: int = 0) -> onnx.ModelProto:
    helper = onnx.helper
    initializers = [
        onnx.numpy_helper.from_array(value if index == 0 else np.roll(value, index), name)
        for index, name in enumerate(names)
    ]
    nodes = [helper.make_node(type, names, ["r"]), helper.make_node("Identity", ["r"], ["y"])]
    outputs = (
        [helper.make_tensor_value_info("y", result, None)]
        if result
        else [helper.make_empty_tensor_value_info("y")]
    )
    graph = helper.make_graph(nodes, "g", [], outputs, initializers)
    opset = 18 if type.startswith("Bitwise") else 17
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
