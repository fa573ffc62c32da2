"""The figures of docs/benchmarks.md, of accelint as it is installed: a wheel of this checkout, compiled, in
an environment of its own. Each compares things in one run and prints a ratio or a difference.

python benchmarks/run.py [NAME ...] [--write docs/benchmarks.md]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

TARGET = "onnxruntime/qnn:sm8650"
THREE = (TARGET, "onnxruntime/qnn:sm8550", "onnxruntime/qnn:sm8750")
TEN = (
    *THREE,
    "onnxruntime/qnn:sm8350",
    "onnxruntime/nnapi",
    "onnxruntime/coreml:mlprogram",
    "onnxruntime/coreml:neuralnetwork",
    "onnxruntime/xnnpack",
    "onnxruntime/webgpu",
    "onnxruntime/openvino",
)
ROUNDS = 11


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


@dataclass(frozen=True)
class Bench:
    """Where models are made, and the interpreter whose accelint is measured."""

    folder: Path
    python: Path

    def run(self, *words: str) -> list[str]:
        return [str(self.python), "-m", "accelint", *words]

    def check(self, model: Path, *targets: str) -> list[str]:
        """A check with its report in a file, which costs the same on every machine."""
        options = [part for target in targets for part in ("--target", target)]
        report = str(self.folder / "report.json")
        shape = ["--format", "json", "--output", report, "--fail-on", "never"]
        return self.run("check", str(model), *options, *shape)

    def cost(self, command: Sequence[str], runs: int = 1) -> Cost:
        """Median wall and CPU seconds and the peak resident memory (kB) of a command in a fresh process."""
        walls, cpus, peaks = [], [], []
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment["XDG_CACHE_HOME"] = str(self.folder / "cache")
        for _ in range(runs):
            start = time.perf_counter()
            child = subprocess.Popen(
                list(command),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd=self.folder,
                env=environment,
            )
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

    def interleaved(self, commands: dict[str, list[str]], rounds: int = ROUNDS) -> dict[str, list[Cost]]:
        """Every command once a round, after one round that is not counted."""
        costs: dict[str, list[Cost]] = {name: [] for name in commands}
        for number in range(rounds + 1):
            for name, command in commands.items():
                found = self.cost(command)
                if number:
                    costs[name].append(found)
        return costs


def ratio(costs: dict[str, list[Cost]], name: str, base: str, of: str = "wall") -> float:
    """The median of the ratios of each round: a machine that is busy for a while is busy for both."""
    return statistics.median(
        getattr(one, of) / getattr(other, of) for one, other in zip(costs[name], costs[base], strict=True)
    )


def made(name: str, *arguments: Any, module: str = "models", **options: Any) -> Any:
    """What a function of a module here gives in a process of its own: a child counts the memory that its
    parent had when it started, and models are large while they are made.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_call, (module, name, arguments, options))


