"""From the description of one operator to a checked ONNX model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from zlib import crc32

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

OPSET = 21
"""Default operator set of the corpus, and the newest that runtimes of the day take without warning."""

Dims = tuple[int | str, ...]


class InvalidCase(ValueError):
    """The combination is no valid ONNX model (a dtype that the schema does not allow, shapes that do not
    fit).
    """


@dataclass(frozen=True, slots=True)
class Arg:
    """One input. ``dtype`` None means the case's own; ``values`` fixes the content, ``const`` makes it an
    initializer.
    """

    shape: Dims
    dtype: str | None = None
    values: Any = None
    const: bool = False


@dataclass(frozen=True, slots=True)
class Spec:
    """One operator with its inputs: what a case is built from.

    ``results`` gives (dtype, shape) of each output for operators that onnx cannot infer (other domains); None
    asks onnx. ``quantize`` wraps float inputs and outputs in DequantizeLinear and QuantizeLinear of that
    dtype, per channel along axis ``channel`` for constants when it is not None.
    """

    op: str
    inputs: tuple[Arg | None, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    note: str = "base"
    dtype: str = "float32"
    outputs: int = 1
    opset: int = OPSET
    domain: str = ""
    results: tuple[tuple[str | None, Dims], ...] | None = None
    quantize: str = ""
    channel: int | None = None

    @property
    def name(self) -> str:
        """Readable and unique within a corpus."""
        parts = [self.op, self.note, self.dtype] + ([] if self.opset == OPSET else [f"v{self.opset}"])
        parts += (
            [f"qdq-{self.quantize}" + ("" if self.channel is None else "-channel")] if self.quantize else []
        )
        return "/".join(parts)

    def with_(self, note: str, **changes: Any) -> Spec:
        """A variation of this description with a word for what is different."""
        return replace(self, note=note if self.note == "base" else f"{self.note}+{note}", **changes)

    def input_(self, index: int, **changes: Any) -> tuple[Arg | None, ...]:
        """The inputs with one of them changed."""
        arg = self.inputs[index]
        assert arg is not None
        return (*self.inputs[:index], replace(arg, **changes), *self.inputs[index + 1 :])


def element_type(dtype: str) -> int:
    """The number that ONNX gives the dtype. Raises InvalidCase for one that it has not."""
    from onnx import TensorProto

    words = {
        "float32": "FLOAT",
        "float64": "DOUBLE",
        "float8e4m3fn": "FLOAT8E4M3FN",
        "float8e5m2": "FLOAT8E5M2",
        "float4e2m1": "FLOAT4E2M1",
    }
    number = getattr(TensorProto, words.get(dtype, dtype.upper()), None)
    if not isinstance(number, int):
        raise InvalidCase(f"ONNX has no dtype {dtype}")
    return number


def content(shape: Dims, dtype: str, values: Any, seed: str) -> NDArray[Any]:
    """An array of small values that every operator takes; the same for the same seed."""
    import numpy as np

    dims = tuple(dim if isinstance(dim, int) else 2 for dim in shape)
    if values is not None:
        return np.resize(np.asarray(values), dims) if np.asarray(values).size else np.zeros(dims)
    rng = np.random.default_rng(crc32(seed.encode()))
    if dtype == "bool":
        return rng.integers(0, 2, dims).astype(bool)
    if dtype == "string":
        return np.array([f"s{number}" for number in range(int(np.prod(dims)))], dtype=object).reshape(dims)
    if dtype.startswith(("int", "uint")):
        return rng.integers(0, 3, dims)
    return np.round(rng.uniform(0.1, 1.0, dims), 3)


def initializer(name: str, array: NDArray[Any], dtype: str) -> onnx.TensorProto:
    """The array as an ONNX tensor of the dtype."""
    from onnx import helper

    number = element_type(dtype)
    if dtype.startswith("u"):
        array = abs(array)
    flat = array.reshape(-1).tolist()
    if dtype == "string":
        flat = [str(item).encode() for item in flat]
    return helper.make_tensor(name, number, array.shape, flat)


def build(spec: Spec) -> bytes:
    """The model of one case, its shapes inferred. Raises InvalidCase when onnx rejects it."""
    import onnx
    from onnx import helper

    parts = _Parts()
    names = [_input(parts, spec, index, arg) for index, arg in enumerate(spec.inputs)]
    written = [f"y{index}" for index in range(spec.outputs)]
    inner = [_requantize(parts, spec, name) for name in written] if spec.quantize else written
    node = helper.make_node(spec.op, names, inner, name="n0", domain=spec.domain, **dict(spec.attrs))
    parts.nodes.insert(parts.before, node)
    outputs = []
    for index, name in enumerate(written):
        info = onnx.ValueInfoProto(name=name)
        if spec.results is not None:
            dtype, shape = spec.results[index]
            info = helper.make_tensor_value_info(name, element_type(dtype or spec.dtype), shape)
        outputs.append(info)
    opsets = [helper.make_opsetid("", spec.opset)] + (
        [helper.make_opsetid(spec.domain, 1)] if spec.domain else []
    )
    graph = helper.make_graph(parts.nodes, "case", parts.infos, outputs, parts.initializers)
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="accelint")
    return finish(model, check=onnx.defs.has(spec.op, spec.domain))


def finish(model: onnx.ModelProto, *, check: bool = True) -> bytes:
    """Infer shapes, give the outputs their types and check. Raises InvalidCase when onnx rejects it."""
    import onnx

    try:
        inferred = onnx.shape_inference.infer_shapes(
            model, check_type=check, strict_mode=check, data_prop=True
        )
        if check and all(output.type.tensor_type.HasField("shape") for output in inferred.graph.output):
            onnx.checker.check_model(inferred)  # it asks outputs for a rank, which runtimes do not
    except (
        onnx.shape_inference.InferenceError,
        onnx.checker.ValidationError,
        ValueError,
        RuntimeError,
        OverflowError,
    ) as error:
        raise InvalidCase(str(error).splitlines()[0]) from error
    if any(not output.type.WhichOneof("value") for output in inferred.graph.output):
        raise InvalidCase("onnx does not infer the output's type")
    data: bytes = inferred.SerializeToString()
    return data


class _Parts:
    """What a model is put together from."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.infos: list[Any] = []
        self.initializers: list[Any] = []
        self.before = 0


