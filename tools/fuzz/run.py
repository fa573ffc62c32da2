"""`make fuzz`: mutated inputs of every format, in worker processes that are watched.

    python tools/fuzz/run.py [--seconds 60] [--inputs N] [--jobs 1] [--seed 0] [--formats onnx,pack]
    python tools/fuzz/run.py --replay FILE [FILE ...]
    python tools/fuzz/run.py --input NUMBER     (makes the input of that number in .work/fuzz)

Faults: an exception that is not accelint's own, more than 10 s of processor time (or 60 s of wall time) for
one input, more than 1 GB of memory, a raw control character in a report or message, a written model that is
not read back. The input of each kind of fault is kept in ``.work/fuzz/faults``; the exit status is 1 when
there is one. An input depends on its number, the seed and the chosen formats alone.
"""

from __future__ import annotations

import argparse
import gc
import json
import mmap
import os
import platform
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import mutators
import seeds as seeding
import subject
from seeds import FORMATS, ROOT, Seed

WORK = ROOT / ".work" / "fuzz"
CPU_SECONDS, WALL_SECONDS, MEMORY = 10.0, 60.0, 1 << 30
POLL = 0.05
BATCH = 3000
"""Inputs of one worker: then it is replaced, so that what is remembered between inputs stays small."""
WEIGHTS = {
    "onnx": 6,
    "tflite": 6,
    "savedmodel": 1,
    "graphdef": 3,
    "keras": 2,
    "mlpackage": 3,
    "mlmodel": 4,
    "pack": 4,
}
"""How often each format comes."""
CHILD = {
    "savedmodel": "saved_model.pb",
    "mlpackage": "Data/com.apple.CoreML/model.mlmodel",
}


class Maker:
    """Makes the input of a number: a mutated seed."""

    def __init__(self, formats: list[str], seed: int) -> None:
        self.seed = seed
        self.seeds: dict[str, list[Seed]] = {}
        for item in seeding.seeds():
            self.seeds.setdefault(item.format, []).append(item)
        self.order = [form for form in formats for _ in range(WEIGHTS[form])]
        Random(1).shuffle(self.order)
        self.pools = {form: mutators.Pool() for form in FORMATS}
        for form, items in self.seeds.items():
            for item in items:
                with suppress(Exception):  # a kept seed need not be well formed
                    self._learn(form, item)

    def rng(self, number: int) -> Random:
        """The randomness of one input."""
        return Random(f"{self.seed}/{number}")

    def form(self, number: int) -> str:
        """The format of the input with that number."""
        return self.order[number % len(self.order)]

    def files(self, number: int, rng: Random) -> dict[str, bytes]:
        """The files of the input with that number."""
        form = self.form(number)
        item = rng.choice(self.seeds[form])
        if rng.random() < 0.1:
            name = rng.choice(sorted(item.files))
            return {**item.files, name: mutators.spoiled(rng, item.files[name])}
        try:
            return self.mutated(form, item, rng)
        except Exception:  # a value that the format cannot hold at all: then its bytes are changed
            name = rng.choice(sorted(item.files))
            return {**item.files, name: mutators.spoiled(rng, item.files[name])}

    def _learn(self, form: str, item: Seed) -> None:
        pool = self.pools[form]
        if form == "tflite":
            mutators.learn_rows(mutators.rows_of(item.files[""]), pool)
        elif form == "keras":
            for tree in seeding.keras_files(item).values():
                mutators.learn_tree(tree, pool, form)
        elif form == "pack":
            mutators.learn_tree(_toml(item.files[""]), pool, form)
        else:
            mutators.learn_message(_message(form, item.files[CHILD.get(form, "")]), pool)

    def mutated(self, form: str, item: Seed, rng: Random) -> dict[str, bytes]:
        """The files of a seed, changed by their structure. Raises anything for what has none."""
        pool = self.pools[form]
        if form == "tflite":
            rows = mutators.rows_of(item.files[""])
            mutators.mutate_rows(rows, rng, pool)
            return {"": mutators.bytes_of(rows)}
        if form == "keras":
            return {"": _mutated_keras(item, rng, pool)}
        if form == "pack":
            tables = _toml(item.files[""])
            mutators.mutate_tree(tables, rng, pool, form)
            return {"": mutators.toml(tables).encode("utf-8", "surrogatepass")}
        if form == "mlpackage" and rng.random() < 0.15:
            manifest = json.loads(item.files["Manifest.json"])
            mutators.mutate_tree(manifest, rng, pool, form)
            return {**item.files, "Manifest.json": json.dumps(manifest).encode()}
        child = CHILD.get(form, "")
        message = _message(form, item.files[child])
        mutators.mutate_message(message, rng, pool)
        return {**item.files, child: message.SerializeToString()}


