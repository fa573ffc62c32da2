"""Where a configuration comes from: the nearest file, what it extends, and the origin of each value."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .fields import COSTS, GATES, IGNORED, TARGET, TOP, Field
from .gates import NAMES, Gates
from .ignored import Ignore, meant
from .problems import Problem, SettingsError

OWN, SHARED = "accelint.toml", "pyproject.toml"
_LARGEST = 1 << 20
_DEEPEST = 8
_PATHS = ("models", "pack", "baseline")
"""Values that are paths, from the folder of the file that says them."""


@dataclass
class Settings:
    """What holds for a call.

    Attributes:
        path: the configuration that was found; None where there is none.
        values: value by key of the file (``models``, ``targets`` and so on).
        gates: for every target; ``targets`` has those of single ones, by pattern, in order.
        ignores: findings that may stay.
        costs: constants of the cost model, by pattern of targets, in order.
        origins: the file that says each value, by key; a gate's key is ``gates.max-partitions``.
    """

    path: Path | None = None
    values: dict[str, Any] = field(default_factory=dict)
    gates: Gates = field(default_factory=Gates)
    targets: dict[str, tuple[Gates, tuple[str, ...]]] = field(default_factory=dict)
    ignores: list[Ignore] = field(default_factory=list)
    costs: dict[str, dict[str, Any]] = field(default_factory=dict)
    origins: dict[str, Path] = field(default_factory=dict)

    @property
    def pack(self) -> Path | None:
        """The user's own pack."""
        return Path(self.values["pack"]) if "pack" in self.values else None

    def gates_of(self, target: str) -> Gates:
        """The gates of one target: the later of two patterns that match it says more."""
        found = self.gates
        for pattern, (gates, _) in self.targets.items():
            if meant(target, pattern):
                found = gates.over(found)
        return found

    def selected(self, target: str) -> tuple[str, ...]:
        """Codes and rules that count on a target; empty for all."""
        found: tuple[str, ...] = self.values.get("select", ())
        for pattern, (_, select) in self.targets.items():
            if select and meant(target, pattern):
                found = select
        return found


def find(start: Path) -> Path | None:
    """The nearest configuration from a folder upwards: ``accelint.toml``, or a ``pyproject.toml`` that has
    the table ``[tool.accelint]``.
    """
    folder = start.absolute()
    steps = (start.joinpath(*[".."] * count) for count in range(len(folder.parts)))
    for place in steps:
        if (own := place / OWN).is_file():
            return own
        shared = place / SHARED
        if shared.is_file() and "accelint" in _tools(shared):
            return shared
    return None


def _tools(path: Path) -> Mapping[str, Any]:
    """The table ``[tool]`` of a pyproject; one that is no valid TOML is no business of ours unless it seems
    to speak to us.
    """
    try:
        data = path.read_bytes()
    except OSError:
        return {}
    if b"accelint" not in data:
        return {}
    tools = _parsed(path).get("tool", {})
    return tools if isinstance(tools, dict) else {}


def read(path: Path, text: str | None = None) -> Settings:
    """The configuration of a file, with what it extends; ``text`` is what an editor has not saved yet.

    Raises SettingsError that lists every problem, UsageError for a file that cannot be read.
    """
    settings = Settings(path)
    problems: list[Problem] = []
    for file, table in _chain(path, (), problems, text):
        _merge(settings, file, table, problems)
    if problems:
        told = "\n  ".join(map(str, problems))
        raise SettingsError(
            f"{path} has {len(problems)} problem{'s' * (len(problems) > 1)}:\n  {told}", problems
        )
    return settings


def _parsed(path: Path, text: str | None = None) -> dict[str, Any]:
    try:
        if text is not None:
            return tomllib.loads(text)
        if path.stat().st_size > _LARGEST:
            raise UsageError(f"{path} is larger than {_LARGEST >> 20} MB: it is no configuration")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(
            f"{path} is no valid TOML: {error}", [Problem(path, (), f" is no valid TOML: {error}")]
        ) from error


