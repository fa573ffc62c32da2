"""What is asked of a runtime and what comes back; plain data that crosses the process border as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

STATUSES = ("ok", "refused", "crashed", "killed", "exhausted", "hung", "garbage", "missing", "failed")
"""How an ask can end.

``ok``: the runtime loaded the model (and ran it when outputs or latency were asked for).
``refused``: the runtime said no to the whole model, with its reason; no part of it runs.
``crashed``: the process died, by ``signal`` or with ``exit_code``.
``killed``: somebody else ended the worker (the system, a person) by ``signal``; that tells nothing about the
model or the runtime.
``exhausted``: killed because it passed the memory limit.  ``hung``: killed because it passed the time limit.
``garbage``: what came back is no answer.  ``missing``: a package, library or device is not there; ``advice``
brings it. ``failed``: the asking itself went wrong (an input file that does not fit the model, a defect of
the worker).
"""

DEVICES = ("accelerator", "cpu", "folded", "unmapped", "unknown")
"""Where an operator of the file ran.

``accelerator``: on the provider, delegate or compiler that was asked about.  ``cpu``: on the runtime's
fallback. ``folded``: constant, computed once when the model is loaded, so it never runs.  ``unmapped``: the
runtime ran something else in its place (fused, rewritten) and does not say where.  ``unknown``: the runtime
told nothing.
"""


MERGED = "merged into another node"
"""How the reason begins of an operator that optimization took away before providers were asked: what stands
for it ran on the device.
"""


@dataclass(frozen=True, slots=True)
class Placed:
    """One operator of the given file and where it ran. ``index`` is its position in its graph, ``graph``
    ``main`` or a body's path.
    """

    index: int
    name: str
    type: str
    device: str
    graph: str = "main"
    partition: int | None = None
    reason: str = ""

    @property
    def id(self) -> str:
        """The id that the readers give the operator: graph and index."""
        return f"{self.graph}/{self.index}"


@dataclass(frozen=True, slots=True)
class Latency:
    """Wall time of one inference in milliseconds over ``runs`` runs after ``warmup`` unmeasured ones, on
    ``threads`` threads.
    """

    median: float
    low: float
    high: float
    runs: int
    warmup: int
    threads: int

    @property
    def spread(self) -> float:
        """(highest - lowest) / median."""
        return (self.high - self.low) / self.median if self.median else 0.0


@dataclass(frozen=True, slots=True)
class Request:
    """One question about one model.

    Attributes:
        model: the file.
        inputs: an ``.npz`` with one array per input name (``runtimes.inputs`` makes one); needed for outputs
            and latency,
            unless ``options["seed"]`` lets the worker draw small random values itself.
        outputs: run the model and keep the outputs.
        placement: tell where each operator ran.
        latency_runs: number of timed runs; 0 for none.
        options: what only one runtime knows (``optimize``, ``soc_model``, ``threads``, ``keep`` for
            intermediate tensors, ...).
    """

    model: Path
    inputs: Path | None = None
    outputs: bool = False
    placement: bool = True
    latency_runs: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As the worker reads it; paths are made absolute."""
        return {
            "model": str(Path(self.model).absolute()),
            "inputs": None if self.inputs is None else str(Path(self.inputs).absolute()),
            "outputs": self.outputs,
            "placement": self.placement,
            "latency_runs": self.latency_runs,
            "options": dict(self.options),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Request:
        """The request that ``to_json`` described."""
        fields = dict(data)
        return cls(
            **{
                **fields,
                "model": Path(fields["model"]),
                "inputs": None if fields["inputs"] is None else Path(fields["inputs"]),
            }
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What a runtime said.

    Attributes:
        status: one of ``STATUSES``.
        runtime: name and version of the package that was asked, ``onnxruntime-qnn 2.7.0``.
        reason: for every status but ``ok``, the runtime's own words in short.
        advice: what to do about it, where there is something (a command).
        placement: one entry per operator of the file, in file order; empty when not asked or not told.
        partitions: number of pieces that the accelerator runs, None when not told.
        outputs: an ``.npz`` (read it with ``tensors()``); it lives as long as the session.
        signal, exit_code: how the process died.
        log: the tail of what the runtime printed.
        notes: what the runtime said besides (counts by its own words, options in effect).
    """

    status: str
    runtime: str = ""
    reason: str = ""
    advice: str = ""
    placement: tuple[Placed, ...] = ()
    partitions: int | None = None
    outputs: Path | None = None
    latency: Latency | None = None
    signal: str | None = None
    exit_code: int | None = None
    log: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """True when the runtime took the model."""
        return self.status == "ok"

    @property
    def counts(self) -> dict[str, int]:
        """Operators by device; only devices that occur."""
        found: dict[str, int] = {}
        for item in self.placement:
            found[item.device] = found.get(item.device, 0) + 1
        return found

    def tensors(self) -> dict[str, Any]:
        """The outputs by name, in the model's order. Empty when none were asked for."""
        from .tensors import read

        return {} if self.outputs is None else read(self.outputs)

    def to_json(self) -> dict[str, Any]:
        """As it crosses the pipe."""
        data = asdict(self)
        data["outputs"] = None if self.outputs is None else str(self.outputs)
        data["notes"] = dict(self.notes)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Answer:
        """The answer that ``to_json`` described. Raises KeyError, TypeError or ValueError for anything
        else.
        """
        fields = dict(data)
        if fields["status"] not in STATUSES:
            raise ValueError(f"unknown status {fields['status']!r}")
        fields["placement"] = tuple(Placed(**item) for item in fields.get("placement", ()))
        latency = fields.get("latency")
        fields["latency"] = None if latency is None else Latency(**latency)
        outputs = fields.get("outputs")
        fields["outputs"] = None if outputs is None else Path(outputs)
        return cls(**fields)
