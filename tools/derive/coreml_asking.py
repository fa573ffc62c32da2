"""Ask coremltools' TensorFlow converter about calls of raw operators: the worker behind
``coreml_convertible.py``.

coremltools stops at the first operator that it cannot convert. Here its registry is wrapped, so that an
operator which raises is noted and stands for its first input; one conversion tells about all calls of a
batch. What fails after all operators were converted (a pass, the writing of the program) is told apart by
asking halves.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from tf_questions import Question

Answer = tuple[str, str]
_NODE = re.compile(r"^[psi]?q?(\d+)(?:_|\b)")


def _work() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    import coremltools  # noqa: F401  (its import installs a logger, which must not write to the answers)

    for line in sys.stdin:
        request = json.loads(line)
        found = convert([Question.read(text) for text in request["ask"]], request["target"])
        print("@answer " + json.dumps(found), flush=True)


def convert(questions: Sequence[Question], target: str) -> list[Answer]:
    """``converts`` or ``refused`` for each call, with coremltools' words."""
    noted: dict[int, str] = {}
    try:
        _convert(questions, target, noted)
    except Exception as error:
        if len(questions) == 1:
            return [("refused", noted.get(0) or f"afterwards: {_words(error)}")]
        rest = [number for number in range(len(questions)) if number not in noted]
        half = max(len(rest) // 2, 1)
        parts = [rest[:half], rest[half:]] if len(rest) < len(questions) or len(rest) > 1 else [rest]
        answers = {number: ("refused", words) for number, words in noted.items()}
        for part in (part for part in parts if part):
            answers.update(zip(part, convert([questions[number] for number in part], target), strict=True))
        return [answers[number] for number in range(len(questions))]
    return [
        ("refused", noted[number]) if number in noted else ("converts", "")
        for number in range(len(questions))
    ]


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]


def _convert(questions: Sequence[Question], target: str, noted: dict[int, str]) -> None:
    import coremltools as ct
    from coremltools.converters.mil.frontend.tensorflow import convert_utils
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
    from tf_asking import function_of

    frozen = convert_variables_to_constants_v2(function_of(questions, scalars=False))
    registry, checked = convert_utils._TF_OPS_REGISTRY, convert_utils.check_output_shapes
    convert_utils._TF_OPS_REGISTRY = _Noting(registry, noted)

    def check(value: Any, node: Any) -> None:
        try:
            checked(value, node)
        except Exception as error:
            _note(noted, node.name, _words(error))

    convert_utils.check_output_shapes = check
    try:
        ct.convert(
            [frozen],
            source="tensorflow",
            convert_to="mlprogram",
            minimum_deployment_target=getattr(ct.target, target),
            compute_precision=ct.precision.FLOAT32,
            skip_model_load=True,
        )
    finally:
        convert_utils._TF_OPS_REGISTRY, convert_utils.check_output_shapes = registry, checked


def _note(noted: dict[int, str], node: str, words: str) -> None:
    match = _NODE.match(node)
    if match is None:
        raise RuntimeError(f"{node}: {words}")
    noted.setdefault(int(match[1]), words)


class _Noting:
    """coremltools' registry, with conversions that note what they raise."""

    def __init__(self, registry: dict[str, Any], noted: dict[int, str]) -> None:
        self.registry, self.noted = registry, noted

    def get(self, op: str, default: Any = None) -> Any:
        """The conversion of an operator type, as ``dict.get``."""
        inner = self.registry.get(op)

        def convert(context: Any, node: Any) -> None:
            try:
                if inner is None:
                    raise NotImplementedError(f"Conversion for TF op '{op}' not implemented.")
                inner(context, node)
            except Exception as error:
                _note(self.noted, node.name, _words(error))
                if node.name not in context.context:
                    context.add(node.name, context["x"])

        return convert

    def __contains__(self, op: str) -> bool:
        return op in self.registry


if __name__ == "__main__":
    _work()
