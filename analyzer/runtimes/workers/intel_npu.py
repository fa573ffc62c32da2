"""Intel's NPU through LiteRT's compiler plug-in: which operators it takes and in how many partitions, without
the NPU itself.

``apply_plugin_main --cmd=partition`` (in the ``ai-edge-litert`` wheel) writes a model in which each partition
is one ``DISPATCH_OP``; the operators left beside it are the CPU's. Operators are followed by the names of the
tensors that they write.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from ...processes.process import complete
from ..answers import Answer, Placed, Request
from .tflite_file import Op, TfliteFile, uniquely_named

if TYPE_CHECKING:
    from pathlib import Path

_SECONDS = 3600.0
"""At most; the time that the request has is watched from outside."""
_DISPATCH = "CUSTOM DISPATCH_OP"
_UNSUPPORTED = re.compile(r"op type \d+ is not supported")
_STATS = re.compile(
    r"Partitioned subgraph<(\d+)>, selected (\d+) ops, from a total of (\d+) ops\. resulted in "
    r"(\d+) partitions"
)


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
        self.libraries = os.pathsep.join(
            [str(openvino / "libs"), str(litert), os.environ.get("LD_LIBRARY_PATH", "")]
        ).rstrip(os.pathsep)
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
        files = [file, *file.called()]
        source, names = uniquely_named(files, self.folder / "named")
        command = [
            str(self.tool),
            "--cmd=partition",
            f"--model={source}",
            f"--o={target}",
            "--soc_manufacturer=IntelOpenVINO",
            f"--soc_model={self.soc}",
            f"--libs={self.plugin}",
            "--err=--",
        ]
        libraries = {**os.environ, "LD_LIBRARY_PATH": self.libraries}
        done = complete(command, _SECONDS, environment=libraries)
        log = (done.out + done.err)[-8000:]
        if done.end.signal:
            status = "killed" if done.end.outside else "crashed"
            return Answer(status, reason=done.end.text, signal=done.end.signal, log=log)
        stats = {int(found[1]): found for found in _STATS.finditer(log)}
        if done.end.code or not target.is_file() or 0 not in stats:
            return Answer("refused", reason=_last(log) or done.end.text, log=log)
        return _answers(files, names, target, stats, log)


def open(name: str, folder: Path) -> IntelNpuWorker:
    """A worker for ``litert/intel-npu:<ptl|lnl>``."""
    return IntelNpuWorker(name, folder)


def _answers(
    files: list[TfliteFile],
    names: list[dict[int, str]],
    target: Path,
    stats: dict[int, re.Match[str]],
    log: str,
) -> Answer:
    """Each subgraph beside the one at its place in the partitioned file."""
    placed: list[Placed] = []
    notes: dict[str, object] = {"unsupported": list(dict.fromkeys(_UNSUPPORTED.findall(log)))}
    partitions = 0
    for file, given in zip(files, names, strict=True):
        found = stats.get(file.subgraph)
        if found is None:
            silent = "the tool tells nothing of it"
            placed += [
                Placed(op.index, file.label(op), op.type, "unknown", file.graph, reason=silent)
                for op in file.ops
            ]
            continue
        more, said = _placements(file, given, TfliteFile(target, file.subgraph), found, partitions)
        placed, partitions, notes = placed + more, partitions + int(found[4]), {**said, **notes}
    return Answer("ok", placement=tuple(placed), partitions=partitions, notes=notes, log=log)


def _placements(
    file: TfliteFile, names: dict[int, str], result: TfliteFile, stats: re.Match[str], first: int
) -> tuple[list[Placed], dict[str, object]]:
    selected, total = int(stats[2]), int(stats[3])
    inside = _partitions(file, names, result)
    notes: dict[str, object] = (
        {"counts": {"selected": selected, "left": total - selected}} if not file.subgraph else {}
    )
    if total != len(file.ops):
        notes["decomposed"] = f"the tool replaced composites: {total} operators instead of {len(file.ops)}"
    elif len(inside) != selected:
        notes["disagreement"] = f"{len(inside)} operators found, {selected} counted by the tool"
    return [_placed(file, op, inside, first, "disagreement" in notes) for op in file.ops], notes


def _partitions(file: TfliteFile, names: dict[int, str], result: TfliteFile) -> dict[int, int]:
    """Piece by operator index: what lies between the tensors that each dispatch operator reads and writes."""
    by_name = {name: tensor for tensor, name in names.items()}
    if len(result.outputs) == len(file.outputs):  # a composite's body has names of its own
        by_name = {
            **{result.name(new): old for new, old in zip(result.outputs, file.outputs, strict=True)},
            **by_name,
        }
    before = {tuple(names[item] for item in op.outputs) for op in file.ops if op.type == _DISPATCH}
    inside: dict[int, int] = {}
    made = [
        op for op in result.ops if op.type == _DISPATCH and tuple(map(result.name, op.outputs)) not in before
    ]
    for number, partition in enumerate(made):
        reads = {
            by_name[result.name(item)]
            for item in partition.inputs
            if item >= 0 and result.name(item) in by_name
        }
        writes = [
            by_name[result.name(item)]
            for item in partition.outputs
            if item >= 0 and result.name(item) in by_name
        ]
        for index in file.between(reads, writes):
            inside.setdefault(index, number)
    return inside


def _placed(file: TfliteFile, op: Op, inside: dict[int, int], first: int, doubtful: bool) -> Placed:
    label = file.label(op)
    if doubtful:
        return Placed(
            op.index,
            label,
            op.type,
            "unmapped",
            file.graph,
            reason="the counts of the tool and of its model differ",
        )
    if op.index not in inside:
        return Placed(op.index, label, op.type, "cpu", file.graph, reason="not selected by the plug-in")
    return Placed(op.index, label, op.type, "accelerator", file.graph, first + inside[op.index])


def _last(log: str) -> str:
    lines = [line for line in log.splitlines() if "ERROR" in line]
    return " | ".join(lines[-3:])[:2000]
