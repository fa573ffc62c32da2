"""Fix lines, followed: the share of findings that are gone after the command that the report prints for them.

    python tools/conformance/fix_lines.py [--share SHARE] [--target TARGET] [--limit N] [--write PAGE]

Every model is checked for each target of its dialect. Where the report prints a fix line, the fix runs as
that line asks for it, with its proofs on the reference runtime, and the model that comes out is checked
again. A finding with a line counts as gone when its operator has no finding of that rule any more, and none
of the operators that the fix made has one in its place.

Shares: `fixtures` and `reported` (in this repository), `models` (whole models of `.work/models`), `wild`
(models out of packages that `tools/conformance/wild.py` fetched), `generated` and `backend` (an even sample
of the generated corpora), `cases` (what the tests of rewrites apply to).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from accelint.analyzer.words import percent

ROOT = Path(__file__).parents[2]
TARGETS = {
    "onnx": (
        "onnxruntime/qnn:sm8650",
        "onnxruntime/nnapi",
        "onnxruntime/coreml:mlprogram",
        "onnxruntime/webgpu",
        "onnxruntime/openvino",
    ),
    "tflite": ("litert/gpu", "litert/xnnpack", "litert/ethos-u:u55", "litert/nnapi:31", "litert/hexagon"),
}
DIALECTS = {".onnx": "onnx", ".tflite": "tflite"}
SHARES = ("fixtures", "reported", "cases", "models", "wild", "generated", "backend")
ASKED = 0.95
"""Share of the findings with a fix line that following it has to remove."""
MOST = 6000
"""Operators of the largest model that is fixed here: fixing more takes minutes."""
RUNTIMES = ("onnx", "onnxruntime", "ai-edge-litert")


@dataclass
class Figures:
    """Of one share and target.

    Attributes:
        models: that were checked.
        lined: that had a fix line.
        findings: with a fix line.
        gone: of these, after it was followed.
        left: by rewrite, findings that stayed.
    """

    models: int = 0
    lined: int = 0
    findings: int = 0
    gone: int = 0
    left: Counter[str] = field(default_factory=Counter)

    def add(self, other: Figures) -> None:
        """Take those of another in."""
        self.models += other.models
        self.lined += other.lined
        self.findings += other.findings
        self.gone += other.gone
        self.left.update(other.left)


def main() -> int:
    """Follow the lines; the exit code says whether enough of them keep their word."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", action="append", choices=SHARES, help="default: every one that is here")
    parser.add_argument("--target", action="append", help="default: several of each dialect")
    parser.add_argument("--limit", type=int, default=200, help="models of each generated corpus and dialect")
    parser.add_argument("--largest", type=int, default=MOST, help="operators of the largest model")
    parser.add_argument("--models", type=Path, default=ROOT / ".work" / "models")
    parser.add_argument("--wild", type=Path, default=ROOT / ".work" / "wild" / "models")
    parser.add_argument(
        "--write", type=Path, help="a Markdown page, with its figures as JSON in notes beside it"
    )
    asked = parser.parse_args()
    found: dict[tuple[str, str], Figures] = {}
    rows: dict[tuple[str, str], Figures] = {}
    with tempfile.TemporaryDirectory(prefix="fix-lines-") as folder:
        for share in asked.share or SHARES:
            for file in files(share, asked, Path(folder)):
                for target in targets(file, asked.target):
                    row = followed(file, target, asked.largest)
                    found.setdefault((share, target), Figures()).add(row)
            rows = {key: value for key, value in found.items() if value.models}
            if asked.write:  # after each share: all of them take long
                write(asked.write, rows, asked)
    print(table(rows))
    total = summed(rows)
    return 0 if not total.findings or total.gone / total.findings >= ASKED else 1


# ---- models --------------------------------------------------------------------------------


def files(share: str, asked: argparse.Namespace, folder: Path) -> Iterator[Path]:
    """The model files of a share, each content once."""
    seen: set[str] = set()
    for file in listed(share, asked, folder):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        if digest not in seen:
            seen.add(digest)
            yield file


def listed(share: str, asked: argparse.Namespace, folder: Path) -> Iterator[Path]:
    places = {
        "fixtures": ROOT / "fixtures",
        "reported": ROOT / "fixtures" / "reported",
        "models": asked.models,
        "wild": asked.wild,
    }
    if share in places:
        for file in sorted(places[share].rglob("*")):
            inside = share != "fixtures" or "reported" not in file.parts
            if file.suffix in DIALECTS and file.is_file() and inside:
                yield file
        return
    made = cases() if share == "cases" else generated(share, asked.limit)
    for number, (suffix, data) in enumerate(made):
        file = folder / f"{share}-{number}{suffix}"
        file.write_bytes(data)
        yield file


def generated(share: str, limit: int) -> Iterator[tuple[str, bytes]]:
    """An even sample of a generated corpus, in every dialect that has one of the name."""
    from accelint.analyzer.conform.corpora import GENERATED, corpus

    for suffix, dialect in DIALECTS.items():
        if share in GENERATED[dialect]:
            for item in corpus(dialect, share, limit=limit):
                if item.data is not None:
                    yield suffix, item.data


def cases() -> Iterator[tuple[str, bytes]]:
    """What the tests apply every ONNX rewrite to, and what its guards keep it from."""
    import onnx.parser

    sys.path.insert(0, str(ROOT / "tests"))
    from rewrite_cases_onnx import APPLIES, MISSES

    texts = [text for found in APPLIES.values() for text in found.values()]
    for text in (*texts, *(text for text, _ in MISSES.values())):
        body, opset = (text, 17) if isinstance(text, str) else text
        head = f'<ir_version: 8, opset_import: ["" : {opset}, "com.microsoft" : 1]>'
        yield ".onnx", onnx.parser.parse_model(f"{head} {body}").SerializeToString()


