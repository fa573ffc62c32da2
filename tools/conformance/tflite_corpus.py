"""How much of the generated TFLite corpus the reference interpreter accepts, per operator.

    python tools/conformance/tflite_corpus.py [OPERATOR ...] [--seed N] [--output FILE]

Each model is loaded and its tensors allocated with the builtin kernels and no delegate, in a process that is
started again after the model that took it down. A model counts as accepted when that succeeds and every
output then has the shape that the model says.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from importlib.metadata import version
from pathlib import Path
from typing import Any


def judge(data: bytes) -> str:
    """What the interpreter says about a model: "" when it is accepted."""
    from accelint.analyzer.formats.tflite.reader import from_bytes
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        interpreter = Interpreter(
            model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )
        interpreter.allocate_tensors()
        details = interpreter.get_output_details()
    except (RuntimeError, ValueError, TypeError) as error:
        return str(error).splitlines()[0]
    tensors = {tensor.attrs["index"]: tensor for tensor in from_bytes(data).graph.tensors.values()}
    for item in details:
        told = tensors[item["index"]].attrs.get("stored_shape", tensors[item["index"]].shape)
        if tuple(item["shape"]) != told:
            return f"output {item['name']} has the shape {tuple(item['shape'])}, the model says {told}"
    return ""


def work(ops: list[str], seed: int, start: int, log: Path) -> None:
    """Judge the cases from ``start`` on; a line before and after each tells how far it came."""
    from accelint.analyzer.conform.corpora.tflite.corpus import cases

    with log.open("a") as stream:
        for index, case in enumerate(cases(seed, ops or None)):
            if index < start:
                continue
            print(json.dumps(["start", index, case.op, case.name]), file=stream, flush=True)
            print(json.dumps(["end", index, judge(case.build())]), file=stream)
        print(json.dumps(["done"]), file=stream)


def measure(ops: list[str], seed: int) -> tuple[dict[str, Counter[str]], dict[str, str]]:
    """Accepted and refused by operator, and the reason of each refusal by case."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        start, rows = 0, list[Any]()
        while not rows or rows[-1] != ["done"]:
            done = subprocess.run(
                [sys.executable, __file__, *ops, "--seed", str(seed), "--work", str(start), str(log)],
                capture_output=True,
                text=True,
            )
            rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
            if rows and rows[-1][0] == "start" and done.returncode < 0:
                start = rows[-1][1] + 1
                with log.open("a") as stream:
                    print(json.dumps(["end", start - 1, f"died with signal {-done.returncode}"]), file=stream)
            elif not rows or rows[-1] != ["done"]:
                raise SystemExit(f"the worker failed: {done.stderr[-2000:]}")
    names = {row[1]: (row[2], row[3]) for row in rows if row[0] == "start"}
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    reasons: dict[str, str] = {}
    for _, index, reason in (row for row in rows if row[0] == "end"):
        op, name = names[index]
        counts[op]["refused" if reason else "accepted"] += 1
        if reason:
            reasons[name] = reason
    return counts, reasons


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ops", nargs="*")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        work(args.ops, args.seed, int(args.work[0]), Path(args.work[1]))
        return
    counts, reasons = measure(args.ops, args.seed)
    total = sum(counts.values(), Counter[str]())
    print(
        f"ai-edge-litert {version('ai-edge-litert')}, seed {args.seed}: {total['accepted']} of "
        f"{total.total()} models accepted"
    )
    print(
        f"({total['accepted'] / total.total():.1%}); operators with none accepted: "
        f"{sum(not row['accepted'] for row in counts.values())}"
    )
    for op, row in sorted(counts.items(), key=lambda item: item[1]["accepted"] / item[1].total()):
        if row["refused"]:
            print(f"{op:32} {row['accepted']:4} of {row.total():4}")
    if args.output:
        args.output.write_text(json.dumps({"counts": counts, "refusals": reasons}, indent=1) + "\n")


if __name__ == "__main__":
    main()
