"""Where in the user's code an ONNX operator was made, as the exporter recorded it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from ...ir.graph import Source
from .proto import prose

STACK_TRACE = "pkg.torch.onnx.stack_trace"
"""PyTorch's exporter: a Python traceback, outermost frame first."""
JAX_TRACE = "pkg.jax2onnx.jax_traceback"
"""jax2onnx: ``file.py:line (function)`` a line, innermost frame first."""
_JAX_FRAME = re.compile(r"^(.+?):(\d+) \(", re.MULTILINE)
_FRAME = re.compile(r'File "([^"\n]+)", line (\d+)')
_LIBRARY = re.compile(
    r"[/\\](?:site-packages|dist-packages)[/\\]|(?:^|[/\\])torch[/\\](?:nn|onnx|export|fx|_dynamo|utils)[/\\]"
)


def code_of(node: Any, plain: Source) -> Source:
    """``plain``, with ``file.py:line`` of the innermost frame of the user's own code where the exporter
    recorded one.
    """
    own = [frame for frame in _frames(node) if not _LIBRARY.search(frame[0])]
    if not own:
        return plain
    file, line = own[-1]
    return replace(plain, code=f"{file}:{line}")


def _frames(node: Any) -> list[tuple[str, str]]:
    """File and line, outermost first."""
    for entry in node.metadata_props:
        if entry.key == STACK_TRACE:
            return _FRAME.findall(prose(entry.value))
        if entry.key == JAX_TRACE:
            return _JAX_FRAME.findall(prose(entry.value))[::-1]
    return []