def _toml(data: bytes) -> dict[str, Any]:
    import tomllib

    return tomllib.loads(data.decode())


def _message(form: str, data: bytes) -> Any:
    from accelint.analyzer.formats.coreml import schema as coreml
    from accelint.analyzer.formats.onnx.proto import pb
    from accelint.analyzer.formats.tf import proto as tf

    kind = {
        "onnx": lambda: pb().ModelProto,
        "savedmodel": lambda: tf.message("SavedModel"),
        "graphdef": lambda: tf.message("GraphDef"),
        "mlpackage": lambda: coreml.message("Model"),
        "mlmodel": lambda: coreml.message("Model"),
    }[form]()
    return kind.FromString(data)


def _mutated_keras(item: Seed, rng: Random, pool: mutators.Pool) -> bytes:
    members = seeding.keras_files(item)
    mutators.mutate_tree(members[rng.choice(sorted(members))], rng, pool, "keras")
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, tree in members.items():
            archive.writestr(name, json.dumps(tree))
        if rng.random() < 0.1:
            archive.writestr(mutators.text(rng) or "x", b"x")
    return out.getvalue()


def put(folder: Path, form: str, files: dict[str, bytes]) -> Path:
    """Write an input into an empty folder; returns the path to give to accelint."""
    suffixes = {"graphdef": ".pb", "pack": ".toml", "savedmodel": ""}
    path = folder / f"input{suffixes.get(form, '.' + form)}"
    if list(files) == [""]:
        path.write_bytes(files[""])
        return path
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


# ---- the worker ------------------------------------------------------------------------------

_BEAT = struct.Struct("<qdd")
"""In memory that worker and watcher share: the number of the input, its start by both clocks."""


def work(maker: Maker, first: int, last: int, step: int, beat: mmap.mmap, scratch: Path, out: int) -> None:
    """Use the inputs first, first + step, ... before last; tell each outcome to the watcher in one line."""
    gc.enable()
    told: Counter[str] = Counter()
    for number in range(first, last, step):
        beat[: _BEAT.size] = _BEAT.pack(number, time.monotonic(), time.process_time())
        outcome, fault = one(maker, number, scratch)
        told[f"{maker.form(number)} {outcome}"] += 1
        if fault:
            os.write(out, (json.dumps({"fault": fault, "number": number}) + "\n").encode())
        if number % 64 < step:
            os.write(out, (json.dumps({"told": told, "next": number + step}) + "\n").encode())
            told.clear()
            if _resident() > 600 << 20:
                last = number + step
                break
    os.write(out, (json.dumps({"told": told, "next": last, "end": True}) + "\n").encode())


def one(maker: Maker, number: int, scratch: Path) -> tuple[str, dict[str, str] | None]:
    """Make and use one input: its outcome, and the fault if there is one."""
    rng = maker.rng(number)
    form = maker.form(number)
    folder = scratch / str(number)
    folder.mkdir()
    try:
        path = put(folder, form, maker.files(number, rng))
        return subject.used(path, form, rng), None
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        trace = traceback.format_exc()[-3000:]
        return "fault", {"kind": f"{form}: {subject.signature(error)}", "trace": trace}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _resident(pid: int | str = "self") -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * mmap.PAGESIZE


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ---- the watcher -----------------------------------------------------------------------------


