"""conform: a pack compared with its runtime over a corpus.

The runtime is slow and does not change between two edits of a pack, so its answers are kept, by
the digest of the model and the version of the runtime, and only the predictions are made anew. An
interrupted run goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TextIO

from ...rules.pack import Chosen
from ...rules.verdict import Verdict
from ..check.coverage import Coverage
from ..errors import AccelintError
from ..files import sha256
from ..flows.optimized import OFF, check_at
from ..formats import load
from ..processes.scratch import temporary
from ..proof.agreement import comparable_partitions
from ..proof.phases import RUNNING, phase_of
from ..runtimes import Request, Session
from ..runtimes.answers import MERGED
from ..runtimes.catalog import reference
from ..unexpected import unexpected
from .corpora import Item

ACTUAL = {"accelerator": "accelerated", "cpu": "fallback", "folded": "folded"}
DROPPED = ("ACL601", "ACL602")
"""Findings about operators that the provider accepts and then leaves to the host: an answer about acceptance
counts them as accepted.
"""
FAILED = ("refused", "crashed", "exhausted", "hung")
RETRIES: tuple[Mapping[str, Any], ...] = ({"seed": 1}, {"seed": 2, "open": 4})
"""Other random inputs, open sizes of 4: a runtime that is asked by running the model may die of the first
ones, wherever it placed what.
"""
NO_KERNEL = ("NOT_IMPLEMENTED", "is not set.")
"""Words of a session that stops because an operator was assigned to no provider: a failure, although the
reference stops as well.
"""


@dataclass(frozen=True)
class Judged:
    """One operator: predicted against actual, with the rule's reason beside the runtime's."""

    model: str
    id: str
    type: str
    predicted: str
    actual: str
    rule: str = ""
    said: str = ""

    @property
    def right(self) -> bool:
        """An unknown prediction is never right; a constant operator may be folded or run once on the host."""
        return self.predicted == self.actual or {self.predicted, self.actual} == {"folded", "fallback"}


@dataclass
class Outcome:
    """One model: its operators, and what the runtime did with the whole."""

    name: str
    status: str
    predicted: str = ""
    operators: list[Judged] = field(default_factory=list)
    partitions: tuple[int, int | None] = (0, None)
    same_members: bool | None = None
    """Whether the partitions hold the same operators, where the runtime tells them."""
    reason: str = ""
    unmapped: int = 0
    actual: str = ""
    """The verdict of the model that the placement amounts to; empty where the runtime told none."""
    phases: tuple[str, str] = ("", "")
    """Where the model was predicted to be rejected and where the runtime rejected it, as far as is told."""


class Answers:
    """The runtime's answers so far: one line of JSON a model, appended as they come."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, Any]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    row = json.loads(line)
                    self._known[row["model"]] = row
                except (ValueError, KeyError, TypeError):
                    continue  # the line that was being written when the last run was cut off
        self._stream: TextIO = path.open("a", encoding="utf-8")

    def get(self, digest: str) -> dict[str, Any] | None:
        """The kept answer."""
        return self._known.get(digest)

    def put(self, digest: str, row: Mapping[str, Any]) -> None:
        """Keep an answer."""
        with self._lock:
            self._known[digest] = {"model": digest, **row}
            self._stream.write(json.dumps(self._known[digest]) + "\n")
            self._stream.flush()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


class Asks(Protocol):
    """Where answers come from."""

    def ask(self, digest: str, path: Path, name: str = "") -> dict[str, Any]:
        """The answer about one model file."""

    def run(self, digest: str, path: Path) -> Mapping[str, Any]:
        """What a run of a loaded model changes in its answer: only a run tells whether one fails."""

    def close(self) -> None:
        """Nothing will be asked any more."""


