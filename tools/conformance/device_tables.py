"""Rules, simulator and device, three ways, over one-operator models that were compiled on a real NPU.

    python tools/conformance/device_tables.py [--sample 15000] [--ask 5000] [--seed 0] [--kinds]

The wheel of winml-cli 0.4.0 (MIT) holds what Snapdragon X Elite did with 659,000 one-operator models, as
features without sizes; its generators make the models again. A sample of the rows is made in an environment
of its own (``device_models.py``), judged by our rules for the nearest chip, and asked of the QNN simulator:
rows where rules and device differ first, then the others in the order of their ranks. All that is obtained
is kept under .work/device_tables, so that an interrupted run goes on; ``--kinds`` asks nothing and lists what
differs. Writes docs/conformance/device_tables.md.

A row's answer is whether the whole model became one partition of the NPU, optimization off (the tables'
*compile*: one EPContext node with CPU fallback disabled).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from accelint.analyzer.words import counted, percent

ROOT = Path(__file__).parents[2]
WORK = ROOT / ".work" / "device_tables"
PAGE = ROOT / "docs" / "conformance" / "device_tables.md"
WHEEL = "winml-cli==0.4.0"
NEEDS = (
    "pyarrow==23.0.1", "pandas==2.3.3", "onnx==1.18", "numpy<2.3", "onnxruntime==1.24.*", "pydantic",
    "ml-dtypes", "onnxscript", "tqdm", "rich", "psutil", "click", "colorama",
)  # fmt: skip
TABLE = "QNNExecutionProvider_NPU"
TARGET = "onnxruntime/qnn:sc8380xp"
DEVICE = "Snapdragon X Elite, QNN.EP 1.8.30 (provider 2.2450), ONNX Runtime 1.24.5"
LARGE = 100
"""Estimated rows of the table from which on a kind is listed."""


@dataclass
class Row:
    """One row of the sample, and the answers about its model."""

    name: str
    operator: str
    quantized: bool
    stratum: tuple[str, str]
    size: int
    rank: float
    device: bool
    features: Mapping[str, Any]
    ours: bool = False
    verdict: str = ""
    rules: str = ""
    simulator: bool | None = None
    placed: str = ""
    """What the simulator did with it, in the words of a verdict."""
    said: str = ""
    operators: tuple[int, int] = (0, 0)
    """Operators of the model that the rules told as the simulator did, and all."""
    weight: float = 0.0
    """Rows of the table that it stands for, among those that the simulator was asked about."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=int, default=15000)
    parser.add_argument("--ask", type=int, default=5000, help="models to have answers about")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--kinds", action="store_true", help="ask nothing; list what differs, with examples")
    parser.add_argument("--operators", nargs="+", help="only these operator types (with --kinds)")
    options = parser.parse_args()
    folder = WORK / f"{TABLE}-{options.sample}-{options.seed}"
    if not options.kinds:
        make(folder, options.sample, options.seed)
    rows = [row for row in sample(folder) if row.operator in (options.operators or [row.operator])]
    judged(rows, folder)
    answered(rows, folder, 0 if options.kinds else options.ask, options.jobs)
    weigh(rows)
    if options.kinds:
        print("\n".join(told(rows)))
        return 0
    PAGE.write_text("\n".join(page(rows, options.sample, options.seed)) + "\n", encoding="utf-8")
    return 0