@dataclass
class Totals:
    """What came of all inputs."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    examples: dict[str, int] = field(default_factory=dict)
    peak: int = 0
    slowest: float = 0.0

    @property
    def inputs(self) -> int:
        return sum(self.counts.values())

    def fault(self, kind: str, number: int) -> bool:
        """Count a fault; True when it is the first of its kind."""
        self.faults[kind] += 1
        return self.examples.setdefault(kind, number) == number


class Worker:
    """One forked worker and what it has told."""

    def __init__(self, maker: Maker, start: int, step: int, last: int) -> None:
        self.maker, self.step, self.last = maker, step, last
        self.next = start
        self.scratch = Path(
            tempfile.mkdtemp(prefix="fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        )
        self.beat = mmap.mmap(-1, mmap.PAGESIZE)
        self.pid = 0
        self.rest = b""
        self.done = False
        self.start()

    def start(self) -> None:
        """Fork a worker that goes on where the last one ended."""
        self.beat[: _BEAT.size] = _BEAT.pack(-1, time.monotonic(), 0.0)
        reads, writes = os.pipe()
        os.set_blocking(reads, False)
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                os.close(reads)
                stop = min(self.last, self.next + BATCH * self.step)
                work(self.maker, self.next, stop, self.step, self.beat, self.scratch, writes)
                code = 0
            finally:
                os._exit(code)
        os.close(writes)
        self.pipe = reads
        self.rest = b""
        self.done = False

    def lines(self) -> list[dict[str, Any]]:
        """What the worker has told since the last call."""
        with suppress(BlockingIOError):
            while data := os.read(self.pipe, 1 << 16):
                self.rest += data
        *whole, self.rest = self.rest.split(b"\n")
        return [json.loads(line) for line in whole]

    def trouble(self, totals: Totals) -> str:
        """Why the input in progress has to be ended, or nothing."""
        number, wall, cpu = _BEAT.unpack(self.beat[: _BEAT.size])
        if number < 0:
            return ""
        try:
            resident, spent = _resident(self.pid), _cpu(self.pid) - cpu
        except (OSError, IndexError):
            return ""
        totals.peak, totals.slowest = max(totals.peak, resident), max(totals.slowest, spent)
        if resident > MEMORY:
            return f"more than {MEMORY >> 30} GB of memory"
        if spent > CPU_SECONDS or time.monotonic() - wall > WALL_SECONDS:
            return f"more than {CPU_SECONDS:.0f} s"
        return ""

    def ended(self) -> int | None:
        """The status of a worker that has ended, None while it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return None if pid == 0 else os.waitstatus_to_exitcode(status)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def close(self) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)


def fuzz(
    maker: Maker, totals: Totals, seconds: float | None, inputs: int | None, jobs: int, first: int = 0
) -> None:
    """Run workers until the time is up or all inputs were used; ``totals`` always has what came of them."""
    last = (1 << 60) if inputs is None else first + inputs
    workers = [Worker(maker, first + index, jobs, last) for index in range(jobs)]
    end = None if seconds is None else time.monotonic() + seconds
    try:
        while workers and (end is None or time.monotonic() < end):
            time.sleep(POLL)
            workers = [worker for worker in workers if _watched(worker, totals)]
    finally:
        for worker in workers:
            with suppress(OSError):
                worker.kill()
            _listen(worker, totals)
            worker.close()


def _listen(worker: Worker, totals: Totals) -> None:
    """Take in what the worker told."""
    for line in worker.lines():
        if "fault" in line:
            _fault(worker.maker, totals, line["number"], line["fault"]["kind"], line["fault"]["trace"])
        else:
            totals.counts.update(line["told"])
            worker.next = line["next"]
            worker.done = worker.done or "end" in line


