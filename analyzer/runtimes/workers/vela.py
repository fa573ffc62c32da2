"""Vela, the compiler of Arm's Ethos-U NPUs: its output file holds one ``ethos-u`` operator per compiled
partition and what it left to the CPU.

Operators are followed by the tensors that they write, whose names Vela keeps. The reasons are printed per
operator (``Warning (supported operators) operator: CUMSUM, ofm: 'name'`` and ``Reason: ...``); only the
output file decides, as some operators with a printed reason are compiled all the same.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..answers import Answer, Placed, Request
from .printed import Printed
from .tflite_file import Op, TfliteFile, uniquely_named

if TYPE_CHECKING:
    from pathlib import Path

_CONFIG = {"u55": "ethos-u55-256", "u65": "ethos-u65-256", "u85": "ethos-u85-256"}
"""The accelerator configurations that Vela itself takes by default; ``options={"accelerator": ...}`` names
another.
"""
_WARNING = re.compile(r"^Warning \((?P<kind>[^)]*)\) operator: (?P<type>\S+), ofm: '(?P<name>.*)'$")
_GIVEN = re.compile(r"acl:(\d+):(\d+)")
"""The names that ``uniquely_named`` gives: subgraph and tensor."""
_NPU = "CUSTOM ethos-u"
_SHAPED = ("RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
"""Types whose second operand the NPU does not read."""
_BOOLEAN = "_int8"
"""What Vela adds to the name of a boolean result that the CPU computes and the NPU converts."""


class VelaWorker:
    """Compiles in this process; a crash of the compiler's core takes the worker, not accelint."""

    def __init__(self, name: str, folder: Path) -> None:
        from ethosu.vela import vela

        self.vela = vela
        self.root = folder
        self.folder = folder / "vela"
        self.config = _CONFIG[name.partition(":")[2]]

    def __call__(self, request: Request) -> Answer:
        """One answer. Vela compiles and does not run: outputs and latency are never given."""
        try:
            file = TfliteFile(request.model)
        except (ValueError, OSError) as error:
            return Answer("refused", reason=str(error))
        files = [file, *file.called()]
        source, names = uniquely_named(files, self.folder)
        config = str(request.options.get("accelerator", self.config))
        printed, problem = self._compile(source, config, list(request.options.get("arguments", ())))
        compiled = self.folder / f"{source.stem}_vela.tflite"
        if problem or not compiled.is_file():
            return Answer("refused", reason=problem or "Vela wrote no model")
        placement, partitions, notes = _placements(files, names, compiled, _readable(reasons(printed), files))
        compiled.unlink()
        return Answer(
            "ok", placement=placement, partitions=partitions, notes={**notes, "accelerator": config}
        )

    def _compile(self, source: Path, config: str, arguments: list[str]) -> tuple[str, str]:
        """What Vela printed, and why it failed (empty when it did not)."""
        self.folder.mkdir(exist_ok=True)
        log = Printed(self.root)
        command = [str(source), "--accelerator-config", config, "--output-dir", str(self.folder), *arguments]
        code: object
        try:
            code, problem = self.vela.main(command), ""
        except SystemExit as end:
            code, problem = end.code, ""
        except Exception as error:
            code, problem = 1, f"{type(error).__name__}: {error}"[:2000]
        printed = log.text()
        return printed, (problem or f"exit status {code}: {_last(printed)}") if code else ""


def open(name: str, folder: Path) -> VelaWorker:
    """A worker for ``litert/ethos-u:<u55|u65|u85>``."""
    return VelaWorker(name, folder)


def reasons(printed: str) -> dict[str, str]:
    """Vela's words by the name of the tensor that the operator writes; several are joined."""
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in printed.splitlines():
        match = _WARNING.match(line)
        if match:
            current = found.setdefault(match["name"], [])
            current.append("")
        elif not line.strip():
            current = None
        elif current is not None:
            current[-1] = f"{current[-1]} {line.removeprefix('Reason:').strip()}".strip()
    return {name: " / ".join(dict.fromkeys(item for item in texts if item)) for name, texts in found.items()}


def _readable(words: dict[str, str], files: list[TfliteFile]) -> dict[str, str]:
    """Reasons with the file's own names of tensors where a copy with other names was compiled."""
    by_subgraph = {file.subgraph: file for file in files}

    def stored(found: re.Match[str]) -> str:
        file = by_subgraph.get(int(found[1]))
        return file.name(int(found[2])) if file is not None else found[0]

    return {name: _GIVEN.sub(stored, text) for name, text in words.items()}


