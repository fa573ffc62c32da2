"""Models that the tests of rewrites make, and the real runtimes that run them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx.parser
from accelint.analyzer.formats.onnx_reader import from_bytes
from accelint.analyzer.formats.onnx_writer import to_bytes

if TYPE_CHECKING:
    from accelint.analyzer.model import Model
    from numpy.typing import NDArray

ATTENTION = """
block (float[batch, seq, 8] x, int64[batch, seq] mask) => (float[batch, seq, 8] y)
<float[8,8] wq, float[8,8] wk, float[8,8] wv, int64[1] zero={0}, int64[1] one={1}, int64 i0={0}, int64 i1={1},
 int64[1] heads={2}, int64[1] hd={4}, float scale={2.0}>
{
  shape = Shape(x)
  b = Gather<axis=0>(shape, i0)
  s = Gather<axis=0>(shape, i1)
  bu = Unsqueeze(b, zero)
  su = Unsqueeze(s, zero)
  target = Concat<axis=0>(bu, su, heads, hd)
  q0 = MatMul(x, wq)
  q1 = Reshape(q0, target)
  q = Transpose<perm=[0,2,1,3]>(q1)
  k0 = MatMul(x, wk)
  k1 = Reshape(k0, target)
  k = Transpose<perm=[0,2,3,1]>(k1)
  v0 = MatMul(x, wv)
  v1 = Reshape(v0, target)
  v = Transpose<perm=[0,2,1,3]>(v1)
  qk = MatMul(q, k)
  qs = Div(qk, scale)
  mf = Cast<to=1>(mask)
  axes = Constant<value=int64[2]{1,2}>()
  mu = Unsqueeze(mf, axes)
  bias = Mul(mu, scale)
  r = Range(i0, s, i1)
  rf = Cast<to=1>(r)
  added = Add(qs, bias)
  moved = Add(added, rf)
  p = Softmax<axis=-1>(moved)
  o = MatMul(p, v)
  o1 = Transpose<perm=[0,2,1,3]>(o)
  shape2 = Shape(o1)
  b2 = Gather<axis=0>(shape2, i0)
  s2 = Gather<axis=0>(shape2, i1)
  bu2 = Unsqueeze(b2, zero)
  su2 = Unsqueeze(s2, zero)
  eight = Constant<value=int64[1]{8}>()
  t2 = Concat<axis=0>(bu2, su2, eight)
  o2 = Reshape(o1, t2)
  d = Dropout(o2)
  y = Add(x, d)
}
"""
"""A transformer block as PyTorch exports it: dynamic axes and the Shape, Gather, Concat chains that follow from them."""


def onnx_bytes(text: str, opset: int = 17, **weights: NDArray[Any]) -> bytes:
    """A model from onnx's text format; initializers that the text leaves without values are random, or as given."""
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}, "com.microsoft": 1]>\n{text}')
    rng = np.random.default_rng(7)
    stated = {item.name for item in proto.graph.initializer}
    for info in [item for item in proto.graph.value_info if item.name not in stated]:
        if info.name in {name for node in proto.graph.node for name in node.output}:
            continue
        shape = [dim.dim_value for dim in info.type.tensor_type.shape.dim]
        weights.setdefault(info.name, rng.normal(size=shape).astype(onnx.helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)))
    for name, array in weights.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    onnx.checker.check_model(proto)
    return proto.SerializeToString()


def onnx_model(text: str, opset: int = 17, **weights: NDArray[Any]) -> Model:
    """The same as a Model."""
    return from_bytes(onnx_bytes(text, opset, **weights), Path("made.onnx"))


def ort(data: bytes | Model) -> Any:
    """A session of ONNX Runtime on the CPU without graph optimizations: the reference of ONNX rewrites."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    content = data if isinstance(data, bytes) else to_bytes(data)
    return onnxruntime.InferenceSession(content, options)


def feeds_of(session: Any, seed: int = 0, sizes: dict[str, int] | None = None, *, boundary: bool = False) -> dict[str, NDArray[Any]]:
    """Distinct values for every input, or extreme ones; integers stay small, because they are indices here and there."""
    rng = np.random.default_rng(seed)
    kinds = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(bool)": np.bool_,
             "tensor(float16)": np.float16, "tensor(double)": np.float64, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8}  # fmt: skip
    feeds = {}
    for item in session.get_inputs():
        shape = [dim if isinstance(dim, int) else (sizes or {}).get(dim, 1) for dim in item.shape]
        kind = np.dtype(kinds[item.type])
        if kind.kind == "f":
            edges = np.array([0.0, -0.0, 1.0, -1.0, 6e-5, -6e-5, 3.0, -3.0, 0.5, 30.0, -30.0])
            values = np.resize(rng.permutation(edges), shape) if boundary else rng.normal(size=shape) * 2
        else:
            values = rng.integers(0, 2, shape)
        feeds[item.name] = np.asarray(values).astype(kind).reshape(shape)
    return feeds


def same_bits(left: list[NDArray[Any]], right: list[NDArray[Any]]) -> bool:
    """True when every array has the same dtype, shape and bits."""
    return len(left) == len(right) and all(
        a.dtype == b.dtype and a.shape == b.shape and np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()
        for a, b in zip(left, right, strict=True)
    )
