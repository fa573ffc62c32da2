"""`make conform`: every pack whose runtime is here, or whose answers are recorded, compared with it.

    python tools/conformance/conform.py [TARGET ...] [--limit N] [--models DIR] [--jobs N] [--summary]

Writes docs/conformance/<target>.json and .md, and docs/conformance/README.md with the figures of all of them;
what people wrote about a target stands in docs/conformance/notes and is appended to its page. Whole models
lie in a folder for each dialect under --models (``onnx/``, ``tflite/``); tools/models/whole_models.py makes
them. The runtime's answers are kept, so an interrupted run goes on where it stopped; ``--summary`` asks
nothing and writes README.md anew.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from accelint.analyzer.words import percent

ROOT = Path(__file__).parents[2]
OUT = ROOT / "docs" / "conformance"
LIMITS = {
    "onnxruntime/qnn": 1500,
    "onnxruntime/webgpu": 1500,
    "onnxruntime/openvino": 3000,
    "onnxruntime/cpu": 3000,
    "litert/gpu": 2000,
    "litert/ethos-u": 600,
    "litert/intel-npu": 900,
}
"""Models of each generated corpus that are asked about: what two cores answer in some minutes. Targets that
are not listed: all.
"""
VARIANTS = {
    "litert/ethos-u": ("u55", "u65", "u85"), "litert/intel-npu": ("ptl", "lnl"),
    "onnxruntime/qnn": ("sm8650", "sm8350", "sm8450", "sm8550", "sm8750", "sm8850"),
}  # fmt: skip
"""Those that are asked about: every compiler, and one chip of each Hexagon architecture."""
OTHER_CHIPS = 200
"""Models of each corpus that chips beside the default one are asked about."""
RECORDED = {
    "onnxruntime/coreml:mlprogram": "onnxruntime_coreml_mlprogram",
    "onnxruntime/coreml:neuralnetwork": "onnxruntime_coreml_nn",
    "onnxruntime/nnapi": "onnxruntime_nnapi",
}
ASKED = {"agreement": 0.995, "false_accelerated": 0.002, "unknown": 0.01}
"""What is asked of generated and node-test corpora; of whole models 99 % of the operators and 90 % of the
partition counts.
"""
WHOLE = {"agreement": 0.99, "partitions": 0.9}
FAILED = {"predicted": 0.95, "false_alarms": 0.01}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--models", type=Path, default=ROOT / ".work" / "models")
    parser.add_argument("--summary", action="store_true")
    options = parser.parse_args()
    failed = (
        []
        if options.summary
        else [target for target in options.targets or here() if not ask(target, options)]
    )
    (OUT / "README.md").write_text(summary(), encoding="utf-8")
    print("failed:", ", ".join(failed) or "none")
    return 1 if failed else 0


def ask(target: str, options: argparse.Namespace) -> bool:
    name = target.replace("/", "_").replace(":", "_").replace("-", "_")
    page = OUT / f"{name}.md"
    command = [sys.executable, "-m", "accelint", "conform", target, "--jobs", str(options.jobs)]
    command += ["--output", str(OUT / f"{name}.json"), "--page", str(page)]
    command += [part for corpus in corpora(target, options.models) for part in ("--corpus", corpus)]
    limit = options.limit or limit_of(target)
    command += ["--limit", str(limit)] if limit else []
    print("$", *command[2:], flush=True)
    if subprocess.run(command, cwd=ROOT).returncode:
        return False
    notes = OUT / "notes" / page.name
    if notes.is_file():
        page.write_text(
            page.read_text(encoding="utf-8") + "\n" + notes.read_text(encoding="utf-8"), encoding="utf-8"
        )
    return True


def limit_of(target: str) -> int | None:
    base, _, variant = target.partition(":")
    if target in RECORDED:
        return None
    return OTHER_CHIPS if base == "onnxruntime/qnn" and variant != VARIANTS[base][0] else LIMITS.get(base)


def here() -> list[str]:
    """Every target whose runtime answers on this machine, with the variants that are asked about, and those
    whose answers are recorded.
    """
    from accelint.analyzer.runtimes import runtimes
    from accelint.rules.registry import load_pack, pack_folders

    ready = {item.name for item in runtimes() if item.available}
    live = [name for name in pack_folders() if name in ready and not name.startswith("coreml/")]
    return (
        [f"{name}:{variant}" for name in live for variant in VARIANTS.get(name, ())]
        + [load_pack(name).chosen().target for name in live if name not in VARIANTS]
        + list(RECORDED)
    )


def corpora(target: str, models: Path) -> list[str]:
    from accelint.analyzer.conform.corpora import GENERATED
    from accelint.rules.registry import choose

    if target in RECORDED:
        return [str(ROOT / "fixtures" / "recorded" / f"{RECORDED[target]}.json.gz")]
    dialect = choose(target).pack.dialect
    whole = models / dialect
    return [*GENERATED.get(dialect, ()), *([str(whole)] if whole.is_dir() else [])]


def summary() -> str:
    """A row a target and corpus: the figures, and whether they are what is asked."""
    lines = [
        "# Predictions against the runtimes",
        "",
        "Written by `make conform` (`python tools/conformance/conform.py`) from the JSON files "
        "beside it; each page has its date, versions and",
        f"sample. Asked: of generated and node-test models at least {ASKED['agreement']:.1%} "
        f"of the operators right, at most",
        f"{ASKED['false_accelerated']:.1%} falsely accelerated, at most {ASKED['unknown']:.0%} "
        f"unknown (which is never right); of whole",
        f"models {WHOLE['agreement']:.0%} of the operators and the count of partitions of "
        f"{WHOLE['partitions']:.0%} of the models; of",
        f"rejections and crashes {FAILED['predicted']:.0%} predicted, with at most "
        f"{FAILED['false_alarms']:.0%} false alarms.",
        "",
        "| target | runtime | date | corpus | models | operators | right | falsely accelerated "
        "| unknown | not reported "
        "| rejections predicted | phase right | false alarms | partitions right | |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for file in sorted(OUT.glob("*.json")):
        told = json.loads(file.read_text(encoding="utf-8"))
        lines += [row(file, told, name, run) for name, run in told["corpora"].items()]
    lines += ["", "Targets without a runtime on this kind of machine have pages of their own: "]
    lines[-1] += (
        "[Core ML on the Neural Engine](coreml_ane.md). What a device did: [device tables](device_tables.md)."
    )
    lines += ["", "Real models out of packages, [as applications load them](as_loaded.md): `make wild`."]
    lines[-1] += " [Fix lines, followed](fix_lines.md): `make fix-lines`."
    return "\n".join(lines) + "\n"


def row(file: Path, told: dict[str, Any], name: str, run: dict[str, Any]) -> str:
    missed = short(name, run)
    failures, partitions = run["refusals"], run["partitions"]
    cells = [
        f"[{told['target']}]({file.stem}.md)",
        told["runtime"],
        told["date"],
        name,
        sum(run["models"].values()),
        run["operators"],
        percent(run["agreement"], 2),
        percent(run["false_accelerated"], 2),
        percent(run["unknown"], 2),
        run["unmapped"],
        f"{failures['refused_predicted']} of {failures['refused']}",
        f"{failures['phases_right']} of {failures['phases_told']}" if failures.get("phases_told") else "-",
        f"{failures['false_alarms']} of {failures['loaded']}",
        f"{partitions['right']} of {partitions['told']}" if partitions["told"] else "-",
        "short of: " + ", ".join(missed) if missed else "met",
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def short(corpus: str, run: dict[str, Any]) -> list[str]:
    """The figures that are not what is asked."""
    failures, partitions = run["refusals"], run["partitions"]
    whole = corpus in ("onnx", "tflite", "models")
    wanted = WHOLE["agreement"] if whole else ASKED["agreement"]
    found = ["right"] if run["agreement"] < wanted else []
    found += (
        ["falsely accelerated"] if not whole and run["false_accelerated"] > ASKED["false_accelerated"] else []
    )
    found += ["unknown"] if run["unknown"] > ASKED["unknown"] else []
    found += ["refusals"] if failures["refused_predicted"] < FAILED["predicted"] * failures["refused"] else []
    found += (
        ["false alarms"] if failures["false_alarms"] > FAILED["false_alarms"] * failures["loaded"] else []
    )
    found += (
        ["partitions"] if whole and partitions["right"] < WHOLE["partitions"] * partitions["told"] else []
    )
    return found


if __name__ == "__main__":
    sys.exit(main())
