"""Intel's NPU through LiteRT's compiler plug-in: which operators it takes and in how many pieces, without the NPU itself.

``apply_plugin_main --cmd=partition`` (in the ``ai-edge-litert`` wheel) writes a model in which each piece is one call of a
subgraph; the operators left in the main graph are the CPU's. Operators are followed by the names of the tensors that they write.
"""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

from .answers import Answer, Placed, Request
from .tflite_file import Op, TfliteFile

if TYPE_CHECKING:
    from pathlib import Path

_STATS = re.compile(r"Partitioned subgraph<(\d+)>, selected (\d+) ops, from a total of (\d+) ops\. resulted in (\d+) partitions")


class IntelNpuWorker:
    """Runs the tool once per request, in a process of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        import importlib.util
        from pathlib import Path as path

        def home(package: str) -> path:
            spec = importlib.util.find_spec(package)
            if spec is None or spec.origin is None:
                raise ImportError(f"the package {package} is not installed")
            return path(spec.origin).parent

        litert, openvino = home("ai_edge_litert"), home("openvino")
        self.folder = folder
        self.tool = litert / "tools" / "apply_plugin_main"
        self.plugin = litert / "vendors" / "intel_openvino" / "compiler"
        self.libraries = os.pathsep.join([str(openvino / "libs"), str(litert), os.environ.get("LD_LIBRARY_PATH", "")]).rstrip(os.pathsep)
        self.soc = name.partition(":")[2].upper()
        if not os.access(self.tool, os.X_OK):
            self.tool.chmod(0o755)

    def __call__(self, request: Request) -> Answer:
        """One answer. The tool partitions and does not run: outputs and latency are never given."""
        try:
            file = TfliteFile(request.model)
        except (ValueError, OSError) as error:
            return Answer("refused", reason=str(error))
        target = self.folder / "partitioned.tflite"
        target.unlink(missing_ok=True)
        command = [str(self.tool), "--cmd=partition", f"--model={request.model}", f"--o={target}", "--soc_manufacturer=IntelOpenVINO",
                   f"--soc_model={self.soc}", f"--libs={self.plugin}", "--err=--"]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False,
                              env={**os.environ, "LD_LIBRARY_PATH": self.libraries})  # fmt: skip
        log = (done.stdout + done.stderr)[-8000:]
        if done.returncode < 0:
            from .process import signal_name

            return Answer("crashed", reason=f"died of {signal_name(-done.returncode)}", signal=signal_name(-done.returncode), log=log)
        stats = _STATS.search(log)
        if done.returncode or not target.is_file() or stats is None:
            return Answer("refused", reason=_last(log) or f"exit status {done.returncode}", log=log)
        return _answer(file, TfliteFile(target), int(stats[2]), int(stats[4]), log)


def open(name: str, folder: Path) -> IntelNpuWorker:
    """A worker for ``litert/intel-npu:<ptl|lnl>``."""
    return IntelNpuWorker(name, folder)


def _answer(file: TfliteFile, result: TfliteFile, selected: int, pieces: int, log: str) -> Answer:
    left = _left(file, result)
    agrees = len(file.ops) - len(left) == selected
    placed = tuple(_placed(file, op, left, agrees) for op in file.ops)
    notes = {"counts": {"selected": selected, "left": len(file.ops) - selected}}
    if not agrees:
        notes["disagreement"] = {"found": len(file.ops) - len(left), "selected": selected}
    return Answer("ok", placement=placed, partitions=pieces, notes=notes, log=log)


def _left(file: TfliteFile, result: TfliteFile) -> set[int]:
    """Indices of the operators that stay in the main graph: in order, of the same type, writing tensors of the same names."""
    waiting = [op for op in result.ops if not op.type.startswith("CUSTOM DISPATCH")]
    stay: dict[tuple[str, tuple[str, ...]], int] = {}
    for op in waiting:
        key = (op.type, tuple(result.name(item) for item in op.outputs if item >= 0))
        stay[key] = stay.get(key, 0) + 1
    found = set()
    for op in file.ops:
        key = (op.type, tuple(file.name(item) for item in op.outputs if item >= 0))
        if stay.get(key, 0):
            stay[key] -= 1
            found.add(op.index)
    return found


def _placed(file: TfliteFile, op: Op, left: set[int], agrees: bool) -> Placed:
    label = file.label(op)
    if not agrees:
        return Placed(op.index, label, op.type, "unmapped", reason="the counts of the tool and of its model differ")
    if op.index in left:
        return Placed(op.index, label, op.type, "cpu", reason="not selected by the plug-in")
    return Placed(op.index, label, op.type, "accelerator")


def _last(log: str) -> str:
    lines = [line for line in log.splitlines() if "ERROR" in line]
    return " | ".join(lines[-3:])[:2000]
