"""Where in the user's code an ONNX operator was made, as the exporter recorded it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from ...ir.graph import Source
from .proto import prose

STACK_TRACE = "pkg.torch.onnx.stack_trace"
_FRAME = re.compile(r'File "([^"\n]+)", line (\d+)')
_LIBRARY = re.compile(
    r"[/\\](?:site-packages|dist-packages)[/\\]|(?:^|[/\\])torch[/\\](?:nn|onnx|export|fx|_dynamo|utils)[/\\]"
)


def code_of(node: Any, plain: Source) -> Source:
    """``plain``, with ``file.py:line`` of the innermost frame of the user's own code where the exporter
    recorded one.
    """
    trace = next((entry.value for entry in node.metadata_props if entry.key == STACK_TRACE), "")
    own = [frame for frame in _FRAME.findall(prose(trace)) if not _LIBRARY.search(frame[0])]
    if not own:
        return plain
    file, line = own[-1]
    return replace(plain, code=f"{file}:{line}")
