"""What a model of another dialect computes, written as an ONNX model: a reference evaluation where the
dialect's own runtime is not there.

Core ML runs on Apple's systems alone. An ML Program says what it computes all the same, so that its
numbers can be worked out anywhere: each operator becomes the ONNX operators that its documentation and
coremltools' own evaluation describe, and ONNX Runtime runs them. That proves that a change keeps the
numbers. It tells nothing of what Core ML makes of a program, of its rounding or of where it runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ..ir.model import Model


def lower(model: Model, path: Path, keep: Iterable[str] = ()) -> None:
    """Write the main graph of an ML Program as an ONNX model at ``path``, large weights beside it.

    Inputs and outputs keep their names and dtypes, states are inputs that are zeros when they are not
    given, and the values named by ``keep`` become outputs as well. Raises NotCoveredError with every
    operator that is not covered, UsageError for a model of another dialect.
    """
    from .program import write

    write(model, path, tuple(keep))
