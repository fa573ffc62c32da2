"""The newest operator sets and IR version that a release of ONNX Runtime loads, asked of its package.

    python tools/derive/ort_loads.py 1.15.1 1.18.1 1.32.0

Each package is installed below .work/loads and asked in a process of its own with models of one Identity.
``rules/predicates/ort_releases.py`` holds what was told.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORK = ROOT / ".work" / "loads"
ASK = """
import sys
sys.path.insert(0, sys.argv[1])
import onnxruntime
onnxruntime.set_default_logger_severity(4)
def loads(name):
    try:
        onnxruntime.InferenceSession(sys.argv[2] + "/" + name, providers=["CPUExecutionProvider"])
    except Exception:
        return False
    return True
kinds = {"set": range(13, 31), "ml": range(1, 9), "ir": range(4, 18)}
told = {kind: [n for n in numbers if loads(f"{kind}{n}.onnx")] for kind, numbers in kinds.items()}
print(onnxruntime.__version__, {kind: max(found, default=None) for kind, found in told.items()})
"""


def models() -> None:
    from onnx import TensorProto, helper

    WORK.mkdir(parents=True, exist_ok=True)
    node = helper.make_node("Identity", ["x"], ["y"])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x", "y")]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:])
    asked = [(f"set{n}", [("", n)], 7) for n in range(13, 31)]
    asked += [(f"ml{n}", [("", 13), ("ai.onnx.ml", n)], 7) for n in range(1, 9)]
    asked += [(f"ir{n}", [("", 13)], n) for n in range(4, 18)]
    for name, sets, ir in asked:
        opsets = [helper.make_opsetid(domain, version) for domain, version in sets]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=ir)
        (WORK / f"{name}.onnx").write_bytes(model.SerializeToString())


def main(releases: list[str]) -> None:
    models()
    for release in releases:
        home = WORK / release
        numpy = "numpy==1.26.4" if int(release.split(".")[1]) < 19 else "numpy"
        packages = [f"onnxruntime=={release}", numpy, "packaging", "flatbuffers", "protobuf"]
        if not home.is_dir():
            pip = [
                sys.executable,
                "-m",
                "pip",
                "install",
                "-q",
                "--no-deps",
                "--target",
                str(home),
                *packages,
            ]
            subprocess.run(pip, check=True)
        done = subprocess.run(
            [sys.executable, "-c", ASK, str(home), str(WORK)], capture_output=True, text=True, check=False
        )
        print(done.stdout.strip() or f"{release}: {done.stderr.strip().splitlines()[-1]}")


if __name__ == "__main__":
    main(sys.argv[1:])
