"""Tiny TFLite models built from the schema, for tests that ask the real runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

F32, I32, I64, BOOL, F16, F64, I8, RESOURCE = 0, 2, 4, 6, 1, 10, 9, 13
DTYPES = {
    F32: "float32",
    I32: "int32",
    I64: "int64",
    BOOL: "bool",
    F16: "float16",
    F64: "float64",
    I8: "int8",
}


def write(
    path: Path,
    tensors: Mapping[str, tuple[int, Sequence[int]]],
    ops: Sequence[
        tuple[str, Sequence[str], Sequence[str]]
        | tuple[str, Sequence[str], Sequence[str], str, Mapping[str, Any]]
    ],
    inputs: Sequence[str],
    outputs: Sequence[str],
    constants: Mapping[str, np.ndarray] | None = None,
) -> Path:
    """A model of one subgraph. ``tensors``: type and shape by name; ``ops``: type, inputs, outputs, options
    table and its fields.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.operatorCodes, model.buffers = 3, [graph], [], [schema.BufferT()]
    graph.name, graph.tensors, graph.operators = "main", [], []
    places = {name: index for index, name in enumerate(tensors)}
    for name, (dtype, shape) in tensors.items():
        tensor = schema.TensorT()
        tensor.name, tensor.type, tensor.shape, tensor.buffer = name, dtype, [max(1, dim) for dim in shape], 0
        if any(dim < 0 for dim in shape):
            tensor.shapeSignature = list(shape)
        if name in (constants or {}):
            buffer = schema.BufferT()
            buffer.data = np.frombuffer((constants or {})[name].tobytes(), np.uint8)
            tensor.buffer = len(model.buffers)
            model.buffers.append(buffer)
        graph.tensors.append(tensor)
    codes: dict[str, int] = {}
    for kind, reads, writes, *options in ops:
        if kind not in codes:
            code = schema.OperatorCodeT()
            code.builtinCode = getattr(schema.BuiltinOperator, kind)
            code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
            codes[kind] = len(model.operatorCodes)
            model.operatorCodes.append(code)
        op = schema.OperatorT()
        op.opcodeIndex, op.inputs, op.outputs = (
            codes[kind],
            [places[item] for item in reads],
            [places[item] for item in writes],
        )
        if options:
            op.builtinOptionsType = getattr(schema.BuiltinOptions, options[0])
            op.builtinOptions = getattr(schema, f"{options[0]}T")()
            for key, value in options[1].items():
                setattr(op.builtinOptions, key, value)
        graph.operators.append(op)
    graph.inputs, graph.outputs = [places[item] for item in inputs], [places[item] for item in outputs]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def merge(path: Path, *parts: Path) -> Path:
    """Models of one subgraph each as the subgraphs of one model: main, sg1, sg2, ..."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    models = [schema.ModelT.InitFromPackedBuf(part.read_bytes(), 0) for part in parts]
    whole = models[0]
    for model in models[1:]:
        graph = model.subgraphs[0]
        graph.name = None
        for tensor in graph.tensors:
            tensor.buffer = tensor.buffer and tensor.buffer + len(whole.buffers) - 1
        for op in graph.operators:
            op.opcodeIndex += len(whole.operatorCodes)
        whole.buffers += model.buffers[1:]
        whole.operatorCodes += model.operatorCodes
        whole.subgraphs.append(graph)
    builder = flatbuffers.Builder(1024)
    builder.Finish(whole.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def loop(path: Path) -> Path:
    """``while i < 3: i, x = i + 1, relu(x) * 2``: the condition is subgraph 1, the body of three operators
    subgraph 2.
    """
    number, vector = (I32, ()), (F32, (4,))
    calls = ("WhileOptions", {"condSubgraphIndex": 1, "bodySubgraphIndex": 2})
    ints = {name: np.array(value, np.int32) for name, value in (("zero", 0), ("one", 1), ("three", 3))}
    main = write(
        path.with_suffix(".main"),
        {"zero": number, "x": vector, "i": number, "y": vector},
        [("WHILE", ["zero", "x"], ["i", "y"], *calls)],
        ["x"],
        ["y"],
        {"zero": ints["zero"]},
    )
    condition = write(
        path.with_suffix(".condition"),
        {"i": number, "x": vector, "three": number, "go": (BOOL, ())},
        [("LESS", ["i", "three"], ["go"])],
        ["i", "x"],
        ["go"],
        {"three": ints["three"]},
    )
    names = {
        "i": number,
        "x": vector,
        "one": number,
        "two": (F32, (1,)),
        "j": number,
        "r": vector,
        "y": vector,
    }
    ops = [
        ("ADD", ["i", "one"], ["j"], "AddOptions", {}),
        ("RELU", ["x"], ["r"]),
        ("MUL", ["r", "two"], ["y"], "MulOptions", {}),
    ]
    constants = {"one": ints["one"], "two": np.array([2], np.float32)}
    body = write(path.with_suffix(".body"), names, ops, ["i", "x"], ["j", "y"], constants)
    return merge(path, main, condition, body)


def chain(path: Path, kinds: Sequence[str], shape: Sequence[int] = (1, 4, 5, 3), dtype: int = F32) -> Path:
    """One-input operators one after the other: tensors t0, t1, ..."""
    names = [f"t{index}" for index in range(len(kinds) + 1)]
    ops = [(kind, [names[index]], [names[index + 1]]) for index, kind in enumerate(kinds)]
    return write(path, dict.fromkeys(names, (dtype, shape)), ops, names[:1], names[-1:])
