"""How far two runs of "the same" model agree, and whether that is as promised.

A tolerance belongs to a promise and a precision. It is a bound per element, ``|other - reference| <= absolute
+ relative * |reference|`` with ``absolute`` scaled by the reference output's own magnitude, plus a bound on
the signal-to-noise ratio of the whole output: a single wrong element fails the first, a systematic drift the
second.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...rewrites.promise import Promise
from ..errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ..ir.graph import Graph, Tensor

PROMISES = tuple(item.value for item in Promise)
PRECISIONS = ("fp32", "fp16", "int8")
"""In which the less exact of the two runs computed."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Bounds that an output must keep.

    Attributes:
        relative: of an element, relative to the reference element.
        absolute: of an element, relative to the largest magnitude in the reference output (cancellation makes
        small elements inexact).
        sqnr: lowest signal-to-noise ratio of an output in dB.
        ulp: largest distance in units in the last place; only for outputs of one dtype. 0 means bit for bit.
        integers: largest difference of an 8- or 16-bit integer element (a quantized output, in steps); wider
            integers are
            indices, classes and counts, and must be equal.
        top1: lowest share of rows whose best class agrees; a best class that is ahead by less than the
        tolerance is a tie.
    """

    relative: float
    absolute: float
    sqnr: float = 0.0
    ulp: int | None = None
    integers: int = 0
    top1: float = 0.0
    spread: float = 0.0
    """Largest difference between two sets of the reference's own kernels, absolute: twice as much is allowed
    on top.
    """


TOLERANCES: Mapping[tuple[str, str], Tolerance] = {
    # The same bits, whatever the precision: both runs compute the same operations on the same kernels.
    ("bit-exact", "fp32"): Tolerance(0.0, 0.0, float("inf"), ulp=0, top1=1.0),
    # float32 has 24 bits (6e-8). Reordered sums over n terms differ by about sqrt(n) units: 1e-4 relative and
    # 1e-5 of the largest value cover n to about 10^5; ONNX's own backend suite uses rtol 1e-3, atol 1e-7 per
    # operator. 80 dB: four digits.
    ("rounding", "fp32"): Tolerance(1e-4, 1e-5, 80.0, integers=1, top1=1.0),
    # A different formula (tanh for erf GELU, a fitted polynomial): three digits.
    ("approximate", "fp32"): Tolerance(1e-2, 1e-3, 50.0, integers=2, top1=0.99),
    # float16 has 11 bits (4.9e-4) and so one layer loses about 5e-4; tens of layers lose 1e-2. 40 dB is two
    # digits.
    ("rounding", "fp16"): Tolerance(2e-2, 1e-2, 40.0, integers=2, top1=0.99),
    ("approximate", "fp16"): Tolerance(5e-2, 2e-2, 30.0, integers=4, top1=0.98),
    # 8 bits over the whole range: half a step is 1/510 of the range, a few layers add up; an element may be
    # one or two steps off.
    ("rounding", "int8"): Tolerance(5e-2, 2e-2, 30.0, integers=2, top1=0.98),
    ("approximate", "int8"): Tolerance(1e-1, 5e-2, 20.0, integers=4, top1=0.95),
}


def tolerance(promise: str, precision: str = "fp32", **changes: float | int | None) -> Tolerance:
    """The bounds of a promise at a precision, with the user's own in place of some. Raises UsageError for
    unknown words.
    """
    if promise not in PROMISES or precision not in PRECISIONS:
        raise UsageError(
            f"no tolerance for {promise!r} at {precision!r}: promises are "
            f"{', '.join(PROMISES)}, precisions {', '.join(PRECISIONS)}"
        )
    base = "rounding" if promise == "contract" else promise
    found = TOLERANCES.get((base, precision)) or TOLERANCES[base, "fp32"]
    unknown = sorted(set(changes) - set(asdict(found)))
    if unknown:
        raise UsageError(f"no bound is called {', '.join(unknown)}: one of {', '.join(asdict(found))}")
    return replace(found, **changes) if changes else found  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Difference:
    """One output of two runs, measured. Figures that do not apply are None.

    Attributes:
        max_abs, max_rel: over elements that are finite in both; relative to the reference where it is not 0.
        ulp: largest distance in units in the last place, for float16 and float32 outputs of the same dtype.
        cosine: of the two outputs as vectors.  sqnr: 10 log10(signal / noise) in dB, infinite when equal.
        nan, inf: (reference, other) counts; positions that differ are in ``nonfinite_moved``.
        top1, top5: share of rows (last axis) whose best class, or set of five best, agrees; for float outputs
        with 5 classes or more.
        confidence: largest change of the reference's best score.
        problems: what breaks the tolerance or the interface, in words; empty when the output agrees.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    max_abs: float | None = None
    max_rel: float | None = None
    ulp: int | None = None
    cosine: float | None = None
    sqnr: float | None = None
    nan: tuple[int, int] = (0, 0)
    inf: tuple[int, int] = (0, 0)
    nonfinite_moved: int = 0
    top1: float | None = None
    top5: float | None = None
    confidence: float | None = None
    problems: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """True when nothing is wrong with this output."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class Parity:
    """Two runs compared: ``contract`` lists changes of the interface, ``outputs`` one difference per output
    of the reference.
    """

    promise: str
    precision: str
    tolerance: Tolerance
    outputs: tuple[Difference, ...] = ()
    contract: tuple[str, ...] = ()
    contract_allowed: bool = False
    notes: tuple[str, ...] = field(default=())

    @property
    def agrees(self) -> bool:
        """True when every output keeps the tolerance and the interface is as it was (or a change was
        promised).
        """
        compared = bool(self.outputs) and all(item.agrees for item in self.outputs)
        return compared and (not self.contract or self.contract_allowed)

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that is wrong, in words."""
        found = [f"{item.name}: {problem}" for item in self.outputs for problem in item.problems]
        interface = [] if self.contract_allowed else [f"interface: {item}" for item in self.contract]
        return (*interface, *found, *(() if self.outputs else ("no output was compared",)))

    def to_json(self) -> dict[str, Any]:
        """For the report; infinite figures as the string ``inf``."""
        data = asdict(self) | {"agrees": self.agrees, "problems": list(self.problems)}
        clean = _finite(data)
        assert isinstance(clean, dict)
        return clean


