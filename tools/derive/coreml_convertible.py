"""Ask coremltools' TensorFlow converter about every operator that it registers, as ``tf_convertible.py`` asks
TensorFlow's.

    python tools/derive/coreml_convertible.py TABLE.tsv [--target iOS15] [--ops Abs,Erf]

The answers are ``converts`` and ``refused``, with coremltools' words. Operators that are not registered need
no question: the converter stops at them by name.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tf_asking import Worker
from tf_convertible import CHUNK, EVERY, read, told, write

SCRIPT = str(Path(__file__).with_name("coreml_asking.py"))
KINDS = ("float32", "int32", "bool", "float16", "float64", "int64")
"""Element types that an ML Program takes at its edge, or that coremltools makes such of."""
INTERNAL = {"Const", "ELU", "ERF", "LeakyReLU", "Resampler", "Placeholder", "Reverse"}
"""Registered names that TensorFlow has no operator for, and those that no call shows."""


def main() -> None:
    """Ask for all registered operators, or those named, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--target", default="iOS15")
    parser.add_argument("--ops", default="")
    options = parser.parse_args()
    rows = read(options.out) if options.out.exists() else []
    known = {row[0] for row in rows}
    waiting = options.ops.split(",") if options.ops else [op for op in registered() if op not in known]
    rows = [row for row in rows if row[0] not in waiting]
    title = (
        f"# operator, what was varied, value, answer of coremltools 9.0's TensorFlow "
        f"converter for {options.target}, detail"
    )
    worker, coreml = Worker(), Worker(SCRIPT, batch=40, mixed=True, target=options.target)
    for start in range(0, len(waiting), CHUNK):
        rows += told(waiting[start : start + CHUNK], worker, coreml.ask, KINDS, _passed)
        write(rows, options.out, title)
    worker.close()
    coreml.close()


def _passed(what: str, value: str) -> bool:
    """What is not asked: ranks over 5, which no program has, no rank at all, and element types that do not
    get in.
    """
    if what.endswith("open"):
        return value == "rank"
    return value == "6" if what.endswith("rank") else value in EVERY and value not in KINDS


def registered() -> list[str]:
    """TensorFlow operators that coremltools has a conversion for."""
    from coremltools.converters.mil.frontend.tensorflow.tf_op_registry import _TF_OPS_REGISTRY
    from tf_questions import definition

    return sorted(op for op in _TF_OPS_REGISTRY if op not in INTERNAL and definition(op) is not None)


if __name__ == "__main__":
    main()