def targets(file: Path, wanted: list[str] | None) -> list[str]:
    from accelint.analyzer.errors import UsageError
    from accelint.rules.registry import choose

    dialect = DIALECTS[file.suffix]
    if not wanted:
        return list(TARGETS[dialect])
    found = []
    for target in wanted:
        try:
            if choose(target).pack.dialect == dialect:
                found.append(target)
        except UsageError as error:
            sys.exit(str(error))
    return found


# ---- following -----------------------------------------------------------------------------


def followed(file: Path, target: str, largest: int) -> Figures:
    """What the fix lines of one model on one target keep of their word."""
    from accelint.analyzer.errors import AccelintError
    from accelint.analyzer.flows.check_file import check_file
    from accelint.analyzer.report.commands import commands
    from accelint.rewrites.trial import staying
    from accelint.rules.registry import choose

    chosen = choose(target)
    entry = check_file(file, [chosen])
    if entry.error is not None or not entry.coverages or entry.about is None:
        return Figures()
    coverage = entry.coverages[0]
    figures = Figures(models=1)
    if entry.about.operators > largest:
        return figures
    told = commands(entry, coverage)
    for name, level in (("fix", "safe"), ("fix_unsafe", "unsafe")):
        lined = [item for item in coverage.findings if item.fix and item.safe == (level == "safe")]
        if name not in told or not lined:
            continue
        figures.lined, figures.findings = 1, figures.findings + len(lined)
        start = time.monotonic()
        try:
            after = fixed(file, chosen, level)
        except AccelintError as error:
            left = lined
            print(f"{file.name} on {target}: {error.message[:120]}")
        else:
            at = staying(dict(enumerate(lined)), after, {op.id for op in coverage.operators})
            left = [lined[index] for index in sorted(at)]
        figures.gone += len(lined) - len(left)
        figures.left.update(str(item.fix) for item in left)
        took = time.monotonic() - start
        print(f"{file.name} {target} {name}: {len(lined) - len(left)}/{len(lined)} in {took:.1f} s")
        for item in left[:4]:
            print(f"    {item.fix} at {item.operator}: {item.message[:140]}", flush=True)
    return figures


def fixed(file: Path, chosen: Any, level: str) -> Any:
    """The coverage of what the fix makes, told of the operators as they are in memory: those that stay keep
    their ids.
    """
    from accelint.analyzer.check.prepared import Prepared
    from accelint.analyzer.flows.fix import fix
    from accelint.analyzer.flows.optimized import check_at
    from accelint.analyzer.formats import load

    result = fix(load(file), chosen, level=level)
    return check_at(Prepared(result.model, edited=True), chosen)


# ---- the page ------------------------------------------------------------------------------


def told(row: Figures) -> dict[str, Any]:
    """The figures of a share and target, with the day on which they were measured."""
    return {**vars(row), "left": dict(row.left), "date": str(date.today())}


def write(file: Path, rows: dict[tuple[str, str], Figures], asked: argparse.Namespace) -> None:
    """The page, and in ``notes`` beside it the figures, in which those of other shares and targets stay."""
    stored = file.parent / "notes" / f"{file.stem}.json"
    stored.parent.mkdir(exist_ok=True)
    known = json.loads(stored.read_text("utf-8")) if stored.is_file() else {}
    known |= {" ".join(key): told(row) for key, row in rows.items()}
    stored.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    everything: dict[tuple[str, str], Figures] = {}
    for key, row in known.items():
        share, target = key.split(" ")
        row = {name: value for name, value in row.items() if name != "date"}
        everything[share, target] = Figures(**{**row, "left": Counter(row["left"])})
    ordered = dict(sorted(everything.items(), key=lambda item: SHARES.index(item[0][0])))
    file.write_text(page(table(ordered), ordered, asked), encoding="utf-8")


def summed(rows: dict[tuple[str, str], Figures]) -> Figures:
    total = Figures()
    for row in rows.values():
        total.add(row)
    return total


def table(rows: dict[tuple[str, str], Figures]) -> str:
    head = ["share", "target", "models checked", "with a fix line", "findings with one", "gone", "share gone"]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for (share, target), row in [*rows.items(), (("all", "all"), summed(rows))]:
        gone = percent(row.gone / row.findings) if row.findings else "-"
        cells = (share, f"`{target}`" if target != "all" else target, row.models, row.lined, row.findings)
        lines.append(f"| {' | '.join(map(str, (*cells, row.gone, gone)))} |")
    return "\n".join(lines) + "\n"


def page(text: str, rows: dict[tuple[str, str], Figures], asked: argparse.Namespace) -> str:
    left = summed(rows).left
    stayed = ", ".join(f"`{id}` {count}" for id, count in left.most_common()) or "none"
    names = [name for name in RUNTIMES if installed(name)]
    return (
        "# Fix lines, followed\n\n"
        "The share of findings that are gone after the command that the report prints for them, measured by "
        f"`make fix-lines` on {date.today()} with "
        f"{', '.join(f'{name} {installed(name)}' for name in names)}. Generated corpora: {asked.limit} "
        f"models of each; whole models of at most {asked.largest} operators. What counts as gone is said in "
        "`tools/conformance/fix_lines.py`.\n\n"
        f"{text}\n"
        f"Findings that stayed, by the rewrite of the line: {stayed}.\n"
    )


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
