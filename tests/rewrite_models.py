"""Models that the tests of rewrites make, and the real runtimes that run them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx.parser
from accelint.analyzer.formats.onnx.reader import from_bytes
from accelint.analyzer.formats.onnx.writer import to_bytes
from accelint.analyzer.formats.tflite.reader import from_bytes as tflite_from_bytes
from accelint.analyzer.formats.tflite.schema import schema
from accelint.analyzer.formats.tflite.writer import to_bytes as tflite_to_bytes
from accelint.analyzer.ir.arrays import to_bytes as to_raw
from accelint.analyzer.ir.graph import Constant, Graph, Operator, Quantization, Tensor
from accelint.analyzer.ir.model import Model
from accelint.rewrites.draft import LOWEST_VERSIONS

if TYPE_CHECKING:
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
"""A transformer block as PyTorch exports it: dynamic axes and the Shape, Gather, Concat chains that follow
from them.
"""


def onnx_bytes(text: str, opset: int = 17, *, checked: bool = True, **weights: NDArray[Any]) -> bytes:
    """A model from onnx's text format; initializers that the text leaves without values are random, or as
    given.
    """
    proto = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : {opset}, "com.microsoft": 1]>\n{text}'
    )
    rng = np.random.default_rng(7)
    stated = {item.name for item in proto.graph.initializer}
    for info in [item for item in proto.graph.value_info if item.name not in stated]:
        if info.name in {name for node in proto.graph.node for name in node.output}:
            continue
        shape = [dim.dim_value for dim in info.type.tensor_type.shape.dim]
        weights.setdefault(
            info.name,
            rng.normal(size=shape).astype(
                onnx.helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
            ),
        )
    for name, array in weights.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    if checked:
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


def feeds_of(
    session: Any, seed: int = 0, sizes: dict[str, int] | None = None, *, boundary: bool = False
) -> dict[str, NDArray[Any]]:
    """Distinct values for every input, or extreme ones; integers stay small, because they are indices here
    and there.
    """
    rng = np.random.default_rng(seed)
    kinds = {
        "tensor(float)": np.float32,
        "tensor(int64)": np.int64,
        "tensor(int32)": np.int32,
        "tensor(bool)": np.bool_,
        "tensor(float16)": np.float16,
        "tensor(double)": np.float64,
        "tensor(uint8)": np.uint8,
        "tensor(int8)": np.int8,
    }
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
        a.dtype == b.dtype
        and a.shape == b.shape
        and np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()
        for a, b in zip(left, right, strict=True)
    )


# ---- TFLite ----------------------------------------------------------------------------------


class Net:
    """Builds a TFLite model operator by operator; shapes are stated, LiteRT checks them when it runs."""

    def __init__(self) -> None:
        self.graph = Graph("main", "tflite")
        self.inputs: list[str] = []

    def input(
        self,
        name: str,
        shape: tuple[int | None, ...],
        dtype: str = "float32",
        quant: Quantization | None = None,
    ) -> str:
        self.graph.add_tensor(Tensor(name, dtype, shape, quant=quant))
        self.inputs.append(name)
        self.graph.set_interface(self.inputs, ())
        return name

    def const(self, array: Any, dtype: str = "float32", quant: Quantization | None = None) -> str:
        values = np.asarray(array)
        name = self.graph.fresh("c")
        value = Constant(dtype, tuple(values.shape), inline=to_raw(values, dtype))
        self.graph.add_tensor(Tensor(name, dtype, value.shape, value, quant))
        return name

    def op(
        self, type: str, inputs: list[str | None], shape: Any, dtype: str = "float32", *, version: int = 1,
        quant: Quantization | None = None, **attrs: Any,
    ) -> str:  # fmt: skip
        """One result; its name."""
        return self.ops(type, inputs, [shape], dtype, version=version, quant=quant, **attrs)[0]

    def ops(
        self,
        type: str,
        inputs: list[str | None],
        shapes: list[Any],
        dtype: str = "float32",
        *,
        version: int = 1,
        quant: Quantization | None = None,
        **attrs: Any,
    ) -> list[str]:
        """Several results."""
        names = [self.graph.fresh(f"t{len(self.graph)}") for _ in shapes]
        for name, shape in zip(names, shapes, strict=True):
            self.graph.add_tensor(Tensor(name, dtype, shape, quant=quant))
        options = {**schema().option_defaults(type), **attrs}
        id = f"main/{len(self.graph)}"
        self.graph.add_op(
            Operator(
                id,
                type,
                tuple(inputs),
                tuple(names),
                options,
                name=names[0],
                version=max(version, LOWEST_VERSIONS.get(type, 1)),
            )
        )
        return names

    def model(self, *outputs: str) -> Model:
        """The finished model, read back from its bytes."""
        self.graph.set_interface(self.inputs, outputs)
        made = Model(Path("made.tflite"), "tflite", self.graph, {"main": self.graph})
        return tflite_from_bytes(tflite_to_bytes(made), "made.tflite")


class LiteRT:
    """A TFLite model in LiteRT's built-in kernels without delegates: the reference of TFLite rewrites."""

    def __init__(self, data: bytes | Model, sizes: dict[str, tuple[int, ...]] | None = None) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        content = data if isinstance(data, bytes) else tflite_to_bytes(data)
        self.interpreter = Interpreter(
            model_content=content,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            num_threads=1,
        )
        for item in self.interpreter.get_input_details():
            if sizes and item["name"] in sizes:
                self.interpreter.resize_tensor_input(item["index"], list(sizes[item["name"]]), strict=True)
        self.interpreter.allocate_tensors()

    def feeds(
        self, seed: int = 0, *, boundary: bool = False, low: float = -4, high: float = 4
    ) -> dict[str, NDArray[Any]]:
        """Distinct values for every input, or extreme ones."""
        rng = np.random.default_rng(seed)
        found = {}
        for item in self.interpreter.get_input_details():
            shape, kind = tuple(item["shape"]), np.dtype(item["dtype"])
            if kind.kind == "f":
                edges = np.array(
                    [0.0, -0.0, 1.0, -1.0, 6e-5, -6e-5, 3.0, -3.0, 0.5, 30.0, -30.0, 6.0, 1e30, -1e30]
                )
                edges = edges[(edges >= low * 10) & (edges <= high * 10)]
                values = (
                    np.resize(rng.permutation(edges), shape)
                    if boundary
                    else rng.uniform(low, high, size=shape)
                )
            elif kind.kind == "b":
                values = rng.integers(0, 2, shape)
            elif kind.itemsize == 1:
                info = np.iinfo(kind)
                values = (
                    np.resize([info.min, info.max, 0, 1], shape)
                    if boundary
                    else rng.integers(info.min, info.max + 1, shape)
                )
            else:
                values = rng.integers(max(int(low), -(2**31)), int(high) + 1, shape)
            found[item["name"]] = np.asarray(values).astype(kind)
        return found

    def run(self, feeds: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """The outputs in order."""
        for item in self.interpreter.get_input_details():
            self.interpreter.set_tensor(item["index"], feeds[item["name"]])
        self.interpreter.invoke()
        return [
            np.array(self.interpreter.get_tensor(item["index"]))
            for item in self.interpreter.get_output_details()
        ]