def make(folder: Path, count: int, seed: int) -> None:
    """The sample's models, unless they are there."""
    wheel, python = WORK / "wheel", WORK / "env" / "bin" / "python"
    if not wheel.is_dir():
        run(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", WORK, WHEEL)
        with zipfile.ZipFile(next(WORK.glob("winml_cli-*.whl"))) as archive:
            archive.extractall(wheel)
    if not python.is_file():
        run(sys.executable, "-m", "venv", WORK / "env")
        run(python, "-m", "pip", "install", "-q", *NEEDS)
    maker = Path(__file__).with_name("device_models.py")
    run(python, maker, wheel, TABLE, folder, "--sample", count, "--seed", seed)


def run(*command: object) -> None:
    """Run a command. Raises CalledProcessError when it fails."""
    subprocess.run([*map(str, command)], check=True)


def sample(folder: Path) -> Iterator[Row]:
    """The rows whose models were made, in the order in which they are to be asked about."""
    lines = (folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    for line in sorted(map(json.loads, lines), key=lambda line: line["rank"]):
        yield Row(
            f"{line['file']}/{line['row']}",
            line["file"].partition("_")[0],
            line["file"].endswith("_qdq"),
            (line["file"], line["outcome"]),
            line["size"],
            line["rank"],
            line["outcome"][0] == "T",
            line["features"],
        )


def data(folder: Path, row: Row) -> bytes:
    """The row's model."""
    file, _, number = row.name.partition("/")
    with zipfile.ZipFile(folder / f"{file}.zip") as models:
        return models.read(f"{number}.onnx")


def judged(rows: list[Row], folder: Path) -> None:
    """Fill in what the rules say: whole, or which rules stand against it."""
    from accelint.analyzer.flows.optimized import OFF, check_at
    from accelint.analyzer.formats import load
    from accelint.rules.registry import choose

    chosen = choose(TARGET)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.onnx"
        for row in rows:
            path.write_bytes(data(folder, row))
            coverage = check_at(load(path), chosen, OFF)
            row.verdict = coverage.verdict
            row.ours = coverage.verdict == "full" and len(coverage.partitions) == 1
            row.rules = ", ".join(sorted({item.rule for item in coverage.findings if item.effect != "note"}))


def answered(rows: list[Row], folder: Path, count: int, jobs: int) -> None:
    """Fill in what the simulator says, asking until ``count`` models are answered; those that rules and
    device differ about come first and are asked about in any case, if any is.
    """
    from accelint.analyzer.conform.corpora import Item
    from accelint.analyzer.conform.engine import Outcome
    from accelint.analyzer.conform.engine import run as conform
    from accelint.rules.registry import choose

    cache = folder / f"simulator-{catalog_version()}.jsonl"
    kept = (
        {json.loads(line)["model"] for line in cache.read_text("utf-8").splitlines()}
        if cache.is_file()
        else set()
    )
    order = sorted(rows, key=lambda row: (row.ours == row.device, row.rank))
    known = [row for row in order if hashlib.sha256(data(folder, row)).hexdigest() in kept]
    names = {row.name for row in known}
    fresh = [row for row in order if row.name not in names]
    differ = sum(row.ours != row.device for row in fresh)
    asked = known + fresh[: max(differ, count - len(known)) if count else 0]
    by_name = {row.name: row for row in asked}

    def note(outcome: Outcome) -> None:
        fill(by_name[outcome.name], outcome)

    items = (Item(row.name, data=data(folder, row)) for row in asked)
    conform(choose(TARGET), items, cache, jobs=jobs, progress=note)


def catalog_version() -> str:
    """The installed provider's version."""
    from importlib.metadata import version

    return version("onnxruntime-qnn")


def fill(row: Row, outcome: Any) -> None:
    """The simulator's answer about one row."""
    actual = {item.actual for item in outcome.operators}
    row.said = outcome.reason or next(
        (item.said for item in outcome.operators if item.actual == "fallback"), ""
    )
    if outcome.status == "ok":
        # a copy that the layout transformation put in an operator's place has no name of the file
        whole = outcome.partitions[1] == 1 and actual <= {"accelerated", "folded"}
        row.placed = "full" if whole else "partial" if "accelerated" in actual else "none"
    elif outcome.status in ("invalid", "refused", "crashed", "exhausted", "hung"):
        row.placed, row.said = outcome.status, outcome.reason
    else:
        return
    row.simulator = row.placed == "full"
    row.operators = sum(item.right for item in outcome.operators), len(outcome.operators)


def weigh(rows: Iterable[Row]) -> None:
    """Weights of the rows that the simulator was asked about. What was asked depends on whether rules and
    device agree, so that each stratum is two.
    """
    drawn = Counter(row.stratum for row in rows)
    halves: dict[tuple[Any, bool], list[Row]] = defaultdict(list)
    for row in rows:
        halves[row.stratum, row.ours == row.device].append(row)
    for half in halves.values():
        share = half[0].size / drawn[half[0].stratum] * len(half)
        told = [row for row in half if row.simulator is not None]
        for row in told:
            row.weight = share / len(told)


def told(rows: list[Row]) -> Iterator[str]:
    """What differs, by kind, with features in which examples differ from those that are right."""
    for title, chosen in differences(rows).items():
        yield f"== {title}"
        for kind, members in kinds(chosen):
            first = members[0]
            yield f"{sum(row.weight for row in members):8.0f}  {len(members):4}  {' | '.join(kind)}"
            yield f"{'':16}e.g. {first.name}: {first.verdict} against {first.placed}: {first.said[:300]}"


def differences(rows: list[Row]) -> dict[str, list[Row]]:
    """The rows where somebody stands alone."""
    asked = [row for row in rows if row.simulator is not None]
    return {
        "rules against simulator and device": [
            row for row in asked if row.simulator == row.device != row.ours
        ],
        "rules against simulator alone": [row for row in asked if row.ours == row.device != row.simulator],
        "device against rules and simulator": [
            row for row in asked if row.ours == row.simulator != row.device
        ],
    }


def kinds(rows: list[Row]) -> list[tuple[tuple[str, ...], list[Row]]]:
    """Rows by operator, form, and who says yes; those that stand for most rows first."""
    found: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        form = "QDQ" if row.quantized else "float"
        found[row.operator, form, f"device {yes(row.device)}", f"rules {row.verdict}", row.rules].append(row)
    return sorted(found.items(), key=lambda item: -sum(row.weight for row in item[1]))


def yes(whole: bool) -> str:
    """In a word."""
    return "yes" if whole else "no"


def page(rows: list[Row], count: int, seed: int) -> Iterator[str]:
    """The page, line by line."""
    asked = [row for row in rows if row.simulator is not None]
    yield "# Rules, simulator and device: one-operator models of the device tables"
    yield ""
    yield f"- tables: {WHEEL}, `{TABLE}` (device: {DEVICE}, inferred from the tool's fixtures)"
    yield f"- rules: {TARGET}, optimization off; simulator: onnxruntime-qnn {catalog_version()}"
    yield f"- sample: {len(rows)} rows, stratified by table file and outcome, seed {seed}"
    yield f"- asked of the simulator: {len(asked)} of them, all where rules and device differ among them"
    yield f"- date: {datetime.now(UTC).date()}"
    command = "python tools/conformance/device_tables.py"
    yield f"- command: {command} --sample {count} --seed {seed} --ask {len(asked)}"
    yield ""
    yield "Compared is whether the whole model becomes one partition; shares are weighted to its rows."
    yield ""
    yield (
        "| rows | models | rules as device | models asked | rules as simulator | operators as simulator |"
        " simulator as device |"
    )
    yield "|---|---|---|---|---|---|---|"
    for title, keep in FORMS:
        yield figures(title, [row for row in rows if keep(row)])
    for title, chosen in differences(rows).items():
        yield ""
        yield f"## {title.capitalize()}"
        yield ""
        yield from listed(chosen)


FORMS: tuple[tuple[str, Callable[[Row], bool]], ...] = (
    ("float", lambda row: not row.quantized),
    ("QDQ", lambda row: row.quantized),
    ("all", lambda row: True),
)


def figures(title: str, rows: list[Row]) -> str:
    """One row of the table of figures."""
    drawn = Counter(row.stratum for row in rows)
    asked = [row for row in rows if row.simulator is not None]
    told = [row for row in asked if row.operators[1]]
    device = share(rows, lambda row: row.ours == row.device, lambda row: row.size / drawn[row.stratum])
    cells = [
        share(asked, lambda row: row.ours == row.simulator),
        percent(
            sum(row.weight * row.operators[0] / row.operators[1] for row in told)
            / sum(row.weight for row in told),
            2,
        ),
        share(asked, lambda row: row.simulator == row.device),
    ]
    return f"| {title} | {len(rows)} | {device} | {len(asked)} | {' | '.join(cells)} |"


def share(rows: list[Row], right: Callable[[Row], bool], weight: Callable[[Row], float] | None = None) -> str:
    """Of the weight, what is right."""
    weigh = weight or (lambda row: row.weight)
    return percent(sum(weigh(row) for row in rows if right(row)) / sum(map(weigh, rows)), 2)


def listed(rows: list[Row]) -> Iterator[str]:
    """A table of kinds; the small ones as one line."""
    if not rows:
        yield "None."
        return
    yield "| operator | form | device | rules | rule | simulator | rows (estimated) | models | example |"
    yield "|---|---|---|---|---|---|---|---|---|"
    small: list[Row] = []
    for (operator, form, device, rules, rule), members in kinds(rows):
        weight, first = sum(row.weight for row in members), members[0]
        if weight < LARGE:
            small += members
            continue
        said = " ".join(first.said.replace("|", "/").split())[:120]
        cells = [operator, form, device.split()[1], rules.partition(" ")[2], rule, f"{first.placed}: {said}"]
        yield f"| {' | '.join(cells)} | {weight:.0f} | {len(members)} | {first.name} |"
    if small:
        yield ""
        operators = ", ".join(sorted({row.operator for row in small}))
        yield (
            f"Kinds of fewer than {LARGE} rows: {counted(len(small), 'model')}, about "
            f"{sum(row.weight for row in small):.0f} rows: {operators}."
        )


if __name__ == "__main__":
    sys.exit(main())
