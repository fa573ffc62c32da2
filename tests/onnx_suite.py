"""The ONNX backend suite that ships in the ``onnx`` package, and ONNX Runtime's answers to it.

Run as a script it is the worker of ``test_onnx_suite.py``: ``onnx_suite.py FIRST STEP`` answers
every STEP-th model from the FIRST on and prints one JSON line for each, so that a crash loses one only.
"""

from __future__ import annotations

import json
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx


@dataclass
class Case:
    name: str
    data: bytes
    feeds: list[Any] = field(default_factory=list)


def collect() -> list[Case]:
    """Every model: the operator tests, which onnx builds in memory, and the stored ones."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numpy, about the reference results that onnx computes
        found = [
            Case(case.name, case.model.SerializeToString(), [_array(item) for item in case.data_sets[0][0]])
            for case in collect_testcases(None)
        ]
    root = Path(onnx.__file__).parent / "backend" / "test" / "data"
    for file in sorted(root.rglob("model.onnx")):
        found.append(Case(str(file.parent.relative_to(root)), file.read_bytes(), _stored_feeds(file.parent)))
    found += [Case(file.stem, file.read_bytes()) for file in sorted((root / "light").glob("*.onnx"))]
    return found


def _array(item: Any) -> Any:
    from onnx import numpy_helper

    if isinstance(item, onnx.TensorProto):
        return numpy_helper.to_array(item)
    return np.asarray(item) if isinstance(item, np.generic) else item


def _stored_feeds(folder: Path) -> list[Any]:
    from onnx import numpy_helper

    files = sorted(
        (folder / "test_data_set_0").glob("input_*.pb"), key=lambda file: int(file.stem.split("_")[1])
    )
    model = onnx.load(folder / "model.onnx")
    feeds: list[Any] = []
    for file, info in zip(files, model.graph.input, strict=False):
        if info.type.HasField("sequence_type"):
            feeds.append(numpy_helper.to_list(onnx.SequenceProto.FromString(file.read_bytes())))
        else:
            feeds.append(numpy_helper.to_array(onnx.TensorProto.FromString(file.read_bytes())))
    return feeds


def same(one: Any, other: Any) -> bool:
    """Equal bit for bit, lists and None included."""
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    if one is None or other is None or isinstance(one, dict):
        return bool(one == other)
    one, other = np.asarray(one), np.asarray(other)
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    return bool((one == other).all()) if one.dtype == object else one.tobytes() == other.tobytes()


def run(data: bytes, feeds: list[Any]) -> list[Any]:
    """ONNX Runtime's outputs, with the graph as it stands."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_inputs()]
    outputs = session.run(None, dict(zip(names, feeds, strict=False)))
    return [[item.name for item in session.get_outputs()], *outputs]


def answer(case: Case) -> str:
    """``same``, ``different: ...``, or why ONNX Runtime gives no answer that could be compared."""
    from accelint.analyzer.formats.onnx.reader import from_bytes
    from accelint.analyzer.formats.onnx.writer import to_bytes

    try:
        expected = run(case.data, case.feeds)
        if not same(expected, run(case.data, case.feeds)):
            return "random"
    except Exception as error:
        return f"refused: {str(error)[:80]}"
    model = from_bytes(case.data)
    if not same(expected, run(to_bytes(model), case.feeds)):
        return "different: as it was stored"
    model.stored = None
    try:
        data = to_bytes(model)
    except Exception as error:
        return f"different: cannot be built anew: {error}"
    try:
        return "same" if same(expected, run(data, case.feeds)) else "different: built anew"
    except Exception as error:
        return f"different: built anew: {str(error)[:200]}"


def main() -> None:
    """Answer a part of the suite."""
    first, step = int(sys.argv[1]), int(sys.argv[2])
    for case in collect()[first::step]:
        sys.stdout.write(json.dumps([case.name, answer(case)]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
