"""ONNX models through a converter in an environment of its own: what its worker is asked, and what comes
back.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import RuntimeFailure, UsageError
from ..formats import emit, load
from ..ir.model import Model
from ..processes import job as jobs
from .blockers import Blocker
from .contract import hold, restore
from .opmap import written_map
from .options import Options
from .tf_to_tflite import Converted

if TYPE_CHECKING:
    from ..ir.graph import Graph
    from ..runtimes import Answer


@cache
def ready(runtime: str) -> bool:
    """Whether the converter's environment is here."""
    from ..runtimes.catalog import find, info

    return info(find(runtime)[0]).available


def convert(
    source: Path | Model,
    options: Options,
    output: Path | None,
    ending: str,
    runtime: str,
    asked: Mapping[str, Any],
) -> Converted:
    """Ask the converter for a model; the contract of what comes back is that of the source.

    Raises RuntimeFailure with the command that brings the converter, or with how it ended, and UsageError
    for options that it has not.
    """
    from ..runtimes import Request, Session

    model = source if isinstance(source, Model) else load(source)
    if model.dialect != "onnx":
        raise UsageError(f"{model.path} is {model.dialect}: this converter takes ONNX models")
    if options.fixes_shapes:
        raise UsageError("shapes of ONNX models are frozen first: accelint fix MODEL --freeze ... -o FROZEN")
    folder = jobs.Scratch("accelint-convert-") if output is None else None
    target = output or (folder.path if folder else Path()) / f"{model.path.stem}{ending}"
    with Session(runtime, timeout=options.seconds, memory=options.memory) as session:
        request = Request(
            model.path,
            inputs=options.data,
            placement=False,
            options={**asked, "output": str(target.absolute())},
        )
        answer = session.ask(request)
    versions = _versions(answer)
    if answer.status == "missing":
        raise RuntimeFailure(f"{runtime} is not here: {answer.reason}: {answer.advice}".rstrip(": "))
    if not answer.ok:
        problem = (_blocker(model.graph, answer),)
        return Converted(None, None, problem, None, model.graph.name, (), versions)
    made = load(target)
    if made.format == "tflite" and restore(model, made):
        ordered = target.with_name(f"{target.stem}.ordered.tflite")
        emit(made, ordered)
        ordered.replace(target)
        made = load(target)
    broken = hold(model, made)
    if broken:
        blockers = tuple(Blocker("", "", "", "contract", item) for item in broken)
        return Converted(None, None, blockers, None, model.graph.name, (), versions)
    return Converted(target, made, (), written_map(model.graph, made), model.graph.name, (), versions, folder)


def _versions(answer: Answer) -> dict[str, str]:
    package, _, version = answer.runtime.rpartition(" ")
    return {package: version} if package else {}


def _blocker(graph: Graph, answer: Answer) -> Blocker:
    """The operator that the converter's words name, where they name one."""
    for _, op in graph.walk():
        if op.name and (
            f"'{op.name}'" in answer.reason
            or f'"{op.name}"' in answer.reason
            or f" {op.name} " in answer.reason
        ):
            return Blocker(op.type, op.name, "", "other", answer.reason[:600], op.source.code, op.id)
    return Blocker("", "", "", "other", f"{answer.status}: {answer.reason}"[:600])