def input_changes(reference: Graph, other: Graph) -> tuple[str, ...]:
    """What changed in the inputs from one model to the other, in words: names, order, dtypes and shapes.

    A size that one of them leaves open changes nothing: each takes what the other takes there.
    """
    mine, theirs = fed(reference), fed(other)
    pairs, changes = _paired(list(mine), list(theirs), {}, "input")
    for left, right in pairs:
        changes += _input_changes(left, mine[left], theirs[right])
    return tuple(changes)


def fed(graph: Graph) -> dict[str, Tensor]:
    """The inputs that a run must give: those without a value in the file."""
    found = {name: graph.tensor(name) for name in graph.inputs}
    return {name: tensor for name, tensor in found.items() if tensor.const is None}


def _input_changes(name: str, mine: Tensor, theirs: Tensor) -> list[str]:
    changes = []
    if mine.dtype != theirs.dtype:
        changes.append(f"input {name!r} changed from {mine.dtype} to {theirs.dtype}")
    if mine.shape is None or theirs.shape is None:
        return changes
    fixed = [
        (left, right)
        for left, right in zip(mine.shape, theirs.shape, strict=False)
        if isinstance(left, int) and isinstance(right, int)
    ]
    if len(mine.shape) != len(theirs.shape) or any(left != right for left, right in fixed):
        changes.append(f"input {name!r} changed from shape {_sizes(mine)} to {_sizes(theirs)}")
    return changes


def _sizes(tensor: Tensor) -> str:
    return "x".join("?" if dim is None else str(dim) for dim in tensor.shape or ()) or "scalar"


