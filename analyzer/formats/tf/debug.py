"""The Python line that made a node, from TensorFlow's GraphDebugInfo.

Source: tensorflow/core/framework/graph_debug_info.proto; traces are keyed ``node@function`` and hold the
frames outermost first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

_LIBRARIES = (
    "/tensorflow/python/",
    "/tensorflow/core/",
    "/site-packages/",
    "/dist-packages/",
    "/keras/src/",
    "<frozen ",
    str(Path(__file__).resolve().parents[2] / "source") + "/",  # which let the user's code be exported
)


class DebugInfo:
    """Looks up ``file:line`` by node and function; empty when the model stores no traces."""

    def __init__(self, proto: Any = None) -> None:
        self._proto = proto
        self._by_id: dict[int, str | None] = {}

    def code(self, node: str, function: str) -> str | None:
        """``file.py:line`` of the innermost frame in the user's own code, else of the innermost frame; None
        when untold.
        """
        if self._proto is None:
            return None
        key = f"{node}@{function}"
        trace_id = self._proto.name_to_trace_id.get(key)
        if trace_id is not None:
            if trace_id not in self._by_id:
                self._by_id[trace_id] = self._named(self._proto.traces_by_id.get(trace_id))
            return self._by_id[trace_id]
        return self._named(self._proto.traces.get(key))

    def _named(self, trace: Any) -> str | None:
        if trace is None:
            return None
        frames = [self._proto.frames_by_id[key] for key in trace.frame_id if key in self._proto.frames_by_id]
        places = [place for place in map(self._place, frames or trace.file_line_cols) if place]
        own = [place for place in places if not any(part in place for part in _LIBRARIES)]
        best = own or places
        return best[-1] if best else None

    def _place(self, frame: Any) -> str | None:
        if not 0 <= frame.file_index < len(self._proto.files):
            return None
        return f"{self._proto.files[frame.file_index]}:{frame.line}"


def debug_info(folder: Path) -> DebugInfo:
    """The debug information beside a SavedModel; raises ModelError when its file is damaged."""
    from google.protobuf.message import DecodeError

    from ...errors import ModelError
    from .proto import message

    file = folder / "debug" / "saved_model_debug_info.pb"
    if not file.is_file():
        return DebugInfo()
    try:
        return DebugInfo(message("GraphDebugInfo").FromString(file.read_bytes()))
    except DecodeError as error:
        raise ModelError(
            file, f"damaged debug information: {error}", "delete the folder 'debug' or export the model again"
        ) from error
