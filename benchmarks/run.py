"""The figures of docs/benchmarks.md. Each compares things in one run and prints a ratio or a difference.

python benchmarks/run.py [NAME ...] [--write docs/benchmarks.md]
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

TARGET = "onnxruntime/qnn:sm8650"
ACCELINT = [sys.executable, "-m", "accelint"]


@dataclass
class Row:
    """One figure: what was measured, the bound it has, and whether it holds."""

    name: str
    measured: str
    bound: str
    holds: bool


@dataclass
class Cost:
    wall: float
    cpu: float
    rss: int


def cost(command: Sequence[str], runs: int = 1) -> Cost:
    """Median wall and CPU seconds and the peak resident memory (kB) of a command in a fresh process."""
    walls, cpus, peaks = [], [], []
    for _ in range(runs):
        start = time.perf_counter()
        child = subprocess.Popen(list(command), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT)
        assert child.stderr is not None
        said = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        walls.append(time.perf_counter() - start)
        cpus.append(usage.ru_utime + usage.ru_stime)
        peaks.append(usage.ru_maxrss)
        if child.returncode not in (0, 1):
            raise SystemExit(f"{' '.join(command)} ended with {child.returncode}: {said.decode()[-500:]}")
    return Cost(statistics.median(walls), statistics.median(cpus), max(peaks))


def check(model: Path, *targets: str) -> list[str]:
    options = [part for target in targets for part in ("--target", target)]
    return [*ACCELINT, "check", str(model), *options, "--format", "json", "--fail-on", "never"]


def cold_start(folder: Path) -> list[Row]:
    """The command's start against the incumbent checker, both cold, alternated."""
    from models import transformer

    model = folder / "m300.onnx"
    nodes = transformer(model, 30)
    incumbent = [sys.executable, "-m", "onnxruntime.tools.check_onnx_model_mobile_usability", str(model)]
    commands = {
        f"check of {nodes} nodes, json": (check(model, TARGET), 1.0),
        "--help": ([*ACCELINT, "--help"], 1 / 3),
        "targets": ([*ACCELINT, "targets"], 1 / 3),
        "explain ACL503": ([*ACCELINT, "explain", "ACL503"], 1 / 3),
        "explain Resize --target onnxruntime/qnn": (
            [*ACCELINT, "explain", "Resize", "--target", "onnxruntime/qnn"],
            1 / 3,
        ),
    }
    base, times = [], {name: [] for name in commands}  # type: ignore[var-annotated]
    for _ in range(7):
        base.append(cost(incumbent).wall)
        for name, (command, _) in commands.items():
            times[name].append(cost(command).wall)
    whole = statistics.median(base)
    rows = []
    for name, (_, bound) in commands.items():
        ratio = statistics.median(times[name]) / whole
        rows.append(
            Row(
                f"cold `{name}` / ORT usability checker ({whole:.2f} s)",
                f"{ratio:.2f}",
                f"<= {bound:.2f}",
                ratio <= bound,
            )
        )
    return rows


def weights(folder: Path) -> list[Row]:
    """What 1.5 GB of weights add to a check."""
    from models import transformer, with_weights, without_weights

    plain, bare = folder / "plain.onnx", folder / "bare.onnx"
    transformer(plain, 30)
    without_weights(plain, bare)
    heavy = {}
    for kind in ("embedded", "external"):
        (folder / kind).mkdir()
        heavy[f"ONNX, {kind}"] = (bare, folder / kind / "heavy.onnx", TARGET)
        with_weights(plain, folder / kind / "heavy.onnx", 1_500_000_000, external=kind == "external")
    heavy |= other_formats(folder)
    rows = []
    for name, (light, model, target) in heavy.items():
        before, after = cost(check(light, target), 5), cost(check(model, target), 5)
        memory, seconds = (after.rss - before.rss) / 1024, after.wall - before.wall
        rows.append(
            Row(f"1.5 GB of weights, {name}: memory added", f"{memory:.0f} MB", "< 100 MB", memory < 100)
        )
        rows.append(
            Row(f"1.5 GB of weights, {name}: time added", f"{seconds:.2f} s", "< 0.5 s", seconds < 0.5)
        )
    return rows


def other_formats(folder: Path) -> dict[str, tuple[Path, Path, str]]:
    """TFLite and Core ML models with and without 1.5 GB."""
    from heavy import coreml_pair, tflite_pair

    return {
        "TFLite": (*tflite_pair(folder, 1_500_000_000), "litert/xnnpack"),
        "Core ML weights file": (*coreml_pair(folder, 1_500_000_000), "coreml/ane:m4"),
    }


def large_graphs(folder: Path) -> list[Row]:
    """CPU time of checks of large graphs."""
    from models import transformer

    targets = ("onnxruntime/qnn:sm8650", "onnxruntime/qnn:sm8550", "onnxruntime/qnn:sm8750")
    sizes = {blocks: transformer(folder / f"g{blocks}.onnx", blocks) for blocks in (1000, 2000, 10000)}
    times = {
        nodes: cost(check(folder / f"g{blocks}.onnx", *targets), 3 if nodes < 50_000 else 1).cpu
        for blocks, nodes in sizes.items()
    }
    small, middle, big = sorted(times)
    each_small, each_big = times[small] / small, times[big] / big
    return [
        Row(
            f"{middle} operators, three targets: CPU time",
            f"{times[middle]:.2f} s",
            "<= 4 s",
            times[middle] <= 4,
        ),
        Row(
            f"time an operator, {big} / {small}",
            f"{each_big / each_small:.2f}",
            "<= 1.50",
            each_big / each_small <= 1.5,
        ),
    ]


BENCHMARKS: dict[str, Callable[[Path], list[Row]]] = {
    "cold_start": cold_start,
    "weights": weights,
    "large_graphs": large_graphs,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []])
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    rows: list[Row] = []
    for name in options.names or BENCHMARKS:
        with tempfile.TemporaryDirectory(dir=os.environ.get("ACCELINT_BENCH_DIR")) as folder:
            for row in BENCHMARKS[name](Path(folder)):
                print(
                    f"{'ok  ' if row.holds else 'MISS'}  {row.name}: {row.measured} (asked: {row.bound})",
                    flush=True,
                )
                rows.append(row)
    if options.write:
        write(options.write, rows)
    return 0 if all(row.holds for row in rows) else 1


def write(path: Path, rows: list[Row]) -> None:
    names = ("accelint", "onnx", "onnxruntime", "networkx", "numpy", "protobuf", "typer")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    lines = [
        "# Benchmarks",
        "",
        "Printed by `make bench`, each figure from one run on one machine; ratios carry over "
        "to other machines, seconds do not.",
        "",
        f"{date.today()}, Python {platform.python_version()}, {os.cpu_count()} cores, {versions}",
        "",
        "| figure | measured | asked | |",
        "|---|---|---|---|",
        *(
            f"| {row.name} | {row.measured} | {row.bound} | {'ok' if row.holds else '**missed**'} |"
            for row in rows
        ),
        "",
    ]
    path.write_text("\n".join(lines))


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.exit(main())