def _placements(
    files: list[TfliteFile], names: list[dict[int, str]], compiled: Path, words: dict[str, str]
) -> tuple[tuple[Placed, ...], int, dict[str, object]]:
    """Each subgraph beside the one at its place in the compiled file."""
    placed: list[Placed] = []
    partitions = added = 0
    for file, given in zip(files, names, strict=True):
        more, made, extra = _placement(file, given, TfliteFile(compiled, file.subgraph), words, partitions)
        placed, partitions, added = placed + more, partitions + made, added + extra
    return tuple(placed), partitions, {"added": added}


def _placement(
    file: TfliteFile, names: dict[int, str], result: TfliteFile, words: dict[str, str], first: int
) -> tuple[list[Placed], int, int]:
    npu_ops = [op for op in result.ops if op.type == _NPU]
    left = {result.name(item) for op in result.ops if op.type != _NPU for item in op.outputs if item >= 0}
    on_cpu = left | {name.removesuffix(_BOOLEAN) for name in left}
    by_name = {name: tensor for tensor, name in names.items()}
    needed = _needed(file, names, on_cpu)
    inside: dict[int, int] = {}
    count = 0
    for partition in npu_ops:
        reads = {
            by_name[name]
            for name in map(result.name, (item for item in partition.inputs if item >= 0))
            if name in by_name
        }
        writes = [by_name[name] for name in map(result.name, partition.outputs) if name in by_name]
        held = [
            index
            for index in file.between(reads, writes) & needed
            if not _on_cpu(file.ops[index], names, on_cpu)
        ]
        if not held:
            continue  # it converts a boolean input or result, no operator of the file
        for index in held:
            inside.setdefault(index, first + count)
        count += 1
    known = {names[item] for op in file.ops for item in op.outputs if item >= 0}
    added = sum(1 for name in left if not {name, name.removesuffix(_BOOLEAN)} & known)
    placed = [
        _placed(file, op, names, on_cpu, inside, words) if op.index in needed else _unneeded(file, op)
        for op in file.ops
    ]
    return placed, count, added


def _needed(file: TfliteFile, names: dict[int, str], on_cpu: set[str]) -> set[int]:
    """Indices of the operators that the results are computed from. The NPU knows the shape of what it
    reshapes and resizes; variables keep everything.
    """
    if any(not op.outputs for op in file.ops):
        return {op.index for op in file.ops}
    todo, found = list(file.outputs), set[int]()
    while todo:
        op = file.producers.get(todo.pop())
        if op is not None and op.index not in found:
            found.add(op.index)
            first = op.type in _SHAPED and not _on_cpu(op, names, on_cpu)
            todo += op.inputs[:1] if first else op.inputs
    return found


def _unneeded(file: TfliteFile, op: Op) -> Placed:
    reason = "not compiled: no result needs it"
    return Placed(op.index, file.label(op), op.type, "folded", file.graph, reason=reason)


def _on_cpu(op: Op, names: dict[int, str], on_cpu: set[str]) -> bool:
    return any(names[item] in on_cpu for item in op.outputs if item >= 0)


def _placed(
    file: TfliteFile,
    op: Op,
    names: dict[int, str],
    on_cpu: set[str],
    inside: dict[int, int],
    words: dict[str, str],
) -> Placed:
    written = [names[item] for item in op.outputs if item >= 0]
    reason = " / ".join(words[name] for name in written if name in words)
    label = file.label(op)
    if _on_cpu(op, names, on_cpu):
        return Placed(
            op.index,
            label,
            op.type,
            "cpu",
            file.graph,
            reason=reason or "on the CPU, no reason reported",
        )
    if op.index in inside:
        return Placed(op.index, label, op.type, "accelerator", file.graph, inside[op.index])
    if op.inputs and all(file.constant(item) for item in op.inputs):
        return Placed(
            op.index, label, op.type, "folded", file.graph, reason="constant: computed when compiling"
        )
    return Placed(
        op.index,
        label,
        op.type,
        "unmapped",
        file.graph,
        reason="what it writes is not in the compiled model and no partition needs it",
    )


def _last(printed: str) -> str:
    lines = [line for line in printed.splitlines() if line.strip()]
    return next((line for line in reversed(lines) if "rror" in line), lines[-1] if lines else "")[:1000]
