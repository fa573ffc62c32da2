"""A check of a contract as source code for an application's start: Python, Kotlin or Swift.

The code holds the promised interface as plain values, compares it with what the runtime says of the loaded
model, and gives what differs in words. It needs nothing but the runtime that the application has anyway.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ..errors import UsageError
from .contract import SIDES, Contract, Port

_HEAD = "Written by accelint from the model's contract: write it again when the contract changes."
_RUNTIMES = {
    "onnx": "onnxruntime",
    "ort": "onnxruntime",
    "tflite": "litert",
    "mlmodel": "coreml",
    "mlpackage": "coreml",
}


def code(contract: Contract, language: str) -> str:
    """The source. Raises UsageError for a language that does not fit the format of the model."""
    runtime = _RUNTIMES.get(contract.format)
    if runtime is None:
        raise UsageError(
            f"a {contract.format} model is no artifact that an application loads: convert it first"
        )
    writer = _WRITERS.get((language, runtime))
    if writer is None:
        fit = ", ".join(sorted(name for name, kind in _WRITERS if kind == runtime))
        raise UsageError(f"{runtime} has no {language} code here: there is {fit}")
    return writer(contract)


def _rows(contract: Contract, side: str) -> list[tuple[str, str, list[int]]]:
    """Name, element type and sizes, -1 for what is open."""
    ports: tuple[Port, ...] = getattr(contract, side)
    return [
        (port.name, port.dtype, [dim if isinstance(dim, int) else -1 for dim in port.shape or ()])
        for port in ports
    ]


# ---- Python ----------------------------------------------------------------------------------

_PYTHON = '''"""{head}"""

EXPECTED = {expected}


def problems(found):
    """What differs between the promised interface and ``found``, a line each."""
    told = []
    for side, ports in EXPECTED.items():
        rows = {{name: (dtype, shape) for name, dtype, shape in found[side]}}
        for name, dtype, shape in ports:
            if name not in rows:
                told.append(f"{{side}}: {{name!r}} is missing")
            elif rows[name][0] != dtype:
                told.append(f"{{side}}: {{name!r}} is {{rows[name][0]}}, not {{dtype}}")
            elif len(rows[name][1]) != len(shape) or any(
                a != b for a, b in zip(rows[name][1], shape) if b >= 0
            ):
                told.append(f"{{side}}: {{name!r}} has the shape {{rows[name][1]}}, not {{shape}}")
        if [row[0] for row in found[side]] != [row[0] for row in ports] and told == []:
            told.append(f"{{side}}: the order is {{[row[0] for row in found[side]]}}")
    return told


{loaded}

def check(model):
    """Raise ValueError when the loaded model is not the one that this application was written for."""
    if told := problems(interface(model)):
        raise ValueError("the model is not as promised: " + "; ".join(told))
'''
_PYTHON_LOADED = {
    "onnxruntime": '''def interface(session):
    """The interface of an ``onnxruntime.InferenceSession``."""
    names = {"float": "float32", "double": "float64"}

    def rows(nodes):
        for node in nodes:
            dtype = node.type.removeprefix("tensor(").removesuffix(")")
            shape = [dim if isinstance(dim, int) else -1 for dim in node.shape or ()]
            yield node.name, names.get(dtype, dtype), shape

    return {"inputs": list(rows(session.get_inputs())), "outputs": list(rows(session.get_outputs()))}

''',
    "litert": '''def interface(interpreter):
    """The interface of an ``ai_edge_litert.interpreter.Interpreter`` (or TensorFlow Lite's)."""

    def rows(details):
        for item in details:
            shape = [int(dim) for dim in item["shape_signature"]]
            yield item["name"], item["dtype"].__name__.rstrip("_"), shape

    return {
        "inputs": list(rows(interpreter.get_input_details())),
        "outputs": list(rows(interpreter.get_output_details())),
    }

''',
    "coreml": '''def interface(model):
    """The interface of a ``coremltools.models.MLModel``; sizes of flexible axes are not compared."""
    kinds = {65568: "float32", 65600: "float64", 65552: "float16", 131104: "int32"}
    spec = model.get_spec()

    def rows(items):
        for item in items:
            array = item.type.multiArrayType
            yield item.name, kinds.get(array.dataType, item.type.WhichOneof("Type")), list(array.shape)

    return {"inputs": list(rows(spec.description.input)), "outputs": list(rows(spec.description.output))}

''',
}


def _python(runtime: str) -> Callable[[Contract], str]:
    def write(contract: Contract) -> str:
        expected = {side: _rows(contract, side) for side in SIDES[:2]}
        return _PYTHON.format(head=_HEAD, expected=_literal(expected), loaded=_PYTHON_LOADED[runtime])

    return write


def _literal(expected: dict[str, Any]) -> str:
    lines = ["{"]
    for side, rows in expected.items():
        lines.append(f"    {side!r}: [")
        lines += [f"        {row!a}," for row in rows]
        lines.append("    ],")
    return "\n".join([*lines, "}"])


# ---- Kotlin ----------------------------------------------------------------------------------

_KOTLIN = """// {head}

{imports}
object ModelContract {{
    class Port(val name: String, val type: String, val shape: List<Long>)

    val inputs: List<Port> = listOf({inputs})
    val outputs: List<Port> = listOf({outputs})

    /** What differs between the promised ports and those of the loaded model, a line each. */
    fun problems(side: String, promised: List<Port>, found: List<Port>): List<String> {{
        val told = ArrayList<String>()
        for (port in promised) {{
            val now = found.firstOrNull {{ it.name == port.name }}
            if (now == null) told.add("$side: '${{port.name}}' is missing")
            else if (!now.type.equals(port.type, ignoreCase = true))
                told.add("$side: '${{port.name}}' is ${{now.type}}, not ${{port.type}}")
            else if (!fits(now.shape, port.shape))
                told.add("$side: '${{port.name}}' has the shape ${{now.shape}}, not ${{port.shape}}")
        }}
        if (told.isEmpty() && found.map {{ it.name }} != promised.map {{ it.name }})
            told.add("$side: the order is ${{found.map {{ it.name }}}}")
        return told
    }}

    private fun fits(now: List<Long>, promised: List<Long>): Boolean =
        now.size == promised.size && now.indices.all {{ promised[it] < 0 || now[it] == promised[it] }}

{loaded}
}}
"""
_KOTLIN_IMPORTS = {
    "onnxruntime": "import ai.onnxruntime.NodeInfo\nimport ai.onnxruntime.OrtSession\n"
    "import ai.onnxruntime.TensorInfo\n",
    "litert": "import org.tensorflow.lite.Interpreter\nimport org.tensorflow.lite.Tensor\n",
}
_KOTLIN_LOADED = {
    "onnxruntime": """
    /** Throws IllegalStateException when the model is not the one that this application was written for. */
    fun check(session: OrtSession) {
        val told = problems("inputs", inputs, ports(session.inputInfo)) +
            problems("outputs", outputs, ports(session.outputInfo))
        if (told.isNotEmpty())
            throw IllegalStateException("the model is not as promised: " + told.joinToString("; "))
    }

    private fun ports(nodes: Map<String, NodeInfo>): List<Port> = nodes.map { (name, node) ->
        val info = node.info as? TensorInfo
        Port(name, info?.type?.name ?: "", info?.shape?.toList() ?: emptyList())
    }""",
    "litert": """
    /** Throws IllegalStateException when the model is not the one that this application was written for. */
    fun check(model: Interpreter) {
        val ins = (0 until model.inputTensorCount).map { port(model.getInputTensor(it)) }
        val outs = (0 until model.outputTensorCount).map { port(model.getOutputTensor(it)) }
        val told = problems("inputs", inputs, ins) + problems("outputs", outputs, outs)
        if (told.isNotEmpty())
            throw IllegalStateException("the model is not as promised: " + told.joinToString("; "))
    }

    private fun port(tensor: Tensor): Port =
        Port(tensor.name(), tensor.dataType().name, tensor.shapeSignature().map { it.toLong() })""",
}
_KOTLIN_TYPES = {
    "onnxruntime": {"float32": "float", "float64": "double"},
    "litert": {},
}
"""Where ``ai.onnxruntime.OnnxJavaType`` and ``org.tensorflow.lite.DataType`` have other names."""


def _kotlin(runtime: str) -> Callable[[Contract], str]:
    def write(contract: Contract) -> str:
        return _KOTLIN.format(
            head=_HEAD,
            imports=_KOTLIN_IMPORTS[runtime],
            inputs=_ports(contract, "inputs", _KOTLIN_TYPES[runtime]),
            outputs=_ports(contract, "outputs", _KOTLIN_TYPES[runtime]),
            loaded=_KOTLIN_LOADED[runtime],
        )

    return write


def _ports(contract: Contract, side: str, types: dict[str, str]) -> str:
    rows = [
        f"        Port({_string(name)}, {_string(types.get(dtype, dtype))}, "
        f"listOf<Long>({', '.join(map(str, shape))}))"
        for name, dtype, shape in _rows(contract, side)
    ]
    return "\n" + ",\n".join(rows) + "\n    " if rows else ""


def _string(text: str) -> str:
    """A string literal of Kotlin, in ASCII: JSON's escapes are Kotlin's, and a dollar starts no template."""
    return json.dumps(text).replace("$", "\\$")


# ---- Swift -----------------------------------------------------------------------------------

_SWIFT = """// {head}

import CoreML

enum ModelContract {{
    struct Port {{
        let name: String
        let type: String
        let shape: [Int]
    }}

    static let inputs: [Port] = [{inputs}]
    static let outputs: [Port] = [{outputs}]

    struct Broken: Error, CustomStringConvertible {{
        let description: String
    }}

    /// Throws when the loaded model is not the one that this application was written for.
    static func check(_ model: MLModel) throws {{
        let about = model.modelDescription
        let told = problems("inputs", inputs, about.inputDescriptionsByName)
            + problems("outputs", outputs, about.outputDescriptionsByName)
        if !told.isEmpty {{
            throw Broken(description: "the model is not as promised: " + told.joined(separator: "; "))
        }}
    }}

    static func problems(
        _ side: String, _ promised: [Port], _ found: [String: MLFeatureDescription]
    ) -> [String] {{
        var told: [String] = []
        for port in promised {{
            guard let now = found[port.name] else {{
                told.append("\\(side): '\\(port.name)' is missing")
                continue
            }}
            guard let array = now.multiArrayConstraint else {{ continue }}
            if kind(array.dataType) != port.type {{
                told.append("\\(side): '\\(port.name)' is \\(kind(array.dataType)), not \\(port.type)")
            }}
            let shape = array.shape.map {{ $0.intValue }}
            let fits = shape.count == port.shape.count
                && zip(shape, port.shape).allSatisfy {{ $1 < 0 || $0 == $1 }}
            if !shape.isEmpty && !fits {{
                told.append("\\(side): '\\(port.name)' has the shape \\(shape), not \\(port.shape)")
            }}
        }}
        return told
    }}

    private static func kind(_ type: MLMultiArrayDataType) -> String {{
        switch type {{
        case .float32: return "float32"
        case .float16: return "float16"
        case .double: return "float64"
        case .int32: return "int32"
        default: return "other"
        }}
    }}
}}
"""


def _swift(contract: Contract) -> str:
    def ports(side: str) -> str:
        rows = [
            f"        Port(name: {_swift_string(name)}, type: {_swift_string(dtype)}, "
            f"shape: [{', '.join(map(str, shape))}])"
            for name, dtype, shape in _rows(contract, side)
        ]
        return "\n" + ",\n".join(rows) + ",\n    " if rows else ""

    return _SWIFT.format(head=_HEAD, inputs=ports("inputs"), outputs=ports("outputs"))


def _swift_string(text: str) -> str:
    """A string literal of Swift, in ASCII."""
    plain = {'"': '\\"', "\\": "\\\\"}
    return '"' + "".join(plain.get(c, c if " " <= c <= "~" else f"\\u{{{ord(c):x}}}") for c in text) + '"'


_WRITERS: dict[tuple[str, str], Callable[[Contract], str]] = {
    **{("python", runtime): _python(runtime) for runtime in _PYTHON_LOADED},
    **{("kotlin", runtime): _kotlin(runtime) for runtime in _KOTLIN_LOADED},
    ("swift", "coreml"): _swift,
}
LANGUAGES = tuple(sorted({language for language, _ in _WRITERS}))