def compare(
    reference: Mapping[str, NDArray[Any]],
    other: Mapping[str, NDArray[Any]],
    promise: str = "rounding",
    precision: str = "fp32",
    *,
    bounds: Tolerance | None = None,
    rename: Mapping[str, str] | None = None,
    spread: Mapping[str, float] | None = None,
) -> Parity:
    """Compare two runs output by output.

    Args:
        reference: outputs by name in the model's order, as the unmodified model gives them.
        other: the same of the other run.
        promise: one of ``PROMISES``.
        precision: one of ``PRECISIONS``.
        bounds: the user's tolerance in place of the promise's.
        rename: other name by reference name, where the interface was renamed on purpose.
        spread: by output, what the reference's own kernels differ by (``Tolerance.spread``).

    Outputs are paired by name; where names changed, by position when the number of outputs is the same. A
    changed name, order, dtype or shape is a contract change: an error unless the promise is ``contract``.
    """
    limits = bounds or tolerance(promise, precision)
    pairs, contract = _paired(list(reference), list(other), dict(rename or {}), "output")
    allowed = promise == "contract"
    differences = []
    for mine, theirs in pairs:
        left, right = np.asarray(reference[mine]), np.asarray(other[theirs])
        contract += _interface(mine, left, right)
        own = replace(limits, spread=(spread or {}).get(mine, limits.spread))
        differences.append(_difference(mine, left, right, own, reshape=allowed))
    return Parity(promise, precision, limits, tuple(differences), tuple(contract), allowed)


def _paired(
    mine: list[str], theirs: list[str], rename: dict[str, str], side: str
) -> tuple[list[tuple[str, str]], list[str]]:
    wanted = [rename.get(name, name) for name in mine]
    contract = []
    if set(wanted) == set(theirs):
        if wanted != theirs:
            contract.append(f"the order of {side}s changed from {', '.join(wanted)} to {', '.join(theirs)}")
        return list(zip(mine, wanted, strict=True)), contract
    if len(mine) == len(theirs):
        pairs = list(zip(mine, theirs, strict=True))
        return pairs, [
            f"{side} {left!r} is now called {right!r}"
            for left, right in pairs
            if rename.get(left, left) != right
        ]
    missing = [name for name in wanted if name not in theirs]
    added = [name for name in theirs if name not in wanted]
    contract += [f"{side} {name!r} is gone" for name in missing] + [
        f"{side} {name!r} is new" for name in added
    ]
    return [(left, right) for left, right in zip(mine, wanted, strict=True) if right in theirs], contract


def _interface(name: str, left: NDArray[Any], right: NDArray[Any]) -> list[str]:
    changes = []
    if left.dtype != right.dtype and not {left.dtype.kind, right.dtype.kind} <= {"U", "S", "O"}:
        changes.append(f"output {name!r} changed from {left.dtype} to {right.dtype}")
    if left.shape != right.shape:
        changes.append(f"output {name!r} changed from shape {left.shape} to {right.shape}")
    return changes


def _difference(
    name: str, left: NDArray[Any], right: NDArray[Any], limits: Tolerance, *, reshape: bool
) -> Difference:
    base = Difference(name, tuple(left.shape), str(left.dtype))
    if left.shape != right.shape:
        if not reshape or left.size != right.size:
            return replace(base, problems=(f"shape {right.shape} instead of {left.shape}",))
        right = right.reshape(left.shape)
    if left.dtype.kind in "USO" or right.dtype.kind in "USO":
        wrong = int(np.sum(left.astype(str) != right.astype(str)))
        return replace(base, problems=(f"{wrong} of {left.size} strings differ",) if wrong else ())
    if left.size == 0:
        return replace(base, max_abs=0.0, max_rel=0.0, sqnr=float("inf"))
    measured = _measure(base, left, right, limits)
    return replace(measured, problems=tuple(_problems(measured, left, right, limits)))


