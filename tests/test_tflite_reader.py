"""TFLite files, read: what the graph says about models that TensorFlow's converter made, and about
constructed ones.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accelint.analyzer.conform.corpora.tflite.net import Net
from accelint.analyzer.errors import ModelError
from accelint.analyzer.formats.tflite.reader import from_bytes, read
from accelint.analyzer.formats.tflite.schema import schema
from accelint.analyzer.formats.tflite.writer import to_bytes, write
from accelint.analyzer.ir.graph import Constant, Graph
from heavy import tflite_with

import accelint

FIXTURES = Path(__file__).parent.parent / "fixtures" / "tflite"


def load(name: str) -> accelint.Model:
    return accelint.load(FIXTURES / f"{name}.tflite")


def only(graph: Graph, type_: str) -> Any:
    (op,) = [op for op in graph.ops() if op.type == type_]
    return op


def test_a_classifier_has_its_operators_attributes_and_weights() -> None:
    model = load("conv_net")
    assert (model.format, model.dialect) == ("tflite", "tflite")
    types = [
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "LOGISTIC",
        "MUL",
        "ADD",
        "MAX_POOL_2D",
        "MEAN",
        "FULLY_CONNECTED",
        "SOFTMAX",
    ]
    assert [op.type for op in model.graph.ops()] == types
    conv = only(model.graph, "CONV_2D")
    assert conv.attrs == {
        "padding": "SAME", "stride_w": 2, "stride_h": 2, "fused_activation_function": "RELU6",
        "dilation_w_factor": 1, "dilation_h_factor": 1, "quantized_bias_type": "FLOAT32",
    }  # fmt: skip
    assert (conv.id, conv.version, conv.name, conv.label) == ("main/0", 1, "", conv.outputs[0])
    weights = model.graph.tensor(conv.inputs[1])
    assert (weights.dtype, weights.shape, weights.static) == ("float32", (8, 3, 3, 3), True)
    assert weights.const is not None and weights.const.file == model.path and weights.const.inline is None
    assert np.isfinite(weights.const.read()).all() and weights.const.read().std() > 0
    assert model.graph.tensor(model.graph.inputs[0]).shape == (1, 16, 16, 3)


def test_weights_are_the_bytes_that_the_interpreter_reads() -> None:
    pytest.importorskip("ai_edge_litert")
    code = (
        "import sys, numpy as np\n"
        "from ai_edge_litert.interpreter import Interpreter, OpResolverType as T\n"
        "it = Interpreter(model_path=sys.argv[1], "
        "experimental_op_resolver_type=T.BUILTIN_WITHOUT_DEFAULT_DELEGATES)\n"
        "it.allocate_tensors()\n"
        "print(repr([it.get_tensor(int(i)).tobytes().hex() for i in sys.argv[2:]]))\n"
    )
    model = load("conv_net_int8")
    constants = [tensor for tensor in model.graph.tensors.values() if tensor.const is not None]
    args = [str(model.path), *(str(tensor.attrs["index"]) for tensor in constants)]
    told = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, check=True
    ).stdout
    assert eval(told) == [tensor.const.raw().hex() for tensor in constants if tensor.const is not None]
    assert len(constants) == 6, "mean axes, two kernels, one matrix, two biases"


def test_quantization_per_tensor_and_per_channel() -> None:
    graph = load("conv_net_int8").graph
    conv, depthwise = only(graph, "CONV_2D"), only(graph, "DEPTHWISE_CONV_2D")
    activations = graph.tensor(conv.inputs[0]).quant
    assert activations is not None and (activations.scheme, activations.axis, len(activations.scale)) == (
        "per-tensor",
        None,
        1,
    )
    kernel, bias, window = (
        graph.tensor(name).quant for name in (conv.inputs[1], conv.inputs[2], depthwise.inputs[1])
    )
    assert kernel is not None and bias is not None and window is not None
    assert (kernel.scheme, kernel.axis, len(kernel.scale), set(kernel.zero_point)) == (
        "per-channel",
        0,
        8,
        {0},
    )
    assert (window.scheme, window.axis) == ("per-channel", 3)
    assert bias.scale[0] == pytest.approx(activations.scale[0] * kernel.scale[0])


def test_an_unknown_batch_is_none_and_its_stored_size_is_kept() -> None:
    image = load("conv_net_dynamic_batch").graph.tensor("serving_default_image:0")
    assert image.shape == (None, 16, 16, 3)
    assert (image.attrs["stored_shape"], image.attrs["shape_signature"]) == ((1, 16, 16, 3), (-1, 16, 16, 3))
    assert load("conv_net").graph.tensor("serving_default_image:0").static


def test_bodies_of_while_and_if() -> None:
    loop = only(load("gru_while").graph, "WHILE")
    assert set(loop.graphs) == {"cond", "body"}
    assert "LESS" in {op.type for op in loop.graphs["cond"].ops()}
    assert all(op.id.startswith(f"{loop.graphs['body'].name}/") for op in loop.graphs["body"].ops())
    assert len(loop.graphs["body"].inputs) == len(loop.inputs) == len(loop.outputs)
    choice = only(load("conditional").graph, "IF")
    assert Counter(op.type for body in choice.graphs.values() for op in body.ops()) == {
        "SIN": 1,
        "MUL": 1,
        "SQUARE": 1,
        "SUB": 1,
    }


def test_signatures_are_entry_graphs_with_names() -> None:
    model = load("signatures")
    told = model.metadata["signatures"]
    assert set(told) == {"encode", "decode"}
    assert {item["graph"] for item in told.values()} == set(model.graphs) and len(model.graphs) == 2
    for item in told.values():
        graph = model.graphs[item["graph"]]
        assert set(item["inputs"].values()) == set(graph.inputs) and set(item["outputs"].values()) == set(
            graph.outputs
        )
    assert len(list(model.operators())) == 2


def test_state_is_initialised_by_a_body_and_read_by_handle() -> None:
    model = load("variable")
    assert set(only(model.graph, "CALL_ONCE").graphs) == {"init"}
    handle = only(model.graph, "VAR_HANDLE")
    assert handle.attrs["shared_name"] and model.graph.tensor(handle.outputs[0]).dtype == "resource"


def test_a_flex_operator_is_custom_with_its_options() -> None:
    op = only(load("flex").graph, "FlexErf")
    assert (op.domain, op.version) == ("custom", 1)
    assert b"Erf" in op.attrs["custom_options"]


def test_metadata_is_there_and_lazy() -> None:
    model = load("conv_net")
    version = model.metadata["metadata"]["min_runtime_version"]
    assert isinstance(version, Constant) and version.raw().startswith(b"1.14.0")
    assert model.metadata["description"] == "MLIR Converted."


def test_every_operator_and_options_table_of_the_schema_is_known() -> None:
    known = schema()
    assert len(known.options) == 210 and known.options["DILATE"] == "DilateOptions"
    used = {table for table in known.options.values() if table}
    assert used == set(known.unions["BuiltinOptions"]) | set(known.unions["BuiltinOptions2"])
    assert known.option_defaults("ADD") == {"fused_activation_function": "NONE", "pot_scale_int16": True}
    assert known.option_defaults("RESIZE_BILINEAR") == {"align_corners": False, "half_pixel_centers": False}


def test_names_become_unique_and_are_stored_as_they_were() -> None:
    net = Net()
    x = net.input((2,), "f32")
    outs = [net.result((2,), "f32") for _ in range(3)]
    for out in outs:
        net.op("ABS", [x], [out])
    twins = {
        out: replace(net.graph.tensor(out), attrs={"name": "" if index == 2 else "same", "index": index + 1})
        for index, out in enumerate(outs)
    }
    model = net.model()
    graph = Graph("main", "tflite")
    names = {outs[0]: "same#1", outs[1]: "same#2", outs[2]: "t3"}
    for tensor in (
        replace(net.graph.tensor(x), attrs={"index": 0}),
        *(replace(twin, name=names[out]) for out, twin in twins.items()),
    ):
        graph.add_tensor(tensor)
    for op in net.graph.ops():
        graph.add_op(replace(op, outputs=tuple(names[name] for name in op.outputs)))
    graph.set_interface([x], names.values())
    again = from_bytes(to_bytes(replace(model, graph=graph, graphs={"main": graph})))
    assert list(again.graph.tensors) == ["in0", "same", "same#2", "t3"]
    assert to_bytes(again) == to_bytes(from_bytes(to_bytes(again)))


def test_scalar_and_unknown_rank() -> None:
    """[] is a scalar where has_rank says so, or where no tensor of the file has that field; else the rank is
    unknown.
    """
    net = Net()
    x, y = net.input((), "f32"), net.result((), "f32")
    net.op("ABS", [x], [y])
    model = net.model()
    assert [tensor.shape for tensor in from_bytes(to_bytes(model)).graph.tensors.values()] == [(), ()]
    model.graph.set_tensor(replace(model.graph.tensor(y), shape=None))
    assert [tensor.shape for tensor in from_bytes(to_bytes(model)).graph.tensors.values()] == [(), None]


def test_blockwise_quantization_names_its_scales() -> None:
    from accelint.analyzer.ir.graph import Quantization

    net = Net()
    x, out = net.input((4, 64), "f32"), net.result((4, 8), "f32")
    weights = net.weights((8, 64), "i4")
    scales = net.weights((8, 2), "f16", name="scales")
    details = ("BlockwiseQuantization", {"scales": scales, "zero_points": None, "block_size": 32})
    quantized = replace(
        net.graph.tensor(weights), quant=Quantization((), (), 0, 32), attrs={"quantization_details": details}
    )
    net.graph.set_tensor(quantized)
    net.op("FULLY_CONNECTED", [x, weights], [out])
    found = from_bytes(to_bytes(net.model())).graph.tensor("weights")
    assert found.quant is not None and (found.quant.scheme, found.quant.block) == ("blockwise", 32)
    assert found.attrs["quantization_details"] == details
    assert found.const is not None and found.const.read().shape == (8, 64)


def test_external_weights_stay_beside_the_model(tmp_path: Path) -> None:
    net = Net()
    x, out = net.input((4,), "f32"), net.result((4,), "f32")
    weights = net.weights((4,), "f32")
    net.op("ADD", [x, weights], [out])
    model = read_back(net, tmp_path / "plain.tflite")
    const = model.graph.tensor(weights).const
    assert const is not None
    (tmp_path / "weights.bin").write_bytes(b"\0" * 32 + const.raw())
    outside = Constant("float32", (4,), tmp_path / "weights.bin", 32, 16)
    model.graph.set_tensor(replace(model.graph.tensor(weights), const=outside, attrs={"external_buffer": 5}))
    rows = ({"id": 5, "group": 0, "offset": 32, "length": 16, "packing": None},)
    model.stored = replace(model.stored, external_groups=({"name": "weights.bin"},), external=rows)
    write(model, tmp_path / "external.tflite")
    again = accelint.load(tmp_path / "external.tflite")
    found = again.graph.tensor(weights).const
    assert found is not None and (found.file, found.offset) == ((tmp_path / "weights.bin").resolve(), 32)
    assert found.raw() == const.raw()
    (tmp_path / "other").mkdir()
    write(again, tmp_path / "other" / "embedded.tflite")
    embedded = accelint.load(tmp_path / "other" / "embedded.tflite").graph.tensor(weights).const
    assert embedded is not None and embedded.raw() == const.raw()
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ModelError, match=r"weights file 'weights.bin' is missing"):
        accelint.load(tmp_path / "external.tflite")


def test_external_weights_outside_the_folder_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\0" * 64)
    (tmp_path / "models").mkdir()
    net = Net()
    weights = net.weights((4,), "f32")
    net.op("ADD", [net.input((4,), "f32"), weights], [net.result((4,), "f32")])
    model = read_back(net, tmp_path / "models" / "plain.tflite")
    outside = Constant("float32", (4,), tmp_path / "secret", 0, 16)
    model.graph.set_tensor(replace(model.graph.tensor(weights), const=outside, attrs={"external_buffer": 5}))
    rows = ({"id": 5, "group": 0, "offset": 0, "length": 16, "packing": None},)
    model.stored = replace(model.stored, external_groups=({"name": "../secret"},), external=rows)
    write(model, tmp_path / "models" / "escape.tflite")
    with pytest.raises(ModelError, match="outside its folder"):
        accelint.load(tmp_path / "models" / "escape.tflite")


def read_back(net: Net, path: Path) -> accelint.Model:
    path.write_bytes(to_bytes(net.model()))
    return read(path)


def test_weights_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "big.tflite"
    tflite_with(path, 1_500_000_000)
    code = (
        "import sys, time, resource\n"
        "from accelint.analyzer.formats.tflite.reader import read\n"
        "from pathlib import Path\n"
        "read(Path(sys.argv[1]))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "start = time.process_time()\n"
        "model = read(Path(sys.argv[2]))\n"
        "assert model.graph.tensor('weights').nbytes == 1_500_000_000\n"
        "print(time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, FIXTURES / "conv_net.tflite", path],
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, kilobytes = done.stdout.split()
    assert float(seconds) < 0.5
    assert int(kilobytes) < 100_000


def test_writing_large_weights_copies_them_in_blocks(tmp_path: Path) -> None:
    path = tmp_path / "big.tflite"
    tflite_with(path, 400_000_000)
    model = accelint.load(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    accelint.emit(model, tmp_path / "copy.tflite")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
    assert accelint.load(tmp_path / "copy.tflite").graph.tensor("weights").nbytes == 400_000_000


def test_twenty_thousand_operators_load_quickly() -> None:
    net = Net()
    names = iter(f"block/layer/value_{index}" for index in range(10**6))
    net.graph.fresh = lambda _: next(names)  # type: ignore[method-assign]
    shape = (1, 8, 8, 4)
    x, weights, bias = net.input(shape, "f32"), net.weights((4, 3, 3, 4), "f32"), net.weights((4,), "f32")
    for index in range(20_000):
        out = net.result(shape, "f32")
        if index % 2:
            net.op("CONV_2D", [x, weights, bias], [out], {"stride_h": 1, "stride_w": 1})
        else:
            net.op("ADD", [x, x], [out])
        x = out
    data = to_bytes(net.model())
    start = time.process_time()
    model = from_bytes(data)
    assert time.process_time() - start < 1.2 * 2, "twice the figure of an idle machine"
    assert len(model.graph) == 20_000


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, accelint\n"
        "accelint.load(sys.argv[1])\n"
        "print(sorted({'tensorflow', 'ai_edge_litert', 'numpy', 'onnx', 'networkx', "
        "'flatbuffers'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(FIXTURES / "conv_net.tflite")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
