"""The texts of ``tools/derive/tf_questions.py``, without TensorFlow."""

from __future__ import annotations

import pytest
from tf_questions import Input, Question


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("float32[4,?]", Input("float32", (4, None))),
        ("float32", Input("float32")),
        ("bool[]", Input("bool", ())),
        ("=[1, 2]int32", Input("int32", None, [1, 2], True)),
        ("=@4,4@float32", Input("float32", None, "@4,4@", True)),
    ],
)
def test_an_input_is_read_as_it_is_written(text: str, made: Input) -> None:
    assert Input.read(text) == made
    if not made.stored:
        assert made.text == text


def test_a_question_survives_its_line() -> None:
    asked = Question(
        "Conv2D", {"T": "float32"}, ["float32[1,4,4,2]", "=@3,3,2,8@float32"], {"padding": "SAME"}, first=True
    )
    assert Question.read(asked.text()) == asked
    assert Question.read(asked.changed(first=False).text()).first is False


def test_what_is_no_input_is_said() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        Input.read("nonsense[")