def _measure(base: Difference, left: NDArray[Any], right: NDArray[Any], limits: Tolerance) -> Difference:
    a, b = _wide(left), _wide(right)
    both = np.isfinite(a) & np.isfinite(b)
    moved = int(np.sum(~both & ~_same_nonfinite(a, b)))
    x, y = a[both], b[both]
    error = np.abs(y - x)
    size = np.abs(x)
    relative = error[size > 0] / size[size > 0]
    top1, top5, confidence = _classes(left, right, limits)
    return replace(
        base,
        max_abs=float(error.max(initial=0.0)),
        max_rel=float(relative.max(initial=0.0)),
        ulp=ulp_distance(left, right),
        cosine=_cosine(x, y),
        sqnr=_sqnr(x, y),
        nan=(int(np.isnan(a).sum()), int(np.isnan(b).sum())),
        inf=(int(np.isinf(a).sum()), int(np.isinf(b).sum())),
        nonfinite_moved=moved,
        top1=top1,
        top5=top5,
        confidence=confidence,
    )


def _problems(found: Difference, left: NDArray[Any], right: NDArray[Any], limits: Tolerance) -> list[str]:
    problems = []
    if found.nonfinite_moved:
        counts = f"NaN {found.nan[0]} -> {found.nan[1]}, infinite {found.inf[0]} -> {found.inf[1]}"
        problems.append(f"{found.nonfinite_moved} NaN or infinite elements differ ({counts})")
    if limits.ulp is not None and (found.ulp is None or found.ulp > limits.ulp):
        wrong = int(np.sum(left != right)) if found.ulp is None else found.ulp
        if found.ulp is not None or wrong:
            problems.append(
                f"{wrong} "
                f"{'elements differ' if found.ulp is None else 'units in the last place'}, "
                f"{limits.ulp} allowed"
            )
    if left.dtype.kind in "iub":
        return problems + _integer_problems(left, right, limits)
    worst = _beyond(left, right, limits)
    if worst is not None:
        problems.append(worst)
    wanted = limits.sqnr
    if limits.spread and wanted != float("inf"):
        wanted = min(wanted, _sqnr(_wide(left), _wide(left) + 2 * limits.spread))
    if found.sqnr is not None and found.sqnr < wanted and wanted != float("inf"):
        problems.append(f"signal-to-noise ratio {found.sqnr:.1f} dB, at least {wanted:.3g} wanted")
    if found.top1 is not None and found.top1 < limits.top1:
        problems.append(f"best class agrees in {found.top1:.1%} of rows, at least {limits.top1:.0%} wanted")
    return problems


def _integer_problems(left: NDArray[Any], right: NDArray[Any], limits: Tolerance) -> list[str]:
    allowed = limits.integers if left.dtype.kind in "iu" and left.dtype.itemsize <= 2 else 0
    allowed = max(allowed, int(2 * limits.spread))
    error = np.abs(_wide(right) - _wide(left))
    wrong = int(np.sum(error > allowed))
    return (
        [f"{wrong} of {left.size} elements differ by more than {allowed}, the largest by {error.max():g}"]
        if wrong
        else []
    )


def _beyond(left: NDArray[Any], right: NDArray[Any], limits: Tolerance) -> str | None:
    a, b = _wide(left), _wide(right)
    both = np.isfinite(a) & np.isfinite(b)
    a, b = np.where(both, a, 0), np.where(both, b, 0)
    error = np.abs(b - a)
    allowed = limits.absolute * float(np.abs(a).max(initial=0.0)) + limits.relative * np.abs(a)
    allowed = allowed + 2 * limits.spread
    wrong = error > allowed
    count = int(wrong.sum())
    if not count:
        return None
    place = (
        np.unravel_index(int(np.argmax(np.where(wrong, error - allowed, -1.0))), a.shape) if a.ndim else ()
    )
    where = f"at {tuple(int(item) for item in place)} " if place else ""
    return (
        f"{count} of {a.size} elements are off, the worst {where}is {b[place]:.6g} instead of {a[place]:.6g}"
    )


