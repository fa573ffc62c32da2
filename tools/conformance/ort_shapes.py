"""The shapes that accelint says ONNX Runtime knows, held against those of ONNX Runtime itself.

    python tools/conformance/ort_shapes.py [--limit N] [FOLDER ...]      # needs onnxruntime

Asks about the ONNX backend node tests (each plain, and with all inputs but the first as constants) and about
every model in the folders. Prints how many tensors agree, and the operators behind the others: ``less`` when
accelint knows less than the runtime, ``more`` when it claims what the runtime does not know.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Shape = tuple[Any, ...] | None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--show", type=int, default=20)
    options = parser.parse_args()
    told: Counter[str] = Counter()
    kinds: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], str] = {}
    with tempfile.TemporaryDirectory(prefix="accelint-") as folder:
        for name, path in models(options.folders, options.limit, Path(folder)):
            for kind, type, tensor, mine, theirs in compare(path, Path(folder) / "asked.onnx"):
                told[kind] += 1
                if kind != "equal":
                    kinds[kind, type] += 1
                    examples.setdefault((kind, type), f"{name}: {tensor} is {mine}, the runtime has {theirs}")
    total = sum(told.values()) or 1
    print(
        f"{total} tensors: "
        + ", ".join(f"{count} {kind} ({count / total:.2%})" for kind, count in told.most_common())
    )
    for key, count in kinds.most_common(options.show):
        print(f"  {key[0]:<6} {key[1]:<24} {count:>5}  {examples[key]}")
    return 0


def models(folders: list[Path], limit: int | None, scratch: Path) -> Iterator[tuple[str, Path]]:
    from accelint.analyzer.conform.corpora import corpus

    if folders:
        yield from ((file.name, file) for folder in folders for file in sorted(folder.rglob("*.onnx")))
        return
    for item in corpus("onnx", "backend", limit=limit):
        path = scratch / "model.onnx"
        path.write_bytes(item.data or b"")
        yield item.name, path


def compare(path: Path, asked: Path) -> Iterator[tuple[str, str, str, Shape, Shape]]:
    """``equal``, ``less``, ``more`` or ``other`` for every tensor that both have: kind, operator, name, our
    shape, the runtime's.
    """
    from accelint.analyzer.errors import AccelintError
    from accelint.analyzer.formats import load
    from accelint.analyzer.formats.onnx.inline import inlined
    from accelint.analyzer.policies.onnxruntime.policy import with_plain_shapes

    theirs = runtime_shapes(path, asked)
    if theirs is None:
        return
    try:
        model = load(path)
        graph = with_plain_shapes((inlined(model)[0] if model.functions else model).graph)
    except AccelintError:
        return
    for op in graph.ops():
        for name in op.outputs:
            if name and name in theirs and graph.constant(name) is None:
                mine = graph.tensor(name).shape
                yield judged(mine, theirs[name]), op.type, name, mine, theirs[name]


def judged(mine: Shape, theirs: Shape) -> str:
    """Names of open sizes are not compared: the runtime makes up its own. It calls a tensor of unknown rank
    ``()`` as it does a scalar.
    """
    if mine is None and theirs == ():
        return "equal"
    if mine is None or theirs is None:
        return "equal" if mine is theirs else "less" if mine is None else "more"
    if len(mine) != len(theirs):
        return "other"
    fixed = [(isinstance(a, int), isinstance(b, int)) for a, b in zip(mine, theirs, strict=True)]
    if any(a and b and x != y for (a, b), x, y in zip(fixed, mine, theirs, strict=True)):
        return "other"
    if all(a == b for a, b in fixed):
        return "equal"
    return "less" if any(b and not a for a, b in fixed) else "more"


def runtime_shapes(path: Path, asked: Path) -> dict[str, Shape] | None:
    """Tensor -> shape as ONNX Runtime infers it; None when it does not load the model. Every result is made
    an output of a copy.
    """
    import onnx
    import onnxruntime as ort

    model = onnx.load(path, load_external_data=False)
    outputs = {info.name for info in model.graph.output}
    fresh = [name for node in model.graph.node for name in node.output if name and name not in outputs]
    for name in fresh:
        model.graph.output.add(name=name)
    onnx.save(model, asked)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(str(asked), options, providers=["CPUExecutionProvider"])
    except Exception:
        return None
    found: dict[str, Shape] = {}
    for info in session.get_outputs():
        if info.type.startswith("tensor") and info.name in fresh:
            found[info.name] = tuple(dim if isinstance(dim, int) else None for dim in info.shape)
    return found


if __name__ == "__main__":
    sys.exit(main())
