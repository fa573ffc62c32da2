"""The server that assistants speak to (Model Context Protocol, over standard input and output).

Paths come from a language model: only what is below one folder is read or written, links followed, and
answers are bounded.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from accelint import __version__

from ..errors import AccelintError, MissingExtraError, UsageError
from .workers import command, said, summary

try:
    import anyio.to_thread
    from mcp.server import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError
    from mcp_types import ToolAnnotations
    from pydantic import Field
except ModuleNotFoundError as error:
    raise MissingExtraError((error.name or "mcp").partition(".")[0], "mcp", "accelint mcp") from error

LONGEST = 20_000
"""Characters of an answer."""
_MODELS = 20
_TARGETS = 10
_CAUSES = 8
_INSTRUCTIONS = (
    "accelint predicts whether a neural-network model (ONNX, TFLite, TensorFlow, Keras, Core ML) runs on an "
    "accelerator, says what stops it, and rewrites it. Find a target's name with `targets`, then `check`; "
    "`explain` says what a finding's rule supports, `fix` writes a changed copy of the model whose numbers "
    "were compared with the original's. Predictions are not runs: `accelint verify` asks the real runtime."
)

Models = Annotated[list[str], Field(description="Files, folders or glob patterns of models", min_length=1)]
Targets = Annotated[
    list[str],
    Field(description="Targets, families or known names: onnxruntime/qnn, litert/gpu, pixel-9", min_length=1),
]
OneTarget = Annotated[str, Field(description="One target, as `targets` lists them")]
MaybeTarget = Annotated[str, Field(description="Only of this target; all where empty")]
What = Annotated[str, Field(description="A code (ACL503), a rule's name or an operator type (Resize)")]
Part = Annotated[str, Field(description="Only targets with this in a name: qnn, pixel-9, snapdragon")]
Source = Annotated[str, Field(description="A model, below the server's folder")]
Devices = Annotated[
    list[str],
    Field(description="Devices, chips, runtimes or targets: iphone-15, pixel-9, qnn", min_length=1),
]
Output = Annotated[
    str, Field(description="The file to write, which must not exist; MODEL.fixed.onnx where empty")
]
Approximate = Annotated[bool, Field(description="Also rewrites that approximate")]
Freeze = Annotated[
    list[str] | None,
    Field(description="Static sizes for dynamic shapes: input=1x3x224x224, N=1 or batch=1"),
]


class Tools:
    """What the server offers; ``root`` is the folder that paths have to be in."""

    def __init__(self, root: Path, seconds: float) -> None:
        self.root = root.resolve()
        self.seconds = seconds

    async def check(self, models: Models, targets: Targets) -> str:
        """Predict for every operator of models whether it runs on the targets' accelerators: verdict,
        coverage, partitions and the root causes of what falls back or fails, with the line of code that made
        the operators where it is recorded, and the command that repairs it. JSON.
        """
        given = [str(self._inside(word)) for word in _few(models, _MODELS, "models")]
        words = [*given, *_options(_few(targets, _TARGETS, "targets")), "--isolated"]
        words += [f"--root={self.root}", f"--below={self.root}"]
        answer = await _aside(summary, words, self.seconds)
        return _fitting(answer)

    async def explain(self, what: What, target: MaybeTarget = "") -> str:
        """Explain a finding's code or rule, or what is supported of an operator: limits, why, what to change,
        and the sources.
        """
        return await self._text("explain", "--", what, options=_options([target] if target else []))

    async def targets(self, name: Part = "") -> str:
        """List the targets: what each does, its runtime, version and the date of the data, and the releases
        that TARGET@RELEASE accepts.
        """
        return await self._text("targets", "--", name)

    async def releases(self, model: Source, target: OneTarget) -> str:
        """How a model does at each release of the target's runtime that is known, newest first, and what
        changed between them.
        """
        return await self._text("releases", str(self._inside(model)), options=_options([target]))

    async def recommend(self, model: Source, devices: Devices) -> str:
        """Rank the targets of devices for one model, with reasons and an estimate of whether it is worth it:
        the answer may be to stay on the CPU.
        """
        named = ",".join(_few(devices, _TARGETS, "devices"))
        options = [f"--devices={named}", "--isolated"]
        return await self._text("recommend", str(self._inside(model)), options=options)

    async def fix(
        self,
        model: Source,
        target: OneTarget,
        output: Output = "",
        approximate: Approximate = False,
        freeze: Freeze = None,
    ) -> str:
        """Write a changed copy of a model of which more runs on the target. Each change is kept only where
        the prediction improves and the numbers agree with the original's on a reference runtime. The model
        itself is never written.
        """
        source = self._inside(model)
        place = self._inside(output) if output else source.with_name(f"{source.stem}.fixed{source.suffix}")
        if output and (os.path.lexists(place) or place.suffix != source.suffix):
            raise ToolError(f"{output}: give a file that does not exist and ends with {source.suffix}")
        words = [str(source), "-o", str(place), *_options([target])]
        words += ["--fix-level", "unsafe"] if approximate else []
        words += [f"--freeze={size}" for size in _few(freeze or [], _MODELS, "sizes")]
        return await self._text("fix", *words)

    async def _text(self, name: str, *words: str, options: Sequence[str] = ()) -> str:
        done = await _aside(command, [name, *options, *words], self.seconds)
        told = "\n".join(part for part in (done.out.strip(), said(done)) if part)
        told = told.replace(f"{self.root}{os.sep}", "")
        if done.end.code not in (0, 1, 5):
            raise ToolError(_cut(told or done.end.text))
        return _cut(told)

    def _inside(self, word: str) -> Path:
        """A path below the root, links followed as far as it exists. Raises ToolError for others."""
        try:
            path = self.root / word
            real = path.resolve()
        except (OSError, ValueError, RuntimeError) as error:
            raise ToolError(f"{word!r} is no path") from error
        if not word or not real.is_relative_to(self.root) or ".." in path.parts:
            raise ToolError(f"{word!r} is not below {self.root}: the server reads no other models")
        return path


def _options(targets: Sequence[str]) -> list[str]:
    return [f"--target={target}" for target in targets]


def _few(words: list[str], most: int, what: str) -> list[str]:
    if len(words) > most:
        raise ToolError(f"at most {most} {what} in one call: {len(words)} were given")
    return words


async def _aside(work: Callable[[Sequence[str], float], Any], words: Sequence[str], seconds: float) -> Any:
    try:
        return await anyio.to_thread.run_sync(work, words, seconds)
    except AccelintError as error:
        raise ToolError(_cut(error.message)) from error


def _cut(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}\n... {len(text) - LONGEST} more characters: ask for less"


def _fitting(answer: Mapping[str, Any]) -> str:
    """The answer with as many root causes, and as many models, as fit."""
    models = list(answer["models"])
    for causes in (_CAUSES, 3, 1, 0):
        text = json.dumps({"models": [_short(model, causes) for model in models]}, ensure_ascii=False)
        if len(text) <= LONGEST:
            return text
    kept: list[Any] = []
    while models and len(json.dumps([*kept, _short(models[0], 0)], ensure_ascii=False)) < LONGEST - 200:
        kept.append(_short(models.pop(0), 0))
    return json.dumps({"models": kept, "models_left_out": len(models)}, ensure_ascii=False)


def _short(model: Mapping[str, Any], causes: int) -> dict[str, Any]:
    targets = []
    for target in model["targets"]:
        shown = target["issues"][:causes]
        left = len(target["issues"]) - len(shown) + target["left_out"]
        row = {key: target[key] for key in ("target", "runtime", "verdict", "phase", "coverage", "operators")}
        row |= {"partitions": target["partitions"], "root_causes": [_cause(item) for item in shown]}
        targets.append({**row, **({"root_causes_left_out": left} if left else {})})
    return {"path": model["path"], "errors": [text[:500] for text in model["errors"]], "targets": targets}


def _cause(issue: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: issue[key] for key in ("code", "rule", "severity", "count", "evidence")}
    found["message"] = issue["message"][:600]
    found["operators"] = [str(op["name"] or op["id"])[:100] for op in issue["operators"]]
    if issue["file"]:
        found["made_at"] = f"{issue['file']}:{issue['line']}"
    return found


def server(root: Path, seconds: float) -> MCPServer[Any]:
    """The server with its tools."""
    tools = Tools(root, seconds)
    made: MCPServer[Any] = MCPServer(
        "accelint", version=__version__, instructions=_INSTRUCTIONS, log_level="ERROR"
    )
    for tool in (tools.check, tools.explain, tools.targets, tools.releases, tools.recommend, tools.fix):
        writes = tool == tools.fix
        notes = ToolAnnotations(read_only_hint=not writes, destructive_hint=False, open_world_hint=False)
        made.tool(annotations=notes, structured_output=False)(tool)
    return made


def serve(root: Path, seconds: float) -> None:
    """Speak over standard input and output until the client goes. Raises UsageError for no folder."""
    if not root.is_dir():
        raise UsageError(f"--root {root} is no folder")
    server(root, seconds).run("stdio")
