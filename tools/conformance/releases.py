"""`make releases`: releases of the runtimes, each beside the installed one, compared with `target@release`.

    python tools/conformance/releases.py [TARGET ...] [--release R ...] [--limit N] [--show] [--summary]

Each release is a folder of wheels below .work/releases that a worker finds before its own packages
(``tools/dev/wheels.py``). It is asked about an even sample of the generated corpora; its answers are kept, so
an interrupted run goes on where it stopped and an edit of a pack is measured in seconds. Writes
docs/conformance/releases/<target>.json and, from all of them, docs/conformance/releases.md; ``--summary``
writes the page alone. ``--show`` prints what is not as predicted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import platformdirs
from accelint.analyzer.conform.corpora import Item, corpus
from accelint.analyzer.conform.engine import Outcome, run
from accelint.analyzer.conform.figures import figures
from accelint.analyzer.words import percent
from accelint.rules.pack import Chosen
from accelint.rules.predicates.ort_releases import limits
from accelint.rules.registry import choose
from accelint.rules.versions import version_key

sys.path.insert(0, str(Path(__file__).parents[1] / "dev"))
from wheels import OLD_NUMPY, packages

ROOT = Path(__file__).parents[2]
OUT = ROOT / "docs" / "conformance" / "releases"
PAGE = OUT.with_suffix(".md")
ASKED = 0.995
"""Operators right that are asked of every release."""


@dataclass(frozen=True)
class Releases:
    """The releases of one target's runtime.

    Attributes:
        package: the distribution that is installed for each.
        releases: newest first.
        corpora: models of each corpus that are asked about.
        beside: other packages for a release, as pip names them, by the oldest release that needs them.
        old_numpy: releases before this one were built before numpy 2.
    """

    package: str
    releases: tuple[str, ...]
    corpora: dict[str, int]
    beside: tuple[tuple[str, tuple[str, ...]], ...] = ()
    old_numpy: str = ""

    def folders(self, release: str) -> list[Path]:
        """The packages of a release, installed when they are not there."""
        key = version_key(release)
        others = next((found for oldest, found in self.beside if key >= version_key(oldest)), ())
        old = (OLD_NUMPY,) if self.old_numpy and key < version_key(self.old_numpy) else ()
        return packages(f"{self.package}=={release}", *others, *old)


ORT = (
    *("1.32.0", "1.31.1", "1.30.0", "1.29.0", "1.28.0", "1.27.0", "1.26.0", "1.25.1", "1.24.4", "1.24.1"),
    *("1.23.2", "1.22.1", "1.21.1", "1.20.1", "1.20.0", "1.19.2", "1.18.1", "1.17.3", "1.16.3"),
)
LITERT = (
    *("2.3.0", "2.2.0", "2.1.6", "2.1.5", "2.1.4", "2.1.3", "2.1.2", "2.1.1", "2.1.0", "2.0.3", "2.0.2"),
    *("1.4.0", "1.3.0", "1.2.0"),
)
RUNTIMES = {
    "onnxruntime/cpu": Releases("onnxruntime", ORT, {"generated": 300, "backend": 200}, old_numpy="1.19"),
    "onnxruntime/qnn:sm8650": Releases(
        "onnxruntime-qnn",
        ("2.7.0", "2.6.0", "2.5.0", "2.4.0", "2.3.0"),
        {"generated": 150, "backend": 100},
        beside=(("2.4.0", ("onnxruntime==1.32.0",)), ("2.3.0", ("onnxruntime==1.31.1",))),
    ),
    "onnxruntime/openvino": Releases(
        "onnxruntime-openvino",
        ("1.24.1", "1.23.0", "1.22.0", "1.21.0", "1.20.0", "1.19.0", "1.18.0", "1.17.1"),
        {"generated": 200, "backend": 150},
        old_numpy="1.20",
    ),
    "onnxruntime/webgpu": Releases(
        "onnxruntime-webgpu", ("1.27.0", "1.25.1", "1.25.0"), {"generated": 150, "backend": 100}
    ),
    "litert/cpu": Releases("ai-edge-litert", LITERT, {"generated": 600}),
    "litert/xnnpack": Releases("ai-edge-litert", LITERT, {"generated": 800}),
    "litert/gpu": Releases("ai-edge-litert", ("2.3.0", "2.2.0", "2.1.6", "2.1.0"), {"generated": 200}),
    "litert/ethos-u:u55": Releases(
        "ethos-u-vela",
        ("5.2.0", "5.1.0", "5.0.0", "4.5.0", "4.4.1", "4.3.0", "4.2.0", "4.1.0"),
        {"generated": 300},
        beside=(("5.0.0", ()), ("4.0.0", (OLD_NUMPY,))),
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--release", action="append", default=[])
    parser.add_argument("--limit", type=int)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--summary", action="store_true")
    options = parser.parse_args()
    os.environ.setdefault("PYTHONHASHSEED", "0")
    OUT.mkdir(exist_ok=True)
    for target in [] if options.summary else options.targets or RUNTIMES:
        ask(target, options)
    PAGE.write_text(page(), encoding="utf-8")
    return 0


def ask(target: str, options: argparse.Namespace) -> None:
    """Every release of a target; each is written down when it is done."""
    runtime = RUNTIMES[target]
    file = OUT / f"{target.replace('/', '_').replace(':', '_').replace('-', '_')}.json"
    told = (
        json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"target": target, "releases": {}}
    )
    pack = choose(target).pack
    models = {
        name: list(corpus(pack.dialect, name, limit=options.limit or limit))
        for name, limit in runtime.corpora.items()
    }
    for release in options.release or runtime.releases:
        try:
            folders = runtime.folders(release)
        except subprocess.CalledProcessError as error:
            told["releases"][release] = {"missing": f"pip: exit status {error.returncode}"}
            continue
        chosen = pack.chosen(target.partition(":")[2], release)
        told["releases"][release] = asked(chosen, models, folders, options)
        file.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def asked(
    chosen: Chosen, models: dict[str, list[Item]], folders: list[Path], options: argparse.Namespace
) -> dict[str, Any]:
    """The figures of one release."""
    found: dict[str, Any] = {
        "date": str(date.today()),
        "listed": chosen.pack.release(chosen.version) is not None,
        "corpora": {},
    }
    name = chosen.target.replace("/", "_").replace(":", "_")
    kept = Path(platformdirs.user_cache_dir("accelint")) / "conform" / f"{name}-{chosen.version}.jsonl"
    for corpus_name, items in models.items():
        if chosen.pack.dialect == "onnx":
            items = [lowered(item, limits(chosen.context)[3]) for item in items]
        outcomes = [
            outcome
            for outcome in run(chosen, items, kept, jobs=options.jobs, packages=folders)
            if outcome.status != "ok" or outcome.phases[0] != "run"  # a release is asked to load, not to run
        ]
        if chosen.pack.purpose == "runs":
            outcomes = [as_run(outcome) for outcome in outcomes]
        told = found["corpora"][corpus_name] = brief(figures(outcomes))
        failures, parts = told["refusals"], told["partitions"]
        print(
            f"{chosen.target}@{chosen.version} {corpus_name}: {told['operators']} operators, "
            f"{percent(told['agreement'], 2)} right, rejections {failures['refused_predicted']} of "
            f"{failures['refused']}, false alarms {failures['false_alarms']} of {failures['loaded']}, "
            f"partitions {parts['right']} of {parts['told']}, {told['models']}",
            flush=True,
        )
        if options.show:
            show(outcomes)
    return found


def as_run(outcome: Outcome) -> Outcome:
    """Of a target that runs operators: what its runtime has on the CPU runs as predicted."""
    ran = [replace(op, actual="accelerated") if op.actual == "fallback" else op for op in outcome.operators]
    return replace(outcome, operators=ran)


def lowered(item: Item, newest: int) -> Item:
    """A model with an IR version that the release reads, so that it is asked about operators."""
    import onnx

    model = onnx.ModelProto.FromString(item.data or b"")
    if model.ir_version <= newest:
        return item
    model.ir_version = newest
    return replace(item, data=model.SerializeToString())


KEPT = (
    *("models", "operators", "unmapped", "agreement", "false_accelerated", "unknown"),
    *("refusals", "partitions"),
)


def brief(told: dict[str, Any]) -> dict[str, Any]:
    """The figures that are kept of a run, with what is not as predicted counted by type and reason."""
    kept = {key: told[key] for key in KEPT}
    wrong = Counter(
        (item["type"], item["predicted"], item["actual"], item["rule"], item["said"][:120])
        for item in told["disagreements"]
    )
    return {**kept, "wrong": [[*kind, count] for kind, count in wrong.most_common(25)]}


def show(outcomes: Sequence[Outcome]) -> None:
    """What is not as predicted, an operator a line, a kind of it once."""
    seen: Counter[tuple[str, ...]] = Counter()
    for outcome in outcomes:
        for item in outcome.operators:
            if item.right:
                continue
            kind = (item.type, item.predicted, item.actual, item.rule, item.said[:100])
            seen[kind] += 1
            if seen[kind] == 1:
                said = " ".join(item.said.split())[:200]
                what = f"{item.type}: {item.predicted} is {item.actual} ({item.rule or '-'})"
                print(f"    {what}, {item.model}: {said}")


HEAD = f"""\
# Predictions for releases against those releases