def _call(module: str, name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    return getattr(import_module(module), name)(*arguments, **options)


def at_most(name: str, value: float, bound: float, unit: str = "") -> Row:
    digits = 0 if unit == " MB" else 2
    return Row(name, f"{value:.{digits}f}{unit}", f"<= {bound:.{digits}f}{unit}", value <= bound)


def cold_start(bench: Bench) -> list[Row]:
    """The command's start against the incumbent checker, both cold, alternated."""
    models = {name: bench.folder / f"{name}.onnx" for name in ("transformer", "vision")}
    nodes = max(made(name, file, 30) for name, file in models.items())
    rows = []
    for name, model in models.items():
        checker = "onnxruntime.tools.check_onnx_model_mobile_usability"
        commands = {
            "incumbent": [str(bench.python), "-m", checker, str(model)],
            f"check of {nodes} nodes ({name}), json": bench.check(model, TARGET),
        }
        bounds = dict.fromkeys(list(commands)[1:], 0.65)
        if name == "transformer":
            short = {
                "--help": ("--help",),
                "targets": ("targets",),
                "explain ACL503": ("explain", "ACL503"),
                "explain Resize --target onnxruntime/qnn": (
                    "explain", "Resize", "--target", "onnxruntime/qnn",
                ),
            }  # fmt: skip
            commands |= {said: bench.run(*words) for said, words in short.items()}
            bounds |= dict.fromkeys(short, 0.30)
        costs = bench.interleaved(commands)
        whole = statistics.median(cost.wall for cost in costs["incumbent"])
        rows += [
            at_most(
                f"cold `{said}` / ORT usability checker ({whole:.2f} s)",
                ratio(costs, said, "incumbent"),
                bound,
            )
            for said, bound in bounds.items()
        ]
    return rows


def weights(bench: Bench) -> list[Row]:
    """What 1.5 GB of weights add to a check."""
    folder = bench.folder
    plain, bare = folder / "plain.onnx", folder / "bare.onnx"
    made("transformer", plain, 30)
    made("without_weights", plain, bare)
    heavy = {}
    for kind in ("embedded", "external"):
        (folder / kind).mkdir()
        heavy[f"ONNX, {kind}"] = (bare, folder / kind / "heavy.onnx", TARGET)
        heavy_file = folder / kind / "heavy.onnx"
        made("with_weights", plain, heavy_file, 1_500_000_000, external=kind == "external")
    heavy |= other_formats(folder)
    rows = []
    for name, (light, model, target) in heavy.items():
        commands = {"light": bench.check(light, target), "heavy": bench.check(model, target)}
        costs = bench.interleaved(commands, 5)
        memory = (max(cost.rss for cost in costs["heavy"]) - max(cost.rss for cost in costs["light"])) / 1024
        added = [
            after.wall - before.wall for before, after in zip(costs["light"], costs["heavy"], strict=True)
        ]
        rows.append(
            Row(f"1.5 GB of weights, {name}: memory added", f"{memory:.0f} MB", "< 100 MB", memory < 100)
        )
        seconds = statistics.median(added)
        rows.append(
            Row(f"1.5 GB of weights, {name}: time added", f"{seconds:.2f} s", "< 0.5 s", seconds < 0.5)
        )
    return rows


def other_formats(folder: Path) -> dict[str, tuple[Path, Path, str]]:
    """TFLite and Core ML models with and without 1.5 GB."""
    return {
        "TFLite": (*made("tflite_pair", folder, 1_500_000_000, module="heavy"), "litert/xnnpack"),
        "Core ML weights file": (
            *made("coreml_pair", folder, 1_500_000_000, module="heavy"),
            "coreml/ane:m4",
        ),
    }


def large_graphs(bench: Bench) -> list[Row]:
    """CPU time and memory of checks of large graphs."""
    files = {blocks: bench.folder / f"g{blocks}.onnx" for blocks in (1000, 2000, 10000)}
    sizes = {blocks: made("transformer", file, blocks) for blocks, file in files.items()}
    three = {
        sizes[blocks]: bench.cost(bench.check(files[blocks], *THREE), 1 if blocks == 10000 else 3)
        for blocks in sizes
    }
    small, middle, big = sorted(three)
    alone = bench.cost(bench.check(files[10000], TARGET))
    return [
        at_most(f"{middle} operators, three targets: CPU time", three[middle].cpu, 2.0, " s"),
        at_most(f"{big} operators: peak memory", alone.rss / 1024, 350, " MB"),
        at_most(
            f"CPU time an operator, {big} / {small}",
            (three[big].cpu / big) / (three[small].cpu / small),
            1.5,
        ),
    ]


def many_targets(bench: Bench) -> list[Row]:
    """What nine more targets add to a check of one file."""
    models = {"vision": bench.folder / "vision.onnx", "transformer": bench.folder / "large.onnx"}
    blocks = {"vision": 30, "transformer": 2000}
    sizes = {name: made(name, file, blocks[name]) for name, file in models.items()}
    rows = []
    for name, model in models.items():
        commands = {"one": bench.check(model, TARGET), "ten": bench.check(model, *TEN)}
        costs = bench.interleaved(commands, 3 if sizes[name] > 1000 else ROUNDS)
        said = f"ten targets / one target, {sizes[name]} operators ({name}): CPU time"
        rows.append(at_most(said, ratio(costs, "ten", "one", "cpu"), 3.0))
    return rows


ONNXSIM = "onnxsim==0.8.1"


def fixing(bench: Bench) -> list[Row]:
    """A fix for NNAPI with its proofs, four of ten operators changed, beside onnxsim on the same file."""
    peer = bench.folder / "onnxsim"
    for command in ((sys.executable, "-m", "venv"), (str(peer / "bin" / "pip"), "install", "-q", ONNXSIM)):
        subprocess.run([*command, str(peer)] if command[-1] == "venv" else command, check=True)
    rows = []
    for blocks, bound in ((30, 1.5), (500, 4.0)):
        model, out = bench.folder / f"fixed{blocks}.onnx", str(bench.folder / "out.onnx")
        nodes = made("transformer", model, blocks)
        commands = {
            "fix": bench.run("fix", str(model), "--target", "onnxruntime/nnapi", "-q", "-o", out),
            "onnxsim": [str(peer / "bin" / "onnxsim"), str(model), out],
        }
        costs = bench.interleaved(commands, 3)
        rows.append(at_most(f"fix of {nodes} operators / {ONNXSIM}", ratio(costs, "fix", "onnxsim"), bound))
    return rows


FORMS = (
    "text", "sarif", "github", "gitlab", "junit", "rdjson", "markdown", "csv", "model-explorer", "mermaid",
    "dot", "html",
)  # fmt: skip


def importing(bench: Bench) -> list[Row]:
    """What ``import accelint`` adds to the start of Python."""
    python = str(bench.python)
    commands = {"nothing": [python, "-c", "pass"], "accelint": [python, "-c", "import accelint"]}
    costs = bench.interleaved(commands, 21)
    added = statistics.median(
        after.wall - before.wall for before, after in zip(costs["nothing"], costs["accelint"], strict=True)
    )
    return [at_most("`import accelint`: time added to `python -c pass`", added * 1000, 60, " ms")]


def forms(bench: Bench) -> list[Row]:
    """A cold check in every form beside the same check as JSON: a form costs what it writes."""
    model = bench.folder / "vision.onnx"
    nodes = made("vision", model, 30)
    commands = {"json": bench.check(model, TARGET)}
    for form in FORMS:
        command = [form if word == "json" else word for word in commands["json"]]
        commands[form] = command
    costs = bench.interleaved(commands)
    return [
        at_most(
            f"cold check of {nodes} nodes (vision), {form} / json", ratio(costs, form, "json", "cpu"), 1.25
        )
        for form in FORMS
    ]


def opening(bench: Bench) -> list[Row]:
    """A report of 20,000 operators in headless Chromium: opened, its graph drawn, its table of operators
    shown.
    """
    from playwright.sync_api import sync_playwright

    model, page = bench.folder / "large.onnx", bench.folder / "report.html"
    operators = made("transformer", model, 2000)
    words = [str(model), "-t", "onnxruntime/coreml:mlprogram", "-f", "html", "-o", str(page)]
    bench.cost(bench.run("check", *words, "--fail-on", "never"))
    spans = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for _ in range(5):
            view = browser.new_page()
            start = time.perf_counter()
            view.goto(page.as_uri())
            view.wait_for_selector("html[data-ready=yes]")
            view.click("#tab-graph")
            view.wait_for_selector(".graph g[role=button]")
            view.click("#tab-operators")
            view.wait_for_selector(".row:not(.head)")
            spans.append(time.perf_counter() - start)
            view.close()
        browser.close()
    size = page.stat().st_size / 1e6
    name = f"HTML of {operators} operators, {size:.1f} MB: opened, graph and table drawn (Chromium)"
    return [at_most(name, statistics.median(spans), 3.0, " s")]


def default_level(bench: Bench) -> list[Row]:
    """Checks at ONNX Runtime's default optimization level: what its passes do to graphs and to weights."""
    rows = []
    for name in made("names", module="passes"):
        file = bench.folder / f"{name}.onnx"
        operators = made("write", name, file, module="passes")
        size = file.stat().st_size / 1e6
        cost = bench.cost(bench.check(file, TARGET))
        said = f"default level, {name}, {operators} operators, {size:.0f} MB"
        rows.append(at_most(f"{said}: peak memory", cost.rss / 1024, 4 * size + 250, " MB"))
        rows.append(at_most(f"{said}: CPU time", cost.cpu, 6.0, " s"))
        file.unlink()
    return rows


BENCHMARKS: dict[str, Callable[[Bench], list[Row]]] = {
    "cold_start": cold_start,
    "weights": weights,
    "large_graphs": large_graphs,
    "many_targets": many_targets,
    "default_level": default_level,
    "importing": importing,
    "forms": forms,
    "opening": opening,
    "fixing": fixing,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []])
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    rows: list[Row] = []
    place = os.environ.get("ACCELINT_BENCH_DIR")
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=place) as home:
        from installed import installed

        python = installed(Path(home))
        for name in options.names or BENCHMARKS:
            with tempfile.TemporaryDirectory(dir=place) as folder:
                for row in BENCHMARKS[name](Bench(Path(folder), python)):
                    print(
                        f"{'ok  ' if row.holds else 'MISS'}  {row.name}: {row.measured} (asked: {row.bound})",
                        flush=True,
                    )
                    rows.append(row)
    if options.write:
        write(options.write, rows, before)
    return 0 if all(row.holds for row in rows) else 1


