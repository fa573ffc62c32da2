"""What ``tools/derive/tf_running.py`` takes for a call and ``tf_figures.py`` makes of counts; TensorFlow runs
in a worker.
"""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from tf_asking import Worker
from tf_figures import figures
from tf_questions import Question

TYPES = {"T": "float32", "Index": "int32"}


@pytest.mark.skipif(find_spec("tensorflow") is None, reason="needs tensorflow")
def test_only_what_tensorflow_itself_rejects_is_no_call() -> None:
    questions = [
        Question("Slice", TYPES, ["float32[4,4]", "=[0, 1]int32", "=[2, 2]int32"]),
        Question("Slice", TYPES, ["float32[4,4]", "=[0, 1]int32", "=[2, 8]int32"]),
        Question("Slice", TYPES, ["float32[4,?]", "=[0, 1]int32", "=[2, 8]int32"]),
        Question("Slice", TYPES, ["float32[4,4]", "int32[2]", "=[2, 8]int32"]),
        Question("TanhGrad", {"T": "float32"}, ["float32[4]", "float32[5]"]),
        Question("LRN", {"T": "bfloat16"}, ["bfloat16[1,4,4,4]"]),
    ]
    worker = Worker()
    told = worker.runs(questions)
    worker.close()
    assert [answer.partition(":")[0] for answer in told] == [
        "runs",
        "refused",
        "open",
        "open",
        "refused",
        "open",
    ]


def test_figures_count_unknown_as_wrong() -> None:
    run = figures(
        {
            "accelerated": {"accelerated": 6, "rejected": 1},
            "rejected": {"rejected": 2},
            "unknown": {"accelerated": 1},
        },
        invalid=3,
    )
    assert run["agreement"] == pytest.approx(0.8)
    assert run["false_accelerated"] == pytest.approx(0.1)
    assert run["unknown"] == pytest.approx(0.1)
    assert run["refusals"] == {"refused": 3, "refused_predicted": 2, "loaded": 7, "false_alarms": 0}
    assert run["models"] == {"ok": 7, "refused": 3, "invalid": 3}