Written by `make releases` (`python tools/conformance/releases.py`), which installs each release's wheel for
Python {sys.version_info.major}.{sys.version_info.minor} in a folder of its own and asks it about an even
sample of the generated corpora, optimizations off; compared with `accelint check --target TARGET@RELEASE`.
Asked: at least {ASKED:.1%} of the operators of the generated corpora right. A release that is *not listed*
has no data: `check` refuses it. IR versions are lowered to what a release of ONNX Runtime reads.
*calls* are those that the newest converter converts, an operator and element type each
(`tools/conformance/converter_figures.py`). What begins or ends does so at the first release that was found to
differ: a release between two that were asked has the answer of the older one. StringNormalizer of ONNX
Runtime before 1.27 asks the machine for the locale en_US.UTF-8, which the one asked here lacks.
"""
COLUMNS = (
    *("release", "date", "corpus", "models", "operators", "right", "falsely accelerated"),
    *("rejections predicted", "false alarms", "partitions right", ""),
)


def page() -> str:
    """A table a target: each release with its figures."""
    lines = HEAD.splitlines()
    for file in sorted(OUT.glob("*.json")):
        told = json.loads(file.read_text(encoding="utf-8"))
        rows = sorted(told["releases"].items(), key=lambda item: version_key(item[0]), reverse=True)
        lines += ["", f"## {told['target']}", "", f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
        for release, row in rows:
            lines += table_rows(release, row)
    return "\n".join(lines) + "\n"


def table_rows(release: str, row: dict[str, Any]) -> list[str]:
    if "missing" in row:
        return [f"| {release} |{' |' * (len(COLUMNS) - 2)} not installed: {row['missing']} |"]
    found = []
    for name, told in row["corpora"].items():
        failures, parts = told["refusals"], told["partitions"]
        verdict = "not listed" if not row["listed"] else "met" if told["agreement"] >= ASKED else "short of"
        cells = [
            release, row["date"], name, sum(told["models"].values()), told["operators"],
            percent(told["agreement"], 2), percent(told["false_accelerated"], 2),
            f"{failures['refused_predicted']} of {failures['refused']}",
            f"{failures['false_alarms']} of {failures['loaded']}",
            f"{parts['right']} of {parts['told']}" if parts["told"] else "-", verdict,
        ]  # fmt: skip
        found.append("| " + " | ".join(map(str, cells)) + " |")
    return found


if __name__ == "__main__":
    sys.exit(main())