def _watched(worker: Worker, totals: Totals) -> bool:
    """Look after one worker; False when it has nothing left to do."""
    trouble = worker.trouble(totals)
    if trouble:
        worker.kill()
    status = -9 if trouble else worker.ended()
    _listen(worker, totals)
    if status is None:
        return True
    os.close(worker.pipe)
    if not worker.done:
        number = _BEAT.unpack(worker.beat[: _BEAT.size])[0]
        kind = trouble or f"the worker ended with status {status}"
        form = worker.maker.form(number)
        totals.counts.update({f"{form} fault": 1})
        totals.counts.update({f"{form} lost": max(0, (number - worker.next) // worker.step)})
        _fault(worker.maker, totals, number, f"{form}: {kind}", "")
        worker.next = number + worker.step
    shutil.rmtree(worker.scratch, ignore_errors=True)
    worker.scratch.mkdir()
    if worker.next >= worker.last:
        worker.close()
        return False
    worker.start()
    return True


def _fault(maker: Maker, totals: Totals, number: int, kind: str, trace: str) -> None:
    if not totals.fault(kind, number):
        return
    form = maker.form(number)
    folder = WORK / "faults" / "".join(char if char.isalnum() else "_" for char in kind)[:100]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    put(folder, form, maker.files(number, maker.rng(number)))
    (folder / "trace.txt").write_text(
        f"{kind}\ninput {number}\n{trace}", encoding="utf-8", errors="backslashreplace"
    )
    print(f"fault: {kind} (input {number}) -> {folder.relative_to(ROOT)}", flush=True)


# ---- what is said ----------------------------------------------------------------------------


def page(totals: Totals, command: str, seconds: float) -> str:
    """The figures as a Markdown page."""
    rows = ["| format | inputs | accepted | rejected | faults |", "|---|---|---|---|---|"]
    for form in FORMATS:
        counts = [totals.counts[f"{form} {what}"] for what in ("accepted", "refused", "fault")]
        whole = sum(counts) + totals.counts[f"{form} lost"]
        rows.append(f"| {form} | {whole:,} | {counts[0]:,} | {counts[1]:,} | {counts[2]:,} |")
    lines = [
        "# Fuzzing",
        "",
        f"Written by `{command}` on {datetime.now(UTC):%Y-%m-%d} (Python {platform.python_version()}, "
        f"{_versions()}).",
        "",
        f"**{totals.inputs:,} inputs in {seconds / 60:.0f} minutes: {_figures(totals)}.**",
        "",
        *rows,
        "",
        f"Largest worker: {totals.peak / 1e6:.0f} MB. "
        f"Longest input: {totals.slowest:.1f} s of processor time.",
        "",
        *[f"- {count} x {kind}" for kind, count in sorted(totals.faults.items())],
    ]
    return "\n".join(lines).rstrip() + "\n" + _ABOUT


_KINDS = {
    "hangs over 10 s": "more than 10 s",
    "over 1 GB": "GB of memory",
    "raw control characters": "control character",
    "unreadable outputs": "written file",
}


def _figures(totals: Totals) -> str:
    """Each kind of fault with its count, tracebacks first."""
    found = {
        name: sum(count for kind, count in totals.faults.items() if words in kind)
        for name, words in _KINDS.items()
    }
    others = sum(totals.faults.values()) - sum(found.values())
    return ", ".join(f"{count} {name}" for name, count in {"tracebacks": others, **found}.items())


_ABOUT = """
"Rejected" is an error of accelint's own classes, which says what is wrong with the input.

## What is done with an input

`tools/fuzz` mutates small seeds by their structure: protobuf messages by their descriptors, TFLite files by
the FlatBuffers schema, Keras configurations, manifests and packs by their tables, and one in ten by its bytes
alone. Parts and values are borrowed from other seeds (every operator of the generated corpora is one), and
names are made to harm. A model is read, checked for a random target of its dialect, rendered in one of the
report forms, improved by the planner without asking a runtime, written and read back. A pack is read and used
on a small model. A Keras file is read up to the point where Keras itself would build it in a process of its
own.

A fault is an exception that is not one of accelint's own, more than 10 s of processor time for one input,
more than 1 GB of resident memory, a control character, bidirectional mark or lone surrogate in a message or
report, or a written model that is not read back.

`make fuzz SECONDS=60` runs for a chosen time. An input depends on its number, the seed and the chosen formats
alone: `python tools/fuzz/run.py --input NUMBER` makes it again. What found a fault is kept under
`tests/fuzz_seeds` and run by `tests/test_fuzz.py`.
"""


def _versions() -> str:
    from importlib.metadata import version

    return ", ".join(f"{name} {version(name)}" for name in ("onnx", "protobuf", "numpy"))


def main() -> int:
    """Parse the command line, fuzz, and say what was found."""
    options = _options()
    subject.warm()
    if options.replay:
        return replay(options.replay)
    maker = Maker(options.formats.split(",") if options.formats else list(FORMATS), options.seed)
    if options.input is not None:
        folder = WORK / f"input-{options.input}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        print(put(folder, maker.form(options.input), maker.files(options.input, maker.rng(options.input))))
        return 0
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    began = time.monotonic()
    seconds = options.seconds if options.seconds or options.inputs else 60.0
    totals = Totals()
    with suppress(KeyboardInterrupt):
        fuzz(maker, totals, seconds, options.inputs, options.jobs, options.first)
    spent = time.monotonic() - began
    print(f"{totals.inputs} inputs in {spent:.0f} s: {_figures(totals)}")
    for key, count in sorted(totals.counts.items()):
        print(f"  {key:<22} {count}")
    for kind, count in totals.faults.most_common():
        print(f"  {count:>6} x {kind} (input {totals.examples[kind]})")
    if options.page:
        Path(options.page).write_text(page(totals, _command(options), spent), encoding="utf-8")
    return int(bool(totals.faults))


def _command(options: argparse.Namespace) -> str:
    named = {
        "seconds": options.seconds,
        "inputs": options.inputs,
        "first": options.first,
        "seed": options.seed,
    }
    return "python tools/fuzz/run.py" + "".join(f" --{key} {value}" for key, value in named.items() if value)


def replay(paths: list[str]) -> int:
    """Use stored inputs as they are; the format is the first part of the name. 1 when one is a fault."""
    bad = 0
    for name in paths:
        item = seeding.stored(Path(name))
        with tempfile.TemporaryDirectory() as folder:
            try:
                outcome = subject.used(put(Path(folder), item.format, item.files), item.format, Random(0))
            except Exception as error:
                bad, outcome = 1, f"fault: {subject.signature(error)}"
        print(f"{name}: {outcome}")
    return bad


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--inputs", type=int)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--formats", default="")
    parser.add_argument("--page")
    parser.add_argument("--input", type=int)
    parser.add_argument("--replay", nargs="*")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
