"""Repair, pair by pair: what `accelint fix` makes of every model that a target rejects or runs in part.

    python tools/conformance/repair.py ask [--target TARGET] [--only PATTERN] [--open | --all] [--seconds N]
    python tools/conformance/repair.py page                          # docs/repair.md

Models: those out of packages that `wild.py fetch` brings, whole models of `tools/models`, and what is in this
repository (`fixtures`). Each is checked for the targets of its dialect as an application loads it; a pair
that is not accelerated whole is fixed in a process of its own, dynamic dimensions frozen to sizes of
`wild.toml` or usual ones, and what comes out is what the written file is predicted to be, its numbers proved
on the reference runtime.

Answers are kept in `docs/conformance/notes/repair.json`, by the digest of a model and the target. `ask`
asks about pairs that are new; `--open` again about those that did not end whole, `--all` about all.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from accelint.analyzer.words import counted, percent

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "repair.md"
NOTES = ROOT / "docs" / "conformance" / "notes" / "repair.json"
TARGETS = {
    "onnx": ("onnxruntime/qnn:sm8650", "onnxruntime/nnapi", "onnxruntime/coreml:mlprogram"),
    "tflite": ("litert/gpu", "litert/ethos-u:u55"),
    "mil": ("coreml/ane:m4",),
}
ASKED = {
    "onnxruntime/qnn:sm8650": 0.9,
    "onnxruntime/nnapi": 0.8,
    "onnxruntime/coreml:mlprogram": 0.8,
    "litert/gpu": 0.85,
    "litert/ethos-u:u55": 0.85,
    "coreml/ane:m4": 0.8,
}
"""Share of the pairs of a target that should end whole."""
INTEGERS_ONLY = ("litert/ethos-u:u55",)
"""Targets that compute no floats: a float model there is not in need of a repair but of quantization."""
SUFFIXES = (".onnx", ".tflite", ".mlpackage")
SECONDS = 240
"""Limit for one fix."""
MOST = 6000
"""Operators of the largest model."""
RUNTIMES = ("onnx", "onnxruntime", "ai-edge-litert", "ethos-u-vela")

Row = dict[str, Any]


def main() -> int:
    """Ask, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=("ask", "page", "one"))
    parser.add_argument("pair", nargs="*", help="of `one`: a model and a target")
    parser.add_argument("--target", action="append")
    parser.add_argument("--only", default="*", help="pattern of the model's name as the page tells it")
    parser.add_argument("--open", action="store_true", help="again what did not end whole")
    parser.add_argument("--all", action="store_true", help="again all of them")
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--work", type=Path, default=ROOT / ".work", help="folder of `models` and `wild`")
    parser.add_argument("--notes", type=Path, default=NOTES)
    parser.add_argument("--write", type=Path, default=PAGE)
    asked = parser.parse_args()
    if asked.step == "one":
        print(json.dumps(one(Path(asked.pair[0]), asked.pair[1])))
        return 0
    if asked.step == "page":
        asked.write.write_text(page(list(stored(asked.notes).values())), encoding="utf-8")
        return 0
    ask(asked)
    return 0


# ---- models --------------------------------------------------------------------------------


def models(work: Path) -> Iterator[tuple[str, Path]]:
    """Name and place of every model, each content once."""
    places = {
        "package": work / "wild" / "models",
        "model": work / "models",
        "fixture": ROOT / "fixtures",
    }
    seen: set[str] = set()
    for kind, place in places.items():
        for file in sorted(place.rglob("*")):
            inside = any(part.endswith(".mlpackage") for part in file.relative_to(place).parts[:-1])
            if file.suffix not in SUFFIXES or inside or "recorded" in file.parts:
                continue
            key = digest(file)
            if key not in seen:
                seen.add(key)
                parts = file.relative_to(place).parts
                yield f"{kind}: {'/'.join(parts[1:] if kind == 'package' else parts)}", file


def digest(file: Path) -> str:
    """Of a file, or of all files of a package."""
    from accelint.analyzer.files import sha256

    return sha256(file)[:24]


def freezes(model: Any, file: Path, work: Path) -> list[str]:
    """``--freeze`` for every input with dynamic dimensions: sizes of the packages' list, else usual ones."""
    sys.path.insert(0, str(Path(__file__).parent))
    import wild

    graph = model.graph
    given = wild.usual(graph)
    for package in wild.packages(work / "wild"):
        if file.is_relative_to(package.folder):
            given |= wild.sizes_of(package, file)
    asked = []
    for name in graph.inputs:
        tensor = graph.tensor(name)
        if tensor.const is not None or tensor.static or tensor.shape is None:
            continue
        sizes = [
            dim if isinstance(dim, int) else given.get(f"{name}[{axis}]" if dim is None else dim, 1)
            for axis, dim in enumerate(tensor.shape)
        ]
        asked.append(f"{name}={'x'.join(map(str, sizes))}")
    return asked


