"""TensorFlow models to Core ML packages with coremltools."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ..errors import JobFailed, MissingExtraError
from ..formats import load
from ..ir.graph import Operator
from ..ir.model import Model
from ..processes import job as jobs
from .blockers import Blocker
from .opmap import spelled_map
from .options import Options
from .tf_to_tflite import Converted, prepared

SOURCE, TARGET, FORMAT, FOLDER = "tf", "mil", "mlpackage", True
TITLE = "coremltools"
DEFAULTS = Options(optimize="fp16")
"""coremltools stores weights and computes in float16 when nothing is asked for."""
WORKER = "accelint.analyzer.convert.workers.tf_to_coreml"


def to_coreml(source: Path | Model, options: Options | None = None, output: Path | None = None) -> Converted:
    """Convert a SavedModel, a GraphDef or a Keras file to an ML Program package with coremltools.

    Every node without a conversion is in the answer's ``blockers``; ``op_map`` tells the nodes of the
    operators whose names coremltools keeps. Raises what ``to_tflite`` raises.
    """
    for package, extra in (("tensorflow", "tensorflow"), ("coremltools", "coreml")):
        if find_spec(package) is None:
            raise MissingExtraError(package, extra, "converting to Core ML")
    options = options or Options()
    job = prepared(source, options, output, ".mlpackage")
    request = {
        **job.request,
        "deployment": options.deployment,
        "precision": "float16" if options.optimize == "fp16" else "float32",
    }
    try:
        answer = jobs.run(WORKER, request, seconds=options.seconds, memory=options.memory)
    except JobFailed as error:
        answer = {"refused": [{"type": "", "node": "", "message": error.message}]}
    versions: dict[str, str] = {
        name: str(answer[name]) for name in ("coremltools", "tensorflow") if name in answer
    }
    if "done" not in answer:
        operators = {op.name: op for _, op in job.graph.walk()}
        blockers = tuple(_blocker(item, operators) for item in answer["refused"])
        return Converted(None, None, blockers, None, job.signature, job.others, versions)
    model = load(job.target)
    return Converted(
        job.target, model, (), spelled_map(job.graph, model), job.signature, job.others, versions, job.folder
    )


def _blocker(item: dict[str, str], operators: dict[str, Operator]) -> Blocker:
    """The record of a node, found in the source model under the end of its name: freezing puts the calls
    before it.
    """
    name = item["node"]
    while name not in operators and "/" in name:
        name = name.partition("/")[2]
    op = operators.get(name)
    first = item["message"].strip().splitlines()[0] if item["message"].strip() else "no reason given"
    needs = "unsupported" if item["type"] else "other"
    return Blocker(
        item["type"],
        op.name if op else item["node"],
        "",
        needs,
        first,
        op.source.code if op else None,
        op.id if op else None,
    )


convert = to_coreml
