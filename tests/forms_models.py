"""Models for the tests of report forms: names that are markup somewhere, and 20,000 operators."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper

HOSTILE = [
    "]]></failure><x>",
    "<script>alert(1)</script>",
    "</details></summary><img src=x onerror=alert(1)>",
    "`code` | cell \\| **bold** [link](https://example.com)",
    "[text](1) {0} {1}",
    "\n::error file=x::injected",
    "%0A::warning::x,y:z",
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd",
    "\x1b[31mred\x07",
    "‮turned",
    '"; end\n  click a "javascript:alert(1)" %% #35;',
    '\\N\\l" ] } -> { & &amp; <b>',
    "--> <!-- <!-- accelint --> @everyone #1",
    "\uffff\u0000x",
    "💥 ümlaut 名前",
    "end",
    "x" * 5000,
]


def hostile(path: Path) -> Path:
    """Operators that no target has, each with a hostile name, type and code."""
    nodes, read = [], "x"
    for number, name in enumerate(HOSTILE):
        node = helper.make_node(
            "Det" if number % 2 else f"Odd{name}", [read], [f"{name}:{number}"], name=name
        )
        node.domain = "" if number % 2 else "odd.domain"
        node.metadata_props.add(
            key="pkg.torch.onnx.stack_trace", value=f'File "/src/{name}", line {number + 1}, in forward'
        )
        nodes.append(node)
        read = "x"
    outputs = [helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, None) for node in nodes]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["<b>|`N`", 4, 4])]
    graph = helper.make_graph(nodes, "<graph>", inputs, outputs)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("odd.domain", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


def big(path: Path, count: int = 20_000, lines: int = 70) -> Path:
    """A chain of operators of which every other one falls back, made by ``lines`` lines of code."""
    nodes = []
    for number in range(count):
        kind = "Sinh" if number % 2 else "Relu"
        node = helper.make_node(
            kind, [f"t{number}"], [f"t{number + 1}"], name=f"/block{number // 10}/{kind}_{number}"
        )
        node.metadata_props.add(
            key="pkg.torch.onnx.stack_trace",
            value=f'File "/src/net.py", line {number % lines + 1}, in forward',
        )
        nodes.append(node)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8]) for name in ("t0", f"t{count}")]
    graph = helper.make_graph(nodes, "big", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path