# ---- asking --------------------------------------------------------------------------------


def ask(asked: argparse.Namespace) -> None:
    """Keep an answer for every pair that is not accelerated whole as it is."""
    rows = stored(asked.notes)
    for name, file in models(asked.work):
        if not fnmatch(name, asked.only):
            continue
        key = digest(file)
        for target in (target for targets in TARGETS.values() for target in targets):
            if asked.target and target not in asked.target:
                continue
            known = rows.get(f"{key} {target}")
            wanted = known is None or asked.all or (asked.open and not whole(known))
            if not wanted or not suits(file, target):
                continue
            row = {"model": name, "target": target, **isolated(file, target, asked.seconds)}
            rows[f"{key} {target}"] = row
            print(line(row), flush=True)
            keep(asked.notes, rows)


def suits(file: Path, target: str) -> bool:
    """Whether a target takes the files of this ending, told by the dialects of ``TARGETS``."""
    dialect = {".onnx": "onnx", ".tflite": "tflite", ".mlpackage": "mil"}[file.suffix]
    return target in TARGETS[dialect]


def stored(notes: Path) -> dict[str, Row]:
    """The answers that are kept."""
    found: dict[str, Row] = json.loads(notes.read_text("utf-8")) if notes.is_file() else {}
    return found


def keep(notes: Path, rows: dict[str, Row]) -> None:
    """Put the answers where the next run finds them, one line a pair."""
    lines = [f"{json.dumps(key)}: {json.dumps(row, sort_keys=True)}" for key, row in sorted(rows.items())]
    notes.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def isolated(file: Path, target: str, seconds: int) -> Row:
    """One pair in a process of its own, which may crash or take too long."""
    context = multiprocessing.get_context("fork")  # what is imported here is there already
    mine, theirs = context.Pipe(duplex=False)
    start = time.monotonic()
    child = context.Process(target=_answer, args=(theirs, file, target))
    child.start()
    theirs.close()
    try:
        answered = mine.poll(seconds)
        found: Row | None = mine.recv() if answered else None
        words = f"fix takes more than {seconds} s"
    except EOFError:
        found, words = None, "the process of fix ended without an answer"
    if found is None:
        child.terminate()
        found = {**failure(file, target), "problem": words}
    child.join()
    return {**found, "seconds": round(time.monotonic() - start, 1), "date": str(date.today())}


def _answer(pipe: Any, file: Path, target: str) -> None:
    try:
        pipe.send(one(file, target))
    except Exception as error:  # a fault of fix is an answer too
        pipe.send({**failure(file, target), "problem": f"{type(error).__name__}: {error}"[:200]})


def failure(file: Path, target: str) -> Row:
    """What is known of a pair whose fix gave no answer."""
    try:
        return {"before": told(before(file, target)[1])}
    except Exception as error:  # whatever a model of strangers brings about
        return {"before": {"verdict": "unknown"}, "why": str(error)[:200]}


def before(file: Path, target: str) -> tuple[Any, Any, Any]:
    """The model, its coverage and the target."""
    from accelint.analyzer.flows.optimized import check_at
    from accelint.analyzer.formats import load
    from accelint.rules.registry import choose

    chosen, model = choose(target), load(file)
    return model, check_at(model, chosen), chosen


def one(file: Path, target: str) -> Row:
    """Check and fix one model; the row without its names."""
    from accelint.analyzer.errors import AccelintError
    from accelint.analyzer.flows.fix import fix

    try:
        model, coverage, chosen = before(file, target)
    except AccelintError as error:
        return {"before": {"verdict": "unreadable"}, "problem": error.message[:200]}
    row: Row = {"before": told(coverage)}
    if coverage.verdict in ("full", "unknown") or model.dialect != chosen.pack.dialect:
        return row
    if target in INTEGERS_ONLY and not integers(model.graph):
        return {**row, "floats": True}
    if len(coverage.operators) > MOST:
        return {
            **row,
            "problem": f"{counted(len(coverage.operators), 'operator')}: too many to be fixed here",
        }
    sizes = freezes(model, file, ROOT / ".work")
    try:
        result = fix(model, chosen, sizes)
    except AccelintError as error:
        if not sizes:
            return {**row, "problem": _without_folder(error.message)[:200]}
        model, _, chosen = before(file, target)
        result, sizes = fix(model, chosen), []
    row |= {"frozen": sizes, "after": told(result.after), "parity": parity(result)}
    row["rewrites"] = dict(Counter(name for step in result.kept for name in made(step)))
    row["left"] = left(result)
    row["fewest"] = result.fewest
    row["refused"] = [
        [step.rewrite, _without_folder(step.reason)[:160]]
        for step in result.steps
        if not step.kept and step.proof is not None
    ]
    if result.not_written:
        row["problem"] = _without_folder(result.not_written)[:200]
    return row


