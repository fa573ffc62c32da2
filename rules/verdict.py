"""What becomes of an operator, and the three answers of a condition."""

from __future__ import annotations

from enum import Enum


class Verdict(str, Enum):
    """What becomes of an operator on a target."""

    ACCELERATED = "accelerated"
    FALLBACK = "fallback"
    FOLDED = "folded"
    REJECTED = "rejected"
    UNKNOWN = "unknown"

    __str__ = str.__str__


class Answer(Enum):
    """Of a condition about one operator."""

    HOLDS = "holds"
    FAILS = "fails"
    UNKNOWN = "unknown"


OF_MODELS = ("full", "partial", "none", "unknown", "rejected")
"""What becomes of a whole model, best first."""
NOTHING = OF_MODELS[2:]
"""Verdicts of a model of which nothing is known to be accelerated."""
EVIDENCE = ("device", "measured", "source", "documented", "reported")
"""Where a rule comes from, best first: compiled or run on the silicon itself, asked of a simulator or of the
runtime here, read in the source, in documentation, or told by somebody.
"""
SEVERITIES = ("error", "warning", "note")
PURPOSES = ("accelerates", "converts", "runs")
"""What a target does with a model: hands operators to an accelerator, converts it, or runs it on a CPU."""
PHASES = ("load", "partition", "compile", "run")
"""Where a runtime rejects a model, in the order in which it gets there: reading it and creating its kernels
(``load``), asking the accelerator what it takes (``partition``), compiling that (``compile``), and inference
(``run``).
"""
EFFECTS = ("fallback", "rejected", "unknown", "note")
"""What a failing rule does: the operator runs elsewhere, the runtime refuses the model, nobody has asked it
(no verdict), or it runs and something is to be known.
"""
