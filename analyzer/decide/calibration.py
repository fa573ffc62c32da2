"""Constants of the cost model from a measurement, as a configuration that another one extends."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..files import atomic
from .cost import calibrated, constants_of, estimate

if TYPE_CHECKING:
    from ..check.coverage import Coverage

HEAD = "# Written by accelint verify --calibrate; have it in accelint.toml by: extends = "
Costs = Mapping[str, Mapping[str, Any]]


def known(path: Path) -> Costs:
    """The tables that a calibration may add to: those of a file that one wrote, none where there is no file.

    Raises UsageError for a file that is something else.
    """
    if not path.exists():
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        if text.startswith(HEAD):
            costs = tomllib.loads(text).get("costs")
            if isinstance(costs, dict) and all(isinstance(item, dict) for item in costs.values()):
                return costs
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        pass
    raise UsageError(f"{path} was not written by --calibrate: give another path, and extend it from there")


def measured(coverage: Coverage, seconds: float, basis: str, before: Costs) -> Costs:
    """The tables with what one time says of a target; a CPU tells its rate to all targets of its runtime.

    Raises UsageError where the model of time has no estimate for it.
    """
    constants = constants_of(coverage.target, before)
    found = calibrated(coverage, constants, seconds)
    if found is None:
        why = estimate(coverage, constants).why
        if coverage.purpose == "runs":
            why = "the multiply-accumulates of an operator are not known, or none has any"
        raise UsageError(f"--calibrate: {coverage.target} has no estimate to compare with: {why}")
    name = f"{coverage.target.partition('/')[0]}/*" if coverage.purpose == "runs" else coverage.target
    rounded = {key: float(f"{value:.4g}") for key, value in found.items()}
    general = {name: {**rounded, "basis": basis}} if name.endswith("*") else {}
    single = {} if general else {name: {**rounded, "basis": basis}}
    rest = {key: value for key, value in before.items() if key != name}
    return {**general, **rest, **single}


def write(path: Path, costs: Costs) -> None:
    """Write the tables, atomically."""
    lines = [f"{HEAD}{json.dumps(path.name)}"]
    for name, values in costs.items():
        lines += ["", f"[costs.{_text(name)}]"]
        lines += [f"{key} = {_text(value)}" for key, value in values.items()]
    with atomic(path) as draft:
        draft.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _text(value: Any) -> str:
    """As TOML has it: JSON, but for characters of more than 16 bits."""
    if isinstance(value, str):
        return json.dumps(value.encode("ascii", "backslashreplace").decode("ascii"))
    return json.dumps(value)