def _chain(
    path: Path, above: tuple[Path, ...], problems: list[Problem], text: str | None = None
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Each file with its table, what is extended before what extends it."""
    real = path.resolve()
    if real in above or len(above) >= _DEEPEST:
        what = "extends itself" if real in above else "is extended too deeply"
        raise SettingsError(f"{path} {what}", [Problem(path, ("extends",), f" {what}")])
    table: Any = _parsed(path, text)
    if path.name == SHARED:
        tools = table.get("tool")
        table = tools.get("accelint", {}) if isinstance(tools, dict) else {}
    if not isinstance(table, dict):
        problems.append(Problem(path, ("tool", "accelint"), " has to be a table"))
        return
    for base in _bases(path, table, problems):
        yield from _chain(base, (*above, real), problems)
    yield path, table


def _bases(path: Path, table: Mapping[str, Any], problems: list[Problem]) -> list[Path]:
    value = table.get("extends", [])
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return []  # told when the field is checked
    found = [path.parent / name for name in names]
    problems.extend(
        Problem(path, ("extends",), f": there is no file {base}") for base in found if not base.is_file()
    )
    return [base for base in found if base.is_file()]


def _merge(settings: Settings, file: Path, table: dict[str, Any], problems: list[Problem]) -> None:
    rest = dict(table)
    tables = {name: rest.pop(name, None) for name in ("gates", "target", "costs", "ignore")}
    for key, value in _checked(TOP, rest, Problem(file), problems).items():
        settings.values[key] = _placed(file, value) if key in _PATHS else value
        settings.origins[key] = file
    here = Problem(file, ("gates",))
    gates = _checked(GATES, _as_table(tables["gates"], here, problems), here, problems)
    settings.gates = _gates(gates).over(settings.gates)
    settings.origins.update({f"gates.{key}": file for key in gates})
    targets = _as_table(tables["target"], Problem(file, ("target",)), problems)
    for pattern, value in targets.items():
        here = Problem(file, ("target", pattern))
        found = _checked(TARGET, _as_table(value, here, problems), here, problems)
        before, select = settings.targets.pop(pattern, (Gates(), ()))
        settings.targets[pattern] = (_gates(found).over(before), found.get("select", select))
        settings.origins.update({f"target.{pattern}.{key}": file for key in found})
    for pattern, value in _as_table(tables["costs"], Problem(file, ("costs",)), problems).items():
        here = Problem(file, ("costs", pattern))
        found = _checked(COSTS, _as_table(value, here, problems), here, problems)
        settings.costs[pattern] = {**settings.costs.pop(pattern, {}), **found}
        settings.origins.update({f"costs.{pattern}.{key}": file for key in found})
    _ignores(settings, file, tables["ignore"], problems)


def _placed(file: Path, value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(str(file.parent / item) for item in value)
    return str(file.parent / value)


def _gates(found: Mapping[str, Any]) -> Gates:
    return Gates(**{name: found.get(name.replace("_", "-")) for name in NAMES})


def _as_table(value: Any, here: Problem, problems: list[Problem]) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        problems.append(here.saying(" has to be a table"))
        return {}
    return value


def _checked(
    fields: Sequence[Field], table: Mapping[str, Any], here: Problem, problems: list[Problem]
) -> dict[str, Any]:
    """The good values of a table; each other one is a problem, with the nearest known key."""
    known = {item.name: item for item in fields}
    good: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            problems.append(here.at(key).saying(f": unknown key{_nearest(key, list(known))}"))
            continue
        try:
            good[key] = known[key].kind.check(value)
        except ValueError as error:
            problems.append(here.at(key).saying(f" {error}"))
    problems.extend(
        here.at(item.name).saying(" is missing")
        for item in fields
        if item.required and item.name not in table
    )
    return good


def _nearest(key: str, known: list[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(key, known, 1)
    return f"; is {near[0]} meant?" if near else f" (known: {', '.join(known)})"


def _ignores(settings: Settings, file: Path, value: Any, problems: list[Problem]) -> None:
    if value is None:
        return
    if not isinstance(value, list):
        problems.append(Problem(file, ("ignore",), " has to be a list of tables: [[ignore]]"))
        return
    for index, item in enumerate(value):
        here = Problem(file, ("ignore", index))
        found = _checked(IGNORED, _as_table(item, here, problems), here, problems)
        if not {"code", "rule", "fingerprint"} & found.keys():
            problems.append(here.saying(": one of code, rule and fingerprint is needed"))
            continue
        settings.ignores.append(Ignore(origin=f"{file}, ignore[{index}]", folder=file.parent, **found))
