"""What if: an edited copy of a model in memory, checked without any file being written.

``freeze=NAME:SIZES,...`` writes sizes in as ``fix --freeze`` does. ``fp16`` and ``int8`` give tensors the
types that the format's own tools give them; their ranges and scales are placeholders, which no rule of types
and shapes looks at. What cannot be carried out is not guessed: then every verdict is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ...rules.verdict import Verdict
from ..errors import UsageError
from ..ir.graph import Graph
from .problems import NotAssumed

if TYPE_CHECKING:
    from ..check.coverage import Coverage
    from ..ir.model import Model

FREEZE, HALF, INTEGER = "freeze", "fp16", "int8"
_PROBLEM = "not_assumed"
"""The entry of a model's metadata that says why an assumption could not be carried out."""


def parsed(words: Sequence[str]) -> tuple[str, ...]:
    """The assumptions, checked, in the order in which they are made. Raises UsageError for another word."""
    for word in words:
        name, equals, sizes = word.partition("=")
        good = bool(sizes) if name == FREEZE else name in (HALF, INTEGER) and not equals
        if not good:
            raise UsageError(f"--assume {word!r}: write freeze=batch:1,input:1x3x224x224, fp16 or int8")
    if {HALF, INTEGER} <= set(words):
        raise UsageError("--assume fp16 and int8 contradict each other: give one of them")
    return tuple(sorted(dict.fromkeys(words), key=lambda word: word in (HALF, INTEGER)))


def _sizes(word: str) -> list[str]:
    """``freeze=batch:1,steps:128`` as ``fix --freeze`` writes them."""
    found = []
    for part in word.partition("=")[2].split(","):
        name, colon, sizes = part.rpartition(":")
        if not colon:
            raise UsageError(f"--assume {word!r}: {part!r} is not NAME:SIZES")
        found.append(f"{name}={sizes}")
    return found


def assume(model: Model, words: Sequence[str]) -> Model:
    """Edit a model that was just read. Raises UsageError for names and sizes that it does not have."""
    for word in words:
        try:
            if word.startswith(FREEZE):
                _freeze(model, _sizes(word))
            else:
                _typed(model, word)
        except NotAssumed as problem:
            model.metadata[_PROBLEM] = f"{word} cannot be carried out: {problem}"
            break
    return model


def _freeze(model: Model, sizes: list[str]) -> None:
    from ...rewrites.freeze import freeze
    from ...rewrites.planner import tidy
    from ...rewrites.registry import allowed
    from ..flows.fix import inference

    if model.dialect not in ("onnx", "tflite"):
        raise NotAssumed(f"shapes of {model.dialect} models cannot be worked out again")
    clean = allowed(model.dialect, "safe")

    def fold(graph: Graph) -> dict[str, int]:
        return dict(tidy(graph, clean))

    freeze(model, sizes, inference(model.dialect), fold)


def _typed(model: Model, word: str) -> None:
    from . import halves, integers

    edits: dict[tuple[str, str], Callable[[Model], None]] = {
        ("onnx", HALF): halves.onnx,
        ("tflite", HALF): halves.tflite,
        ("onnx", INTEGER): integers.onnx,
        ("tflite", INTEGER): integers.tflite,
    }
    edit = edits.get((model.dialect, word))
    if edit is None:
        raise NotAssumed(f"nothing is known of how {model.dialect} models are made {word}")
    edit(model)


def told(coverage: Coverage, model: Model, words: Sequence[str]) -> Coverage:
    """The coverage with the word that it is assumed; unknown where it could not be. A rewrite would act on
    the file, which is another: none is named.
    """
    problem = model.metadata.get(_PROBLEM)
    said = f"assumed, no file has it: {', '.join(words)}"
    more = {**coverage.more, "assumed": list(words)}
    if problem is None:
        plain = tuple(replace(item, fix=None) if item.fix else item for item in coverage.findings)
        return replace(coverage, findings=plain, notes=(said, *coverage.notes), more=more)
    operators = tuple(replace(op, verdict=Verdict.UNKNOWN, findings=()) for op in coverage.operators)
    notes = (f"nothing is known of what was assumed: {problem}",)
    return replace(coverage, operators=operators, findings=(), partitions=(), notes=notes, more=more)