def write(path: Path, rows: list[Row], load: float) -> None:
    names = ("accelint", "onnx", "onnxruntime", "networkx", "numpy", "protobuf", "typer")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    lines = [
        "# Benchmarks",
        "",
        "Printed by `make bench`: accelint as it is installed, a wheel of the checkout with compiled "
        "bytecode in an environment of its own. Each figure is from one run on one machine, what is "
        "compared interleaved; ratios carry over to other machines, seconds do not.",
        "",
        f"{date.today()}, Python {platform.python_version()}, {os.cpu_count()} cores with a load of "
        f"{load:.1f} before the run, {versions}",
        "",
        "| figure | measured | asked | |",
        "|---|---|---|---|",
        *(line for name, line in _kept(path).items() if name not in {row.name for row in rows}),
        *(
            f"| {row.name} | {row.measured} | {row.bound} | {'ok' if row.holds else '**missed**'} |"
            for row in rows
        ),
        "",
    ]
    path.write_text("\n".join(lines))


def _kept(path: Path) -> dict[str, str]:
    """The rows of a page by figure: a run of some benchmarks leaves those of the others."""
    lines = path.read_text().splitlines() if path.is_file() else []
    table = [line for line in lines if line.startswith("| ") and not line.startswith("| figure ")]
    return {line.split(" | ")[0].removeprefix("| "): line for line in table}


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.exit(main())
