"""ONNX Runtime's WebGPU execution provider, on a Vulkan driver.

A provider with kernels: the assignment list leaves most of its nodes out, but the profiler names the provider
of each node that ran. So the model is run once, with the request's inputs or small random ones; what did not
run stays ``unmapped``.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..answers import Answer
from .onnxruntime import Assigned, OrtWorker

if TYPE_CHECKING:
    from ..answers import Request
    from .onnx_names import Marked

NAME = "WebGpuExecutionProvider"
_SUFFIX = "_kernel_time"
_NO_HALF = "requires f16 but the device does not support it"
"""Weights are put in order when the session is made, in a program that SwiftShader has no float16 for."""


class WebGpuWorker(OrtWorker):
    """Placement from the profiler's node events."""

    def load(self, request: Request, source: Path | bytes, options: Any) -> Any:
        """A session, or the answer that it was refused; ``failed`` where this device lacks what others
        have.
        """
        session = super().load(request, source, options)
        if isinstance(session, Answer) and _NO_HALF in session.reason:
            return Answer(
                "failed",
                reason=f"the device here computes no float16, which says nothing about others: "
                f"{session.reason}",
            )
        return session

    def assigned(self, session: Any, request: Request, marked: Marked) -> list[Assigned]:
        """Provider of each node that ran; what ONNX Runtime lists for the others."""
        ran = self._profiled(request, marked)
        names = {item.name for item in ran}
        return ran + [item for item in super().assigned(session, request, marked) if item.name not in names]

    def _profiled(self, request: Request, marked: Marked) -> list[Assigned]:
        options = self.options(request)
        options.enable_profiling = True
        options.profile_file_prefix = str(self.folder / "profile")
        session = self.load(request, marked.source, options)
        self.stopped = True
        with suppress(Exception):  # what ran until then is in the profile
            session.run(
                None,
                _within(self.feeds(session, request), marked)
                if request.inputs is None
                else self.feeds(session, request),
            )
            self.stopped = False
        profile = Path(session.end_profiling())
        events = json.loads(profile.read_text("utf-8"))
        profile.unlink()
        return [
            Assigned(event["args"]["provider"], None, _name(event, marked), event["args"].get("op_name", ""))
            for event in events
            if event.get("cat") == "Node"
            and event.get("name", "").endswith(_SUFFIX)
            and event.get("args", {}).get("provider")
        ]


def _within(feeds: dict[str, Any], marked: Marked) -> dict[str, Any]:
    """Random inputs that say where to cut, set to what can be cut: the kernel aborts at a step of 0 or an
    axis that is not there.
    """
    import numpy as np

    for node in marked.nodes:
        if node.type == "Slice":
            starts, _, axes, steps = (node.inputs[1:] + ("",) * 4)[:4]
            feeds.update((name, np.ones_like(feeds[name])) for name in (steps,) if name in feeds)
            feeds.update(
                (name, np.arange(feeds[name].size, dtype=feeds[name].dtype))
                for name in (axes,)
                if name in feeds
            )
            feeds.update((name, np.zeros_like(feeds[name])) for name in (starts,) if name in feeds)
    return feeds


def _name(event: dict[str, Any], marked: Marked) -> str:
    """The node's name; empty for one without, which the profiler calls by type and number."""
    name = str(event["name"]).removesuffix(_SUFFIX)
    made_up = name == f"{event['args'].get('op_name')}_{event['args'].get('node_index')}"
    return "" if made_up and marked.find(name) is None else name


def open(name: str, folder: Path) -> WebGpuWorker:
    """A worker for ``onnxruntime/webgpu``."""
    from ..vulkan import prepare

    prepare(folder)

    def attach(options: Any, asked: dict[str, Any]) -> None:
        options.add_provider(
            NAME, {key: str(value) for key, value in dict(asked.get("provider", {})).items()}
        )

    return WebGpuWorker(folder, NAME, attach, compiles=False)