def ulp_distance(left: NDArray[Any], right: NDArray[Any]) -> int | None:
    """Largest distance in units in the last place between two float arrays of one dtype; None for other
    arrays.

    Equal NaNs and equal infinities are 0 apart, +0 and -0 too. Elements that are finite in only one of the
    two are not counted.
    """
    kinds = {"float16": (np.int16, 15), "float32": (np.int32, 31), "float64": (np.int64, 63)}
    if left.dtype != right.dtype or left.dtype.name not in kinds or left.shape != right.shape:
        return None
    kind, bits = kinds[left.dtype.name]
    both = np.isfinite(left) & np.isfinite(right)
    ordered = []
    for array in (left, right):
        raw = np.ascontiguousarray(array[both]).view(kind).astype(object if bits == 63 else np.int64)
        ordered.append(np.where(raw < 0, -(raw + (1 << bits)), raw))
    distance = np.abs(ordered[0] - ordered[1])
    return int(distance.max()) if distance.size else 0


def _wide(array: NDArray[Any]) -> NDArray[Any]:
    """As float64, complex numbers as pairs."""
    if array.dtype.kind == "c":
        return np.stack([array.real, array.imag], -1).astype(np.float64)
    return array.astype(np.float64)


def _same_nonfinite(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    same: NDArray[Any] = (np.isnan(a) & np.isnan(b)) | (np.isinf(a) & (a == b))
    return same


def _cosine(x: NDArray[Any], y: NDArray[Any]) -> float | None:
    norms = float(np.linalg.norm(x)) * float(np.linalg.norm(y))
    if norms == 0.0:
        return 1.0 if np.array_equal(x, y) else 0.0
    return float(np.dot(x, y) / norms)


def _sqnr(x: NDArray[Any], y: NDArray[Any]) -> float:
    noise, signal = float(np.sum((y - x) ** 2)), float(np.sum(x**2))
    if noise == 0.0:
        return float("inf")
    return float("-inf") if signal == 0.0 else float(10 * np.log10(signal / noise))


def _classes(
    left: NDArray[Any], right: NDArray[Any], limits: Tolerance
) -> tuple[float | None, float | None, float | None]:
    """Agreement of the best and the five best along the last axis, and the largest change of the best score.

    Where the best class is ahead by no more than both scores may differ, it is a tie and either winner
    agrees.
    """
    if (
        left.dtype.kind != "f"
        or left.ndim == 0
        or left.ndim > 2
        or left.shape[-1] < 5
        or not np.isfinite(_wide(left)).all()
    ):
        return None, None, None
    a, b = _wide(left).reshape(-1, left.shape[-1]), np.nan_to_num(_wide(right)).reshape(-1, left.shape[-1])
    rows = np.arange(len(a))
    best, found = a.argmax(1), b.argmax(1)
    slack = 2 * (limits.absolute * np.abs(a).max(1) + limits.relative * np.abs(a[rows, best]))
    slack = slack + 4 * limits.spread
    same = (best == found) | (a[rows, best] - a[rows, found] <= slack)
    five = [
        set(np.argsort(-x, kind="stable")[:5]) == set(np.argsort(-y, kind="stable")[:5])
        for x, y in zip(a, b, strict=True)
    ]
    return float(same.mean()), float(np.mean(five)), float(np.abs(a[rows, best] - b[rows, best]).max())


def first_divergence(
    reference: Mapping[str, NDArray[Any]],
    other: Mapping[str, NDArray[Any]],
    order: Sequence[str],
    promise: str = "rounding",
    precision: str = "fp32",
) -> Difference | None:
    """The first tensor, in the order of execution, in which two runs disagree; None when all that both have
    agree.

    Args:
        reference, other: intermediate tensors by name.
        order: tensor names in the order in which the model computes them.
    """
    limits = tolerance(promise, precision)
    for name in order:
        if name in reference and name in other:
            found = _difference(
                name, np.asarray(reference[name]), np.asarray(other[name]), limits, reshape=False
            )
            if not found.agrees:
                return found
    return None


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value
