"""The model of ONNX Runtime's first optimization level against ONNX Runtime's own, over ONNX files.

    python tools/conformance/level1.py FILE_OR_FOLDER ... [--limit N] [--show N] [--page FILE]
    python tools/conformance/level1.py generated backend random [--limit N] ...

``generated`` and ``backend`` are the corpora of ``accelint conform``: models of one operator and of a few.
``random`` are graphs of the operators that the passes work on (``tests/random_graphs.py``), seeds 0 to 999.

ONNX Runtime writes the graph that its first level leaves (``optimized_model_filepath``, ORT_ENABLE_BASIC, CPU
provider); the operators of both graphs, bodies included, are counted by type. Casts that ONNX Runtime inserts
after the passes, where the CPU lacks a kernel for float16, are left out. Models with operators that
it replaces by their body in the ONNX standard, which depends on the provider, are counted apart.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

INSERTED = "InsertedPrecisionFreeCast_"
RANDOM = "random"


def main() -> int:
    """Compare, and print or write what differs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("paths", nargs="+", type=Path, help="files, folders, or names of corpora")
    parser.add_argument("--limit", type=int, default=0, help="at most this many files, evenly taken")
    parser.add_argument("--show", type=int, default=20)
    parser.add_argument("--page", type=Path)
    asked = parser.parse_args()
    kinds: Counter[str] = Counter()
    operators = right = 0
    shown: list[str] = []
    slowest = (0.0, "")
    for file in files(asked.paths, asked.limit):
        theirs = reference(file)
        if isinstance(theirs, str):
            kinds["not loaded by ONNX Runtime"] += 1
            continue
        started = time.perf_counter()
        ours = predicted(file)
        slowest = max(slowest, (time.perf_counter() - started, file.name))
        if isinstance(ours, str):
            kinds["not read"] += 1
            shown.append(f"{file.name}: {ours}")
            continue
        extra, missing = ours - theirs, theirs - ours
        if any(has_body(kind) for kind in extra):
            kinds["decomposed"] += 1
            continue
        operators += theirs.total()
        right += (theirs & ours).total()
        kinds["equal" if not extra and not missing else "different"] += 1
        if extra or missing:
            shown.append(
                f"{file.parent.name}/{file.name}: only predicted {told(extra)}; "
                f"only in ONNX Runtime's {told(missing)}"
            )
    lines = report(kinds, operators, right, slowest)
    print("\n".join([*shown[: asked.show], *lines]))
    if asked.page:
        asked.page.write_text(page(lines, shown))
    return 0


def files(paths: list[Path], limit: int) -> Iterator[Path]:
    """Every file; a model of a corpus is there until the next is asked for."""
    from accelint.analyzer.conform.corpora import GENERATED, corpus

    stored = [path for path in paths if str(path) not in GENERATED["onnx"]]
    own = [path for path in stored if str(path) != RANDOM]
    found = [file for path in own for file in sorted(path.rglob("*.onnx") if path.is_dir() else [path])]
    yield from found[:: len(found) // limit] if limit and len(found) > limit else found
    with tempfile.TemporaryDirectory() as folder:
        if Path(RANDOM) in paths:
            yield from random_files(Path(folder), limit or 1000)
        for name in (str(path) for path in paths if path not in stored):
            for item in corpus("onnx", name, limit=limit or None):
                file = Path(folder) / f"{item.name.replace('/', '_')[:100]}.onnx"
                file.write_bytes(item.data or b"")
                yield file
                file.unlink()


def random_files(folder: Path, count: int) -> Iterator[Path]:
    """Random graphs, by seed."""
    import onnx

    sys.path.append(str(Path(__file__).parents[2] / "tests"))
    from random_graphs import random_model

    for seed in range(count):
        file = folder / f"seed-{seed}.onnx"
        onnx.save(random_model(seed), file)
        yield file
        file.unlink()


def reference(file: Path) -> Counter[str] | str:
    """Operators of the graph that ONNX Runtime's first level leaves, or why there is none."""
    import onnx
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "optimized.onnx"
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(target)
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        try:
            onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
            graph = onnx.load(str(target), load_external_data=False).graph
        except Exception as error:  # a class of its own for each kind of refusal
            return str(error)[:200]
        return Counter(kind for kind, name in nodes(graph) if INSERTED not in name)


def nodes(graph: Any) -> Iterator[tuple[str, str]]:
    """Type and name of every node, those of bodies too."""
    for node in graph.node:
        kind = f"{node.domain}:{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type
        yield kind, node.name
        for attribute in node.attribute:
            yield from nodes(attribute.g)


def predicted(file: Path) -> Counter[str] | str:
    """Operators of the graph that the model of the first level leaves."""
    from accelint.analyzer.check.prepared import Prepared
    from accelint.analyzer.errors import AccelintError
    from accelint.analyzer.flows.optimized import optimize
    from accelint.analyzer.formats import load

    try:
        made = optimize(Prepared(load(file))).prepared.flat[0]
    except AccelintError as error:
        return error.message
    found = (op for _, op in made.graph.walk() if op.type != "Constant")
    return Counter(f"{op.domain}:{op.type}" if op.domain else op.type for op in found)


def has_body(kind: str) -> bool:
    """Whether the ONNX standard defines the operator by others."""
    from onnx import defs

    if ":" in kind:
        return False
    schema = defs.get_schema(kind)
    return bool(schema.has_function or schema.has_context_dependent_function)


def told(kinds: Counter[str]) -> str:
    """Counts in words."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "nothing"


def report(kinds: Counter[str], operators: int, right: int, slowest: tuple[float, str]) -> list[str]:
    """The figures."""
    compared = kinds["equal"] + kinds["different"]
    return [
        f"models compared: {compared}; {kinds['not loaded by ONNX Runtime']} not loaded by ONNX Runtime, "
        f"{kinds['decomposed']} with operators that it decomposes for the CPU, {kinds['not read']} not read",
        f"the same operators by type: {kinds['equal']} of {compared} models",
        f"operators that ONNX Runtime leaves: {operators}, {right} of them predicted",
        f"slowest prediction, reading included: {slowest[0]:.2f} s ({slowest[1]})",
    ]


def page(lines: list[str], shown: list[str]) -> str:
    """A page of docs/conformance."""
    import onnxruntime

    rows = "\n".join(f"- {line}" for line in lines)
    differing = "\n".join(f"- {line}" for line in shown) or "none"
    about = (
        f"`python tools/conformance/level1.py FOLDER ...`, ONNX Runtime {onnxruntime.__version__}, CPU\n"
        "provider: the graph that its first optimization level leaves, operators counted by type,\n"
        "against the one that `analyzer/optimizer` predicts. The guards of each pass have cases on both\n"
        "sides in `tests/test_optimizer.py`."
    )
    title = "# The first optimization level"
    return f"{title}\n\n{about}\n\n{rows}\n\n## Models that differ\n\n{differing}\n"


if __name__ == "__main__":
    sys.exit(main())
