"""The reference evaluation of ML Programs: the program as an ONNX model, run by ONNX Runtime without
optimizations. Not Core ML, and on no accelerator: numbers only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import AccelintError, NotCoveredError
from .. import tensors
from ..answers import Answer, Request
from .onnx_feeds import as_fed
from .timing import measure

if TYPE_CHECKING:
    from pathlib import Path


class ReferenceWorker:
    """Answers requests with the numbers of a program; one session is kept for the requests that follow."""

    def __init__(self, folder: Path) -> None:
        import onnxruntime

        self.ort = onnxruntime
        self.folder = folder
        self.asked = 0
        self._last: tuple[Any, ...] = ()
        self._session: Any = None
        self._names: list[str] = []

    def __call__(self, request: Request) -> Answer:
        """One answer."""
        self.asked += 1
        try:
            self._load(request)
        except NotCoveredError as error:
            return Answer("failed", reason=error.message)
        except AccelintError as error:
            return Answer("refused", reason=error.message)
        except Exception as error:  # ONNX Runtime raises its own kinds
            return Answer("refused", reason=f"the program as ONNX: {error}"[:2000])
        return self._run(request)

    def _load(self, request: Request) -> None:
        keep = tuple(request.options.get("keep", ()))
        key = (request.model, _stamp(request.model), keep)
        if key == self._last:
            return
        from ...formats.coreml.reader import read
        from ...lower.program import write

        self._last = ()
        model = read(request.model)
        file = self.folder / "program.onnx"
        write(model, file, keep)
        options = self.ort.SessionOptions()
        options.graph_optimization_level = self.ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = int(request.options.get("threads", 1))
        options.log_severity_level = 3
        self._session = self.ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        # an output that is an input has another name in ONNX; the order is that of the program
        told = [*model.graph.outputs, *(name for name in keep if name not in model.graph.outputs)]
        self._names = [name for name in dict.fromkeys(told) if model.graph.find(name) is not None]
        self._last = key

    def _run(self, request: Request) -> Answer:
        if not request.outputs and not request.latency_runs:
            return Answer("ok")
        try:
            stored = tensors.read(request.inputs) if request.inputs is not None else {}
            # a state is zeros in the model, and may be given
            known = [*self._session.get_inputs(), *self._session.get_overridable_initializers()]
            given = [item for item in known if item.name in stored]
            feeds = {item.name: as_fed(stored[item.name], item.type) for item in given}
            found = self._session.run(None, feeds)
            latency = measure(
                lambda: self._session.run(None, feeds),
                request.latency_runs,
                int(request.options.get("threads", 1)),
            )
        except Exception as error:
            return Answer("failed", reason=f"running the program as ONNX: {error}"[:2000])
        path = self.folder / f"outputs-{self.asked}.npz"
        named = list(zip(self._names, found, strict=True))
        return Answer("ok", outputs=tensors.write(path, named) if request.outputs else None, latency=latency)


def _stamp(path: Path) -> float:
    """When the newest file of a model was written."""
    if path.is_dir():
        return max((item.stat().st_mtime for item in path.rglob("*") if item.is_file()), default=0.0)
    return path.stat().st_mtime


def open(name: str, folder: Path) -> ReferenceWorker:
    """A worker for ``coreml/reference``."""
    return ReferenceWorker(folder)
