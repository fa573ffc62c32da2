"""Which passes of the first optimization level each released ONNX Runtime has, asked of the wheels.

    python tools/derive/ort_passes.py WHEELS

``WHEELS`` is a folder with one folder a version, each what ``pip install --target`` makes of
``onnxruntime==VERSION`` (``make releases`` has them in .work/releases/onnxruntime). Each is asked by itself:
for the graph that it leaves of the probes (the models of tests/test_optimizer.py), and, from 1.17 on, for
the graph transformers that it names in its log. Where the answers differ from
analyzer/optimizer/releases.toml, that is said and the exit status is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from accelint.analyzer.optimizer.releases import changes
from accelint.rules.versions import version_key

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools" / "conformance")]
ASKED = r"""
import json, os, re, sys, tempfile
from collections import Counter
import onnxruntime
sys.path.append(sys.argv[2])
import onnx

def kinds(graph):
    for node in graph.node:
        if not re.search("Inserted(PrecisionFree)?Cast_", node.name):
            yield node.op_type
        for attribute in node.attribute:
            yield from kinds(attribute.g)

found = {}
for name in sorted(os.listdir(sys.argv[1])):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    target = options.optimized_model_filepath = tempfile.mktemp(suffix=".onnx")
    try:
        file = os.path.join(sys.argv[1], name)
        onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        found[name] = dict(Counter(kinds(onnx.load(target).graph)))
    except Exception as error:
        found[name] = str(error)[:100]
    if os.path.exists(target):
        os.remove(target)
print(json.dumps(found))
onnxruntime.set_default_logger_severity(1)
options = onnxruntime.SessionOptions()
options.log_severity_level = 1
file = os.path.join(sys.argv[1], "identity")
onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
"""
END = "TransposeOptimizer"
"""The last transformer of the first level."""


def main() -> int:
    """Ask every wheel, and say what changed when."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("wheels", type=Path)
    asked = parser.parse_args()
    versions = sorted((path.name for path in asked.wheels.iterdir() if path.is_dir()), key=version_key)
    with tempfile.TemporaryDirectory() as folder:
        write_probes(Path(folder))
        answers = {version: ask(asked.wheels / version, Path(folder)) for version in versions}
    silent = [version for version, (probes, _) in answers.items() if not probes]
    answers = {version: found for version, found in answers.items() if found[0]}
    lines = [*table(answers), "", *transformers(answers)]
    lines += ["", f"Not started here: {', '.join(silent)}."] if silent else []
    print("\n".join(lines))
    wrong = list(contradicted(answers))
    print("\n".join(wrong), file=sys.stderr)
    return int(bool(wrong))


def write_probes(folder: Path) -> None:
    """The models, in an IR version that the oldest release reads."""
    import onnx
    from test_optimizer import CASES, GELU, GELUS, model
    from test_optimizer_qdq import QUANTIZED

    probes = {name: (text, values, 17) for name, (text, values) in {**CASES, **QUANTIZED}.items()}
    probes["gelu"] = (GELU, GELUS, 20)
    for name, (text, values, opset) in probes.items():
        file = model(text, values, folder / name, opset)
        made = onnx.load(file)
        made.ir_version = 8
        onnx.save(made, file)


def ask(wheel: Path, probes: Path) -> tuple[dict[str, object], list[str]]:
    """Operators by type of each probe, and the transformers in order; nothing where the wheel does not
    start.
    """
    import onnx

    beside = str(Path(onnx.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", ASKED, str(probes), beside],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(wheel)},
    )  # fmt: skip
    if done.returncode or not done.stdout.strip():
        return {}, []
    names = [
        line.split("GraphTransformer ")[1].split()[0]
        for line in done.stderr.splitlines()
        if "GraphTransformer " in line
    ]
    first = names[: names.index(END) + 1] if END in names else []
    return json.loads(done.stdout.splitlines()[0]), list(dict.fromkeys(first))


Answers = dict[str, tuple[dict[str, object], list[str]]]


def history(answers: Answers, probe: str) -> list[tuple[str, object]]:
    """The releases at which an answer changes."""
    found: list[tuple[str, object]] = []
    for version, (probes, _) in answers.items():
        if not found or found[-1][1] != probes[probe]:
            found.append((version, probes[probe]))
    return found


def table(answers: Answers) -> list[str]:
    """A row for each probe whose answer changes."""
    rows = ["| probe | what is left, from which release on |", "|---|---|"]
    for probe in sorted(next(iter(answers.values()))[0]):
        steps = history(answers, probe)
        if len(steps) > 1:
            rows.append(f"| {probe} | {'; '.join(f'{version}: {told(what)}' for version, what in steps)} |")
    return rows


def told(what: object) -> str:
    """Counts in words."""
    if isinstance(what, dict):
        return ", ".join(f"{count} {kind}" for kind, count in sorted(what.items())) or "nothing"
    return "does not load"


def transformers(answers: Answers) -> list[str]:
    """The lists of transformers, where they change."""
    rows = ["| release | graph transformers of the first level, in order |", "|---|---|"]
    last: list[str] = []
    for version, (_, names) in answers.items():
        if names and names != last:
            rows.append(f"| {version} | {', '.join(names)} |")
            last = names
    return rows


def contradicted(answers: Answers) -> Iterator[str]:
    """Changes of releases.toml that the wheels do not confirm, and changes that it lacks."""
    known = {probe for item in changes() for probe in (item.probe, *item.also)}
    for item in changes():
        steps = [version for version, _ in history(answers, item.probe)][1:]
        for end in (item.since, item.until):
            if end and end not in steps:
                found = ", ".join(steps) or "no release"
                yield f"{item.name}: {item.probe!r} changes at {found}, not at {end}"
    for probe in next(iter(answers.values()))[0]:
        if probe not in known and len(history(answers, probe)) > 1:
            yield f"{probe!r} changes and no entry says so: {history(answers, probe)}"


if __name__ == "__main__":
    sys.exit(main())