def _input(parts: _Parts, spec: Spec, index: int, arg: Arg | None) -> str:
    from onnx import helper

    if arg is None:
        return ""
    name, dtype = f"x{index}", arg.dtype or spec.dtype
    if spec.quantize and dtype in ("float32", "float16") and arg.dtype is None:
        return _dequantized(parts, spec, name, arg)
    if arg.const:
        parts.initializers.append(
            initializer(name, content(arg.shape, dtype, arg.values, spec.op + name), dtype)
        )
    else:
        parts.infos.append(helper.make_tensor_value_info(name, element_type(dtype), arg.shape))
    return name


def _dequantized(parts: _Parts, spec: Spec, name: str, arg: Arg) -> str:
    """An input stored as integers with the DequantizeLinear that reads it. A constant bias (index 2, rank 1)
    is int32.
    """
    from onnx import helper

    bias = name == "x2" and arg.const and len(arg.shape) == 1 and spec.op in ("Conv", "ConvTranspose", "Gemm")
    dtype = "int32" if bias else spec.quantize
    axis = (
        spec.channel
        if arg.const and spec.channel is not None and spec.channel < len(arg.shape) and not bias
        else None
    )
    _scale(parts, name, dtype, 1 if axis is None else int(arg.shape[axis]), axis)
    if arg.const:
        values = [1, 2, 3] if arg.values is None else arg.values
        parts.initializers.append(initializer(name, content(arg.shape, dtype, values, name), dtype))
    else:
        parts.infos.append(helper.make_tensor_value_info(name, element_type(dtype), arg.shape))
    attrs = {} if axis is None else {"axis": axis}
    parts.nodes.append(
        helper.make_node(
            "DequantizeLinear",
            [name, f"{name}_scale", f"{name}_zero"],
            [f"{name}_real"],
            name=f"dq_{name}",
            **attrs,
        )
    )
    parts.before = len(parts.nodes)
    return f"{name}_real"


def _requantize(parts: _Parts, spec: Spec, name: str) -> str:
    from onnx import helper

    _scale(parts, name, spec.quantize, 1, None)
    parts.nodes.append(
        helper.make_node(
            "QuantizeLinear", [f"{name}_real", f"{name}_scale", f"{name}_zero"], [name], name=f"q_{name}"
        )
    )
    return f"{name}_real"


def _scale(parts: _Parts, name: str, dtype: str, count: int, axis: int | None) -> None:
    import numpy as np

    shape = () if axis is None else (count,)
    parts.initializers.append(initializer(f"{name}_scale", np.full(shape, 0.05), "float32"))
    parts.initializers.append(initializer(f"{name}_zero", np.zeros(shape, dtype=int), dtype))
