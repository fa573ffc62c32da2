"""Operators that their schema does not allow where they stand: dtypes that do not go together, shapes that do
not fit, attributes that are missing.

ONNX Runtime infers and checks every operator when it reads a file (``Graph::InferAndVerifyTypeMatch`` in
core/graph/graph.cc, by the schemas of onnx) and fails to load the model at the first that does not pass.
Shapes that a file stores beside its operators are none of it: where they differ, it warns and goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from . import guard
from .contrib import GUESS, with_stand_ins
from .proto import pb

MOST_BYTES = 1 << 18
"""Of a model without its weights, all of whose shapes are stored: nothing else asks onnx about it."""
_INITIALIZERS_ALONE = 4
"""From this IR version on onnx knows initializers that are no inputs; ONNX Runtime knows them always."""
_PLACE = re.compile(r"\(op_type:\s*([^,()]+), node name:\s*([^)]*)\):")
_PREFIX = re.compile(r"^(\[\w+\]\s*|Inference error\(s\):\s*)*")
_NO_FAULT = re.compile(r"existing shape|expected to have type but instead is null")
"""Words about a shape that is stored, which does not count, and about what an operator reads of another, of
which nothing is known because that is wrong or has no schema here.
"""


def faults(data: bytes) -> dict[str, str]:
    """What is wrong, by the id of each operator that onnx names: as ONNX Runtime has it, without the shapes
    that the file stores of results. One dtype at most, the first.
    """
    proto = pb().ModelProto.FromString(data)
    _prepared(proto.graph, "main")
    proto.ir_version = max(proto.ir_version, _INITIALIZERS_ALONE)
    bare = bytes(proto.SerializeToString())
    adapted, replaced = with_stand_ins(bare) or (bare, [])
    found = _told(adapted, strict=True)
    nodes = pb().ModelProto.FromString(adapted).graph.node if replaced else ()
    for index, node in replaced:
        if nodes[index].op_type == GUESS:
            found.pop(node.name, None)
    return found | _told(bare, types=True)


def named(error: Exception) -> bool:
    """Whether words of onnx's inference are about an operator."""
    return _PLACE.search(str(error)) is not None


def _told(data: bytes, *, strict: bool = False, types: bool = False) -> dict[str, str]:
    try:
        guard.infer_shapes(data, values=False, strict=strict, types=types)
    except Exception as error:  # the extension raises classes of its own, RuntimeError among them
        return dict(_read(str(error)))
    return {}


def _read(words: str) -> Iterator[tuple[str, str]]:
    for line in words.splitlines():
        places = list(_PLACE.finditer(line))
        known = [place for place in places if place[2].startswith("main/")]
        if known and not _NO_FAULT.search(line):
            reason = _PREFIX.sub("", line[places[-1].end() :].strip()).strip().rstrip(".")
            yield known[-1][2], f"{known[-1][1]}: {reason}"[:300]


def _prepared(graph: Any, name: str) -> None:
    """Operators are named as the reader names them, and no shapes are stored of their results."""
    results = {name for node in graph.node for name in node.output}
    for info in (*graph.value_info, *graph.output):
        if info.name in results and info.type.HasField("tensor_type"):
            info.type.tensor_type.ClearField("shape")
    for index, node in enumerate(graph.node):
        node.name = f"{name}/{index}"
        for attribute in node.attribute:
            if attribute.type == pb().AttributeProto.GRAPH:
                _prepared(attribute.g, f"{node.name}/{attribute.name}")