def _without_folder(words: str) -> str:
    """A runtime's words without the folder of this checkout."""
    return words.replace(f"{ROOT}/", "")


def made(step: Any) -> Iterator[str]:
    """The rewrite of a step, those of a clean-up by name."""
    if step.rewrite != "clean-up":
        yield step.rewrite
        return
    yield from (place.partition(" x")[0] for place in step.places)


def integers(graph: Any) -> bool:
    """Whether an operator of the model computes with 8- or 16-bit integers."""
    kinds = ("int8", "uint8", "int16")
    return any(
        graph.tensor(name).dtype in kinds and graph.tensor(name).const is None
        for op in graph.ops()
        for name in op.outputs
        if name
    )


def told(coverage: Any) -> Row:
    """Verdict, operators that run on the accelerator, operators that run at all, partitions."""
    return {
        "verdict": coverage.verdict,
        "accelerated": coverage.accelerated,
        "operators": len(coverage.operators) - coverage.count_gone(),
        "partitions": len(coverage.partitions),
    }


def parity(result: Any) -> str:
    """``proved``, what could not be, or ``unchanged``."""
    if not result.changed:
        return "unchanged"
    kept = [step.proof.status for step in result.kept if step.proof is not None]
    return "proved" if kept and set(kept) == {"proved"} else "not proved"


def left(result: Any) -> list[Row]:
    """What stays, alike findings together: how many, operator type, rule, message, rewrite, reason."""
    types = {op.name: op.type for op in result.after.operators}
    alike: dict[tuple[str, str, str], Row] = {}
    for item in result.left:
        key = (item.rule, types.get(item.operator, ""), item.reason[:120])
        row = alike.setdefault(
            key,
            {
                "rule": item.rule,
                "type": key[1],
                "message": item.message[:160],
                "rewrite": item.rewrite,
                "reason": item.reason[:200],
                "count": 0,
            },
        )
        row["count"] += 1
    return sorted(alike.values(), key=lambda row: -row["count"])[:12]


# ---- the page ------------------------------------------------------------------------------


def in_need(row: Row) -> bool:
    """Whether a pair counts: the model is read, and is rejected or partly accelerated as it is."""
    return row["before"]["verdict"] in ("rejected", "partial", "none") and not row.get("floats")


def whole(row: Row) -> bool:
    """Whether a pair ended whole, its changes proved, or needs nothing."""
    if not in_need(row):
        return True
    return row.get("after", {}).get("verdict") == "full" and row.get("parity") in ("proved", "unchanged")


def line(row: Row) -> str:
    """One pair in a line, while asking."""
    after = row.get("after", {}).get("verdict", "-")
    words = f"{row['before']['verdict']} -> {after}, {row.get('parity', '-')}, {row.get('seconds', '-')} s"
    return f"{row['model']} {row['target']}: {words} {row.get('problem', '')}".rstrip()


def page(rows: list[Row]) -> str:
    """The committed page."""
    pairs = sorted((row for row in rows if in_need(row)), key=lambda row: (row["target"], row["model"]))
    days = [str(row["date"]) for row in pairs if row.get("date")]
    facts = ", ".join(f"{name} {installed(name)}" for name in RUNTIMES if installed(name))
    head = [
        "# Repair, pair by pair",
        "",
        "Written by `make repair` (`tools/conformance/repair.py`): every pair of a model and a target that "
        "is rejected or accelerated in part as it is, and what `accelint fix` makes of it. Verdicts are "
        "predictions for the written file at the level at which applications load it; numbers are proved on "
        "the reference runtime. Dynamic dimensions are frozen (sizes of `tools/conformance/wild.toml`, or "
        "one item of usual size).",
        f"{counted(len(pairs), 'pair')}, {min(days)} to {max(days)}, {facts}." if days else "No pairs yet.",
        "",
        "| target | pairs | end whole | share | asked | worse | not proved | no answer |",
        "|---|---|---|---|---|---|---|---|",
        *summary(pairs),
        "",
        "## What keeps pairs from ending whole",
        "",
        "By how many pairs a cause is left in; *alone* counts those where it is the only one.",
        "",
        "| pairs | alone | operator | rule | targets | what holds the closest rewrite back |",
        "|---|---|---|---|---|---|",
        *causes(pairs),
        "",
        "## Pairs",
        "",
        "Operators on the accelerator of those that run, and partitions.",
        "",
        "| model | target | before | after | parity | rewrites | s |",
        "|---|---|---|---|---|---|---|",
        *(cells(row) for row in pairs),
        "",
        "## What is left, and the fewest partitions that leaves",
        "",
        "Fewest: the operators that stay cut every path between accelerated ones; no order of the rest makes "
        "fewer partitions.",
        "",
        *(words for row in pairs if not whole(row) for words in minimal(row)),
    ]
    return "\n".join(head) + "\n"