class Asker:
    """Asks the runtime from several threads, each with a worker process of its own that lives from model to
    model.
    """

    def __init__(
        self,
        target: str,
        dialect: str,
        answers: Answers,
        timeout: float,
        options: Mapping[str, Any],
        packages: Sequence[Path] = (),
    ) -> None:
        self.target = target
        self.packages = packages
        self.reference = reference(dialect)
        self.answers = answers
        self.timeout = timeout
        self.options = dict(options)
        self._local = threading.local()
        self._sessions: list[Session] = []
        self._lock = threading.Lock()

    def ask(self, digest: str, path: Path, name: str = "") -> dict[str, Any]:
        """What the runtime says of a model file: status, placement rows, partitions. Kept answers are not
        asked again.
        """
        known = self.answers.get(digest)
        if known is not None:
            return known
        request = self.request(path)
        answer = self._session(self.target).ask(request)
        for other in RETRIES if answer.status in ("crashed", "hung") else ():
            again = self._session(self.target).ask(replace(request, options={**request.options, **other}))
            if again.ok:
                answer = again
                break
        row: dict[str, Any] = {
            "status": answer.status,
            "reason": (answer.reason or answer.signal or "")[:400],
            "partitions": answer.partitions,
            "placement": [[item.id, item.type, item.device, item.reason[:200]] for item in answer.placement],
        }
        if answer.status in FAILED and not self._loads_at_all(path):
            row["status"] = "invalid"
        if answer.status not in ("missing", "failed", "garbage", "killed"):
            self.answers.put(digest, row)
        return row

    def run(self, digest: str, path: Path) -> Mapping[str, Any]:
        """The status and the words of a run that failed; nothing of one that did not. Kept like answers."""
        key = f"{digest} run"
        row = self.answers.get(key)
        if row is None:
            request = self.request(path)
            options = {"seed": 0, **request.options}
            answer = self._session(self.target).ask(
                replace(request, outputs=True, placement=False, options=options)
            )
            row = {"status": answer.status, "reason": (answer.reason or answer.signal or "")[:400]}
            if answer.ok or answer.status in FAILED or answer.reason.startswith(RUNNING):
                self.answers.put(key, row)
        if row["status"] == "failed" and row["reason"].startswith(RUNNING):
            return {"status": "refused", "reason": row["reason"], "phase": "run"}
        return {key: row[key] for key in ("status", "reason")} if row["status"] in FAILED else {}

    def request(self, path: Path) -> Request:
        """What is asked about a model."""
        return Request(path, options=self.options)

    def _loads_at_all(self, path: Path) -> bool:
        """Whether the reference runtime takes the model, at the same optimization level: one that it rejects
        says nothing about the target.
        """
        if self.reference is None or self.reference == self.target:
            return True
        level = {key: value for key, value in self.options.items() if key == "optimize"}
        return self._session(self.reference).ask(Request(path, placement=False, options=level)).ok

    def _session(self, name: str) -> Session:
        sessions: dict[str, Session] = self._local.__dict__.setdefault("sessions", {})
        if name not in sessions:
            packages = self.packages if name == self.target else ()
            sessions[name] = Session(name, timeout=self.timeout, packages=packages)
            with self._lock:
                self._sessions.append(sessions[name])
        return sessions[name]

    def close(self) -> None:
        """End every worker."""
        for session in self._sessions:
            session.close()


def run(
    chosen: Chosen,
    items: Iterable[Item],
    cache: Path,
    *,
    jobs: int = 0,
    timeout: float = 60.0,
    options: Mapping[str, Any] | None = None,
    optimize: str = OFF,
    progress: Callable[[Outcome], None] = lambda outcome: None,
    packages: Sequence[Path] = (),
) -> list[Outcome]:
    """Compare a pack with its runtime on every model, in the order given; ``cache`` keeps the runtime's
    answers. ``optimize``: the level of ONNX Runtime at which both are asked; ``packages``: folders with
    another release of the runtime than the installed one.
    """
    answers = Answers(cache)
    asked = {**(options or {}), **({} if optimize == OFF else {"optimize": optimize})}
    try:
        return validate(
            chosen,
            items,
            Asker(chosen.target, chosen.pack.dialect, answers, timeout, asked, packages),
            jobs,
            progress,
            optimize,
        )
    finally:
        answers.close()


def validate(
    chosen: Chosen,
    items: Iterable[Item],
    asker: Asks,
    jobs: int = 0,
    progress: Callable[[Outcome], None] = lambda outcome: None,
    optimize: str = OFF,
) -> list[Outcome]:
    """Compare a pack with answers, live or recorded; the answers are closed at the end."""
    try:
        with (
            temporary("conform-") as folder,
            ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool,
        ):
            outcomes: list[Outcome] = []
            for outcome in _bounded(pool, lambda item: _one(chosen, item, asker, folder, optimize), items):
                progress(outcome)
                outcomes.append(outcome)
            return outcomes
    finally:
        asker.close()


