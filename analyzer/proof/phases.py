"""In which phase a runtime rejected a model, read from its answer.

Runtimes do not name the phase; their words do, since each has its own functions and statuses for it. A crash
tells none, and neither does an answer that is none (a worker that was ended, a package that is missing).
"""

from __future__ import annotations

import re

RUNNING = "running the model"
"""What workers put before the words of an inference that failed."""
_ORT = (
    ("run", r"Non-zero status code returned while running"),
    ("load", r"^(INVALID_GRAPH|INVALID_PROTOBUF|NO_SUCHFILE|NO_MODEL|NOT_IMPLEMENTED)\b|Load model from"),
    ("partition", r"was not selected by that EP|GetCapability|graph is not acyclic|\bcycle\b"),
    ("compile", r"^EP_FAIL\b|openvino_ep::|/providers/(openvino|coreml|nnapi|qnn)/|[Cc]ompil"),
    ("load", r"."),
)
_LITERT = (
    ("load", r"unresolved custom op|Node number \d+ \(\w+\) failed to prepare"),
    ("compile", r"ml_drift|ModifyGraphWithDelegate|[Ff]ailed to (apply .*|modify graph with )delegate"),
    ("load", r"."),
)
_WORDS = {
    "onnxruntime": _ORT,
    "litert": _LITERT,
    "litert/ethos-u": (("compile", r"."),),
    "litert/intel-npu": (("partition", r"."),),
    "litert/builtins": (("compile", r"."),),
    "litert/flex": (("compile", r"."),),
    "coreml/convertible": (("compile", r"."),),
    "coreml/convertible-onnx": (("compile", r"."),),
    "coreml": (("compile", r"compil"), ("load", r".")),
}


def phase_of(target: str, status: str, reason: str) -> str:
    """One of ``PHASES``, or nothing where the model was taken or the answer does not tell."""
    if status == "failed":
        return "run" if reason.startswith(RUNNING) else ""
    if status != "refused":
        return ""
    name = target.partition("@")[0].partition(":")[0]
    words = _WORDS.get(name) or _WORDS.get(name.partition("/")[0], ())
    return next((phase for phase, pattern in words if re.search(pattern, reason, re.DOTALL)), "")