def summary(pairs: list[Row]) -> Iterator[str]:
    """A line for each target."""
    for target in [*ASKED, "all"]:
        rows = [row for row in pairs if target in ("all", row["target"])]
        if not rows:
            continue
        good = sum(map(whole, rows))
        asked = percent(ASKED[target], 0) if target in ASKED else ""
        unproved = sum(1 for row in rows if row.get("parity") == "not proved")
        silent = sum(1 for row in rows if "after" not in row)
        shown = f"`{target}`" if target != "all" else "all"
        cells_ = (shown, len(rows), good, percent(good / len(rows)), asked, sum(map(worse, rows)))
        yield f"| {' | '.join(map(str, (*cells_, unproved, silent)))} |"


RANK = {"full": 0, "partial": 1, "unknown": 2, "none": 2, "rejected": 3, "unreadable": 4}


def worse(row: Row) -> bool:
    """Whether the verdict of what was written is worse than before."""
    after = row.get("after")
    return after is not None and RANK[after["verdict"]] > RANK[row["before"]["verdict"]]


def causes(pairs: list[Row]) -> Iterator[str]:
    """Causes by the number of pairs that they are left in."""
    found: dict[tuple[str, str], list[tuple[Row, Row, bool]]] = {}
    for row in pairs:
        if whole(row):
            continue
        real = [item for item in row.get("left", ()) if not item["reason"].startswith("it follows")]
        alone = len({(item["type"], item["rule"]) for item in real}) == 1
        for item in {(item["type"], item["rule"]): item for item in real}.values():
            found.setdefault((item["type"], item["rule"]), []).append((row, item, alone))
    for (kind, rule), items in sorted(found.items(), key=lambda entry: (-len(entry[1]), entry[0]))[:80]:
        targets = Counter(row["target"].partition("/")[2].partition(":")[0] for row, _, _ in items)
        named = ", ".join(f"{name} {count}" for name, count in targets.most_common())
        reason = Counter(
            f"`{item['rewrite']}`: {item['reason']}" if item["rewrite"] else item["reason"]
            for _, item, _ in items
        ).most_common(1)[0][0]
        alone_ = sum(1 for _, _, alone in items if alone)
        cells_ = (len(items), alone_, kind, rule, named, safe(reason[:110]))
        yield f"| {' | '.join(map(str, cells_))} |"


def cells(row: Row) -> str:
    """A pair's line of the table."""
    rewrites = row.get("rewrites", {})
    names = [
        f"`{name}` {count}" if count > 1 else f"`{name}`"
        for name, count in rewrites.items()
        if name != "freeze"
    ]
    more = f", {len(names) - 5} more" if len(names) > 5 else ""
    values = (
        safe(row["model"]),
        f"`{row['target']}`",
        shown(row["before"]),
        shown(row["after"]) if "after" in row else safe(row.get("problem", "")[:80]),
        row.get("parity", "-"),
        ", ".join(names[:5]) + more or "-",
        row.get("seconds", "-"),
    )
    return f"| {' | '.join(map(str, values))} |"


def shown(state: Row) -> str:
    """A verdict with its figures."""
    if state["verdict"] in ("rejected", "unreadable", "unknown"):
        return str(state["verdict"])
    return (
        f"{state['verdict']} {state['accelerated']}/{state['operators']}, "
        f"{counted(state['partitions'], 'partition')}"
    )


def minimal(row: Row) -> Iterable[str]:
    """What stays in a pair that did not end whole."""
    yield f"- {safe(row['model'])}, `{row['target']}`: {numbers(row)}"
    for item in row.get("left", ())[:6]:
        reason = f"`{item['rewrite']}`: {item['reason']}" if item["rewrite"] else item["reason"]
        count = f"{item['count']} " if item["count"] > 1 else ""
        yield f"  - {count}{item['type']} ({item['rule']}): {safe(item['message'])}; {safe(reason)}"


def numbers(row: Row) -> str:
    """Partitions now, and the fewest."""
    if "after" not in row:
        return safe(row.get("problem", "no answer"))
    words = f"{counted(row['after']['partitions'], 'partition')}, at fewest {row.get('fewest', '?')}"
    return f"{words}; {safe(row['problem'])}" if row.get("problem") else words


def safe(text: str) -> str:
    """Text of strangers in a Markdown table."""
    return text.replace("|", "/").replace("\n", " ").replace("<", "&lt;")


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