def _bounded(
    pool: ThreadPoolExecutor, work: Callable[[Item], Outcome], items: Iterable[Item]
) -> Iterator[Outcome]:
    """Results in order, with few models in memory at a time."""
    waiting: list[Any] = []
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) >= 64:
            yield waiting.pop(0).result()
    while waiting:
        yield waiting.pop(0).result()


def _one(chosen: Chosen, item: Item, asker: Asks, folder: Path, optimize: str) -> Outcome:
    """One model; whatever is wrong with it, or with accelint at it, is its outcome, and the others go on."""
    try:
        if item.path is not None:
            return _judged(chosen, item, item.path, sha256(item.path), asker, optimize)
        data = item.data or b""
        digest = hashlib.sha256(data).hexdigest()
        suffix = {"onnx": ".onnx", "tflite": ".tflite"}.get(chosen.pack.dialect, "")
        path = folder / f"{digest[:32]}-{threading.get_ident()}{suffix}"
        path.write_bytes(data)
        try:
            return _judged(chosen, item, path, digest, asker, optimize)
        finally:
            path.unlink(missing_ok=True)
    except (AccelintError, OSError) as error:
        return Outcome(item.name, "unreadable", reason=getattr(error, "message", str(error)))
    except Exception as error:
        return Outcome(item.name, "internal", reason=unexpected(error).message)


def _judged(chosen: Chosen, item: Item, path: Path, digest: str, asker: Asks, optimize: str) -> Outcome:
    coverage = check_at(load(path), chosen, optimize)
    row = asker.ask(digest, path, item.name)
    if coverage.phase == "run" and row["status"] == "ok":
        row = {**row, **asker.run(digest, path)}
    return compare(item.name, coverage, row)


def verdict_of(row: Mapping[str, Any]) -> str:
    """``full``, ``partial``, ``none`` or ``rejected``: what a kept answer amounts to for the model."""
    if row["status"] != "ok":
        return "rejected"
    devices = {device for _, _, device, _ in row["placement"]} & {"accelerator", "cpu"}
    if not row["placement"]:
        return ""
    return {0: "full", 1: "none" if "cpu" in devices else "full", 2: "partial"}[len(devices)]


def compare(name: str, coverage: Coverage, row: Mapping[str, Any]) -> Outcome:
    """One model's prediction against one kept answer."""
    if row["status"] == "invalid" and any(words in row["reason"] for words in NO_KERNEL):
        row = {**row, "status": "refused"}
    outcome = Outcome(
        name,
        row["status"],
        coverage.verdict,
        reason=row["reason"],
        partitions=(comparable_partitions(coverage, (id for id, *_ in row["placement"])), row["partitions"]),
        phases=(
            coverage.phase,
            row.get("phase") or phase_of(coverage.target, row["status"], row["reason"]),
        ),
    )
    if row["status"] == "ok" and row.get("accepted") and coverage.phase in ("compile", "run"):
        outcome.status = "not compiled"  # what was recorded ends with the provider's acceptance
    if outcome.status not in ("ok", *FAILED):
        return outcome
    outcome.actual = verdict_of(row)
    if "groups" in row:
        outcome.same_members = {frozenset(partition) for partition in row["groups"]} == {
            frozenset(partition.operators) for partition in coverage.partitions
        }
    placed = {id: (device, said) for id, _, device, said in row["placement"]}
    for op in coverage.operators:
        if op.id not in placed and op.verdict is Verdict.FOLDED and row.get("accepted"):
            continue  # a provider is not asked about constants
        device, said = placed.get(op.id, ("unmapped", ""))
        actual = "rejected" if row["status"] != "ok" else ACTUAL.get(device)
        if op.verdict is Verdict.FOLDED and actual == "rejected":
            continue
        if op.verdict is Verdict.FOLDED and said.startswith(MERGED):
            actual = "folded"  # gone by either name
        if actual is None:
            outcome.unmapped += 1
            continue
        findings = [coverage.findings[index] for index in op.findings]
        counted = [item for item in findings if item.effect != "note"]
        accepted = row.get("accepted") and counted and all(item.code in DROPPED for item in counted)
        predicted = Verdict.ACCELERATED if accepted else op.verdict
        rules = ", ".join(dict.fromkeys(item.rule for item in findings))
        outcome.operators.append(
            Judged(name, op.id, op.type, predicted.value, actual, rules, said or row["reason"])
        )
    return outcome
