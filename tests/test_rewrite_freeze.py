"""Freezing ONNX shapes: symbols, input shapes, the batch; what folds away; what is refused, with nothing
changed.
"""

from __future__ import annotations

import numpy as np
import pytest
from accelint.analyzer.errors import UsageError
from accelint.rewrites.freeze import Frozen, freeze, parse
from accelint.rewrites.onnx.infer import infer_onnx
from accelint.rewrites.planner import tidy
from accelint.rewrites.registry import rewrites
from rewrite_models import ATTENTION, feeds_of, onnx_bytes, onnx_model, ort, same_bits

TWO = """
g (float[N, 3, H, W] image, float[N, K] extra, float[2, 3] fixed) => (float[N, L] y)
{
  f = Flatten<axis=1>(image)
  y = Concat<axis=1>(f, extra)
}
"""


def frozen(text: str, *sizes: str) -> tuple[Frozen, bytes, object]:
    data = onnx_bytes(text)
    model = onnx_model(text)
    done = freeze(model, sizes, infer_onnx, lambda graph: tidy(graph, rewrites("onnx")))
    model.graph.validate()
    return done, data, model


@pytest.mark.parametrize(
    "sizes", [("batch=2", "seq=5"), ("x=2x5x8",), ("seq=5", "batch=2", "mask=2x5"), ("x=2x?x8", "mask=?x5")]
)
def test_a_block_becomes_static_and_keeps_every_bit(sizes: tuple[str, ...]) -> None:
    done, data, model = frozen(ATTENTION, *sizes)
    graph = model.graph  # type: ignore[attr-defined]
    assert not done.open
    assert done.symbols == {"batch": 2, "seq": 5}
    assert done.inputs == {"x": (2, 5, 8), "mask": (2, 5)} and done.outputs == {"y": (2, 5, 8)}
    assert {"Shape", "Gather", "Concat", "Range", "Dropout"}.isdisjoint({op.type for op in graph.ops()})
    before = ort(data)
    feeds = feeds_of(before, sizes={"batch": 2, "seq": 5})
    after = ort(model)  # type: ignore[arg-type]
    assert [item.shape for item in after.get_inputs()] == [[2, 5, 8], [2, 5]]
    assert same_bits(before.run(None, feeds), after.run(None, feeds))


def test_batch_freezes_every_unknown_leading_dimension_and_leaves_the_rest() -> None:
    done, _, model = frozen(TWO, "batch=4")
    assert done.symbols == {"N": 4}
    assert done.inputs == {"image": (4, 3, "H", "W"), "extra": (4, "K")}
    assert done.open
    assert model.graph.tensor("fixed").shape == (2, 3)  # type: ignore[attr-defined]


def test_a_symbol_called_batch_is_that_symbol() -> None:
    text = "g (float[batch, 3] a, float[M, 3] b) => (float[batch, 3] c) { c = Relu(a) d = Relu(b) }"
    done, _, _ = frozen(text, "batch=2")
    assert done.symbols == {"batch": 2} and done.inputs == {"a": (2, 3)}


def test_output_shapes_follow_by_inference() -> None:
    done, _, _ = frozen(TWO, "image=2x3x5x7", "K=6")
    assert done.outputs == {"y": (2, 3 * 5 * 7 + 6)}


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        (["n=1"], r"no symbolic dimension or input of that name: there are N, H, W, K, image, extra$"),
        (["imag=1x3x2x2"], "did you mean image"),
        (["image=1x3x2"], "has 3 sizes, but 'image' is Nx3xHxW"),
        (["image=1x4x2x2"], "size at axis 1 is 3 and cannot become 4"),
        (["N=1", "image=2x3x4x4"], "give it one size"),
        (["N=1", "N=2"], "give it one size"),
        (["image=1x3x4x4", "extra=2x5"], "give it one size"),
        (["fixed=3x3"], "axis 0 is 2 and cannot become 3"),
        (["batch=2x3"], "the batch is one size"),
        (["N"], "is not NAME=SIZES"),
        (["N=zero"], "is not NAME=SIZES"),
        (["N=0"], "sizes are at least 1"),
        (["=3"], "is not NAME=SIZES"),
    ],
)
def test_what_contradicts_the_model_is_rejected_before_anything_changes(sizes: list[str], words: str) -> None:
    model = onnx_model(TWO)
    before = {name: tensor.shape for name, tensor in model.graph.tensors.items()}
    with pytest.raises(UsageError, match=words) as caught:
        freeze(model, sizes, infer_onnx, lambda graph: {})
    assert caught.value.exit_code == 2
    assert {name: tensor.shape for name, tensor in model.graph.tensors.items()} == before


def test_batch_without_an_unknown_leading_dimension_says_what_the_inputs_are() -> None:
    with pytest.raises(UsageError, match=r"no input has an unknown leading dimension: x 2x3"):
        freeze(
            onnx_model("g (float[2,3] x) => (float[2,3] y) { y = Relu(x) }"),
            ["batch=1"],
            infer_onnx,
            lambda graph: {},
        )


def test_sizes_are_read_with_x_or_comma_and_names_may_hold_an_equals_sign() -> None:
    assert [(item.name, item.sizes) for item in parse(["a=1x2", "b=3,4", "c=d=5", "e=?x6"])] == [
        ("a", (1, 2)), ("b", (3, 4)), ("c=d", (5,)), ("e", (None, 6)),
    ]  # fmt: skip


def test_symbols_in_bodies_are_frozen_too() -> None:
    text = """
    g (bool c, float[N, 3] x) => (float[N, 3] y) {
      y = If (c) <then_branch = t () => (float[N, 3] a) { a = Relu(x) }, else_branch = e () => (float[N, 3]
      b) { b = Neg(x) }>
    }"""
    _, data, model = frozen(text, "N=4")
    bodies = [body for op in model.graph.ops() for body in op.graphs.values()]  # type: ignore[attr-defined]
    assert [body.tensor(body.outputs[0]).shape for body in bodies] == [(4, 3), (4, 3)]
    before, after = ort(data), ort(model)  # type: ignore[arg-type]
    feeds = {"c": np.array(True), "x": np.arange(12, dtype=np.float32).reshape(4, 3) - 5}
    assert same_bits(before.run(None, feeds), after.run(None, feeds))


def test_a_frozen_resize_and_pool_stack_is_inferred_to_the_end() -> None:
    text = """
    g (float[N, 2, H, W] x) => (float[N, C, H2, W2] y) <float[4] scales={1.0, 1.0, 2.0, 2.0}, float[4,2,3,3]
    w>
    {
      c = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w)
      p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(c)
      y = Resize<mode="nearest">(p, , scales)
    }"""
    done, data, model = frozen(text, "x=1x2x6x10")
    assert done.outputs == {"y": (1, 4, 6, 10)} and not done.open
    feeds = {"x": np.arange(120, dtype=np.float32).reshape(1, 2, 6, 10)}
    assert same_bits(ort(data).run(None, feeds), ort(model).run(None, feeds))  # type: ignore[arg-type]
