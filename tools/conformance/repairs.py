"""Repair, proved: what the runtime does with each model as it was exported, and with what `accelint fix`
makes of it.

    python tools/conformance/repairs.py TARGET MODELS [--only PATTERN] [--write PAGE]

For every model of the folder that is not predicted to be accelerated whole: `accelint verify` of the
original, `accelint fix`, and `accelint verify` of the result against the original. Open sizes of ONNX models
are frozen by rank and dtype as in `SIZES`, those of TFLite models by `batch=1`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from accelint.analyzer.words import counted

SIZES = {(2, "int64"): "1x12", (2, "float32"): "1x4000", (3, "float32"): "1x80x100", (4, "float32"): "1x3"}
"""Sizes for the open dimensions of an input, by rank and dtype: tokens, samples of audio, spectra, images
(height and width are fixed).
"""
DIALECTS = {".onnx": "onnx", ".tflite": "tflite"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target")
    parser.add_argument("models", type=Path)
    parser.add_argument("--only", default="*")
    parser.add_argument(
        "--write",
        type=Path,
        help="A Markdown page; its table for this target is replaced, or added at the end.",
    )
    options = parser.parse_args()
    files = sorted(file for file in options.models.glob(options.only) if file.suffix in DIALECTS)
    rows = [row for file in files if (row := repaired(file, options.target))]
    text = table(options.target, rows)
    print(text)
    if options.write:
        options.write.write_text(
            replaced(
                options.write.read_text("utf-8") if options.write.is_file() else "", options.target, text
            ),
            "utf-8",
        )
    return 0


def repaired(file: Path, target: str) -> list[str] | None:
    """A row of the table; None for a model that is accelerated as it is."""
    asked = freezes(file)
    before = verified(file, target, *sized(file, asked))
    if before is None or before["verdict"] == "full":
        return None
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="accelint-repairs-") as folder:
        made = Path(folder) / f"fixed{file.suffix}"
        done = accelint("fix", str(file), "--target", target, "-o", str(made), "--json", *asked)
        took = time.monotonic() - start
        if not made.is_file():
            words = (done.stderr.strip() or "nothing changed").splitlines()[-1].replace("|", "/")
            return [file.stem, told(before), f"not written: {words[:120]}", "-", f"{took:.0f} s"]
        after = verified(made, target, "--against", str(file))
    if after is None:
        return [file.stem, told(before), "cannot be verified", "-", f"{took:.0f} s"]
    return [file.stem, told(before), told(after), parity(after), f"{took:.0f} s"]


def freezes(file: Path) -> list[str]:
    """``--freeze`` for every open size."""
    from accelint.analyzer.formats import load

    graph = load(file).graph
    if file.suffix == ".tflite":
        return ["--freeze", "batch=1"] if any(not graph.tensor(name).static for name in graph.inputs) else []
    asked = []
    for name in graph.inputs:
        tensor = graph.tensor(name)
        if tensor.const is not None or tensor.static or tensor.shape is None:
            continue
        sizes = SIZES.get((len(tensor.shape), tensor.dtype), "").split("x")
        filled = [
            str(dim) if isinstance(dim, int) else sizes[axis] if axis < len(sizes) else "1"
            for axis, dim in enumerate(tensor.shape)
        ]
        asked += ["--freeze", f"{name}={'x'.join(filled)}"]
    return asked


def sized(file: Path, asked: list[str]) -> list[str]:
    """The frozen sizes as ``--size`` for the inputs of the original."""
    from accelint.analyzer.formats import load

    graph = load(file).graph
    wanted = dict(item.split("=") for item in asked[1::2] if "=" in item)
    found: dict[str, str] = {}
    for name, text in wanted.items():
        if name in graph.inputs:
            found.update(
                (dim, size)
                for dim, size in zip(graph.tensor(name).shape or (), text.split("x"), strict=True)
                if isinstance(dim, str)
            )
    return [part for dim, size in found.items() for part in ("--size", f"{dim}={size}")]


def accelint(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "accelint", *arguments], capture_output=True, text=True, check=False
    )


def verified(file: Path, target: str, *more: str) -> dict[str, Any] | None:
    """The target's part of the report; None when there is none."""
    done = accelint("verify", str(file), "--target", target, "--format", "json", *more)
    try:
        found: dict[str, Any] = json.loads(done.stdout)["models"][0]["targets"][0]
    except (ValueError, KeyError, IndexError):
        return None
    return found


def told(report: dict[str, Any]) -> str:
    """What the runtime did."""
    if report.get("runtime_status") != "ok":
        words = f"{report.get('runtime_status')}"
    else:
        devices = [item["device"] for item in report["placement"]]
        running = [device for device in devices if device not in ("folded", "unmapped", "unknown")]
        count = report.get("actual_partitions")
        words = f"{running.count('accelerator')} of {len(running)} operators" + (
            "" if count is None else f", {counted(count, 'partition')}"
        )
    return words + ("" if not report.get("contradictions") else "; predicted otherwise")


def parity(report: dict[str, Any]) -> str:
    found = report.get("parity")
    return "-" if not found else found["summary"].split(";")[-1].strip() + ("" if found["ok"] else " (fails)")


def table(target: str, rows: list[list[str]]) -> str:
    head = [
        "model",
        "as exported, the runtime ran on the accelerator",
        "after fix",
        "numbers against the original",
        "fix took",
    ]
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]
    return f"### `{target}`\n\n" + "\n".join(lines) + "\n"


def replaced(page: str, target: str, text: str) -> str:
    """The page with the target's table in place of the old one."""
    mark = f"### `{target}`"
    start = page.find(mark)
    if start < 0:
        return page.rstrip() + ("\n\n" if page else "") + text
    ends = [place for place in (page.find(f"\n{sign} ", start + 1) for sign in ("##", "###")) if place >= 0]
    return page[:start] + text + (page[min(ends) :] if ends else "")


if __name__ == "__main__":
    sys.exit(main())
