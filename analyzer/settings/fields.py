"""The fields of a configuration: one table, from which values are checked and the JSON Schema is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

Check = Callable[[Any], Any]
"""A value as it is used, from what the file says. Raises ValueError with what is wrong."""


@dataclass(frozen=True)
class Kind:
    """What a value may be."""

    check: Check
    schema: Mapping[str, Any]


@dataclass(frozen=True)
class Field:
    """One key of a table."""

    name: str
    kind: Kind
    about: str
    required: bool = False


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("has to be text")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (_text(value),)
    if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
        raise ValueError("has to be text or a list of texts")
    return tuple(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("has to be a whole number from 0 on")
    return value


def _positive(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ValueError("has to be a number above 0")
    return float(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("has to be true or false")
    return value


def _share(value: Any) -> float:
    if isinstance(value, str):
        return share(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(_SHARES)
    return share(str(value))


_SHARES = "has to be a share: 95, 0.95 or '95%'"
_SHARE_TEXT = r"^([0-9]|[1-9][0-9]|100)(\.[0-9]+)?%?$"


def share(text: str) -> float:
    """``95%``, ``95`` or ``0.95`` as 0.95: above 1 it counts in percent. Raises ValueError on others."""
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        raise ValueError(_SHARES) from None
    if text.endswith("%") or value > 1:
        value /= 100
    if not 0 <= value <= 1:
        raise ValueError(_SHARES)
    return value


def _day(value: Any) -> date:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValueError("has to be a day like 2027-01-31") from None
    if type(value) is not date:
        raise ValueError("has to be a day like 2027-01-31")
    return value


def _sizes(value: Any) -> dict[str, int]:
    good = isinstance(value, dict) and all(type(size) is int and size > 0 for size in value.values())
    if not good:
        raise ValueError("has to be a table of names and sizes, like {batch = 1}")
    return dict(value)


def _choice(*names: str) -> Kind:
    def check(value: Any) -> str:
        if value not in names:
            raise ValueError(f"has to be one of {', '.join(names)}")
        return str(value)

    return Kind(check, {"enum": list(names)})


TEXT = Kind(_text, {"type": "string", "pattern": r"\S"})
TEXTS = Kind(_texts, {"oneOf": [TEXT.schema, {"type": "array", "items": TEXT.schema}]})
POSITIVE = Kind(_positive, {"type": "number", "exclusiveMinimum": 0})
COUNT = Kind(_count, {"type": "integer", "minimum": 0})
FLAG = Kind(_flag, {"type": "boolean"})
SHARE = Kind(
    _share,
    {"oneOf": [{"type": "number", "minimum": 0, "maximum": 100}, {"type": "string", "pattern": _SHARE_TEXT}]},
)
DAY = Kind(_day, {"type": "string", "format": "date", "pattern": r"^\d{4}-\d{2}-\d{2}$"})
SIZES = Kind(_sizes, {"type": "object", "additionalProperties": {"type": "integer", "exclusiveMinimum": 0}})

GATES = (
    Field("min-coverage", SHARE, "at least this share accelerated: 95, 0.95 or '95%'"),
    Field("by", _choice("ops", "macs"), "what min-coverage counts: ops (the default) or macs"),
    Field("max-partitions", COUNT, "at most this many partitions"),
    Field("max-boundary-bytes", COUNT, "at most this many bytes across the boundaries of partitions"),
    Field("require-full", FLAG, "every operator accelerated"),
    Field(
        "fail-on",
        _choice("error", "warning", "note", "never"),
        "severity from which on findings fail the check",
    ),
)
"""What a model has to keep on a target."""

IGNORED = (
    Field("code", TEXT, "findings of this code, or of codes that start so: ACL305, ACL3"),
    Field("rule", TEXT, "findings of this rule; a pattern with * and ?"),
    Field("operator", TEXT, "only at operators of this id, name or type; a pattern"),
    Field("model", TEXT, "only in models of this path, from the configuration's folder on; a pattern"),
    Field("target", TEXT, "only on targets of this name; a pattern"),
    Field("fingerprint", TEXT, "the one finding of this fingerprint"),
    Field("reason", TEXT, "why it may stay", required=True),
    Field("until", DAY, "the last day on which it is ignored"),
)
"""One entry of ``[[ignore]]``: findings that are known and may stay."""

TARGET = (
    *GATES,
    Field("select", TEXTS, "only findings of these codes and rules count"),
)
"""One table ``[target."NAME"]``; NAME may be a pattern."""

COSTS = (
    Field("rate", POSITIVE, "10^9 multiply-accumulates a second on the accelerator"),
    Field("bandwidth", POSITIVE, "10^9 bytes a second across the boundary of a partition"),
    Field("overhead", POSITIVE, "microseconds that a partition costs before it computes"),
    Field("cpu-rate", POSITIVE, "10^9 multiply-accumulates a second on the CPU"),
    Field("basis", TEXT, "where they come from; reports say it"),
)
"""One table ``[costs."NAME"]``; NAME may be a pattern. What it does not name stays an assumption."""

TOP = (
    Field("extends", TEXTS, "configurations whose values hold where this one says nothing"),
    Field("models", TEXTS, "files, folders and patterns of models, from this file's folder on"),
    Field("targets", TEXTS, "targets, families and known names"),
    Field("optimize", _choice("default", "off"), "ONNX Runtime's optimization level"),
    Field(
        "sizes",
        SIZES,
        "sizes that verify gives to dynamic dimensions, by their names, where --size is not given",
    ),
    Field("pack", TEXT, "a pack of your own"),
    Field("baseline", TEXT, "the file of findings that are known (accelint baseline write)"),
    Field("select", TEXTS, "only findings of these codes and rules count; a code's beginning, or a pattern"),
    Field("preview", FLAG, "rules in preview count as well"),
)
"""Keys of the file itself; beside them are the tables ``gates``, ``target``, ``costs`` and ``ignore``."""


def schema() -> dict[str, Any]:
    """The JSON Schema of a configuration, for editors."""
    target = _table(TARGET)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "accelint/config/1",
        "title": "accelint configuration",
        "description": "accelint.toml, or the table [tool.accelint] of pyproject.toml.",
        **_table(
            TOP,
            gates={**_table(GATES), "description": "what every model has to keep on every target"},
            target={
                "type": "object",
                "description": "by target, patterns allowed: gates that take the place of [gates]",
                "additionalProperties": target,
            },
            costs={
                "type": "object",
                "description": "by target, patterns allowed: constants of the cost model (--worth)",
                "additionalProperties": _table(COSTS),
            },
            ignore={
                "type": "array",
                "description": "findings that are known and may stay",
                "items": {
                    **_table(IGNORED),
                    "anyOf": [{"required": [name]} for name in ("code", "rule", "fingerprint")],
                },
            },
        ),
    }


def _table(fields: tuple[Field, ...], **more: Any) -> dict[str, Any]:
    required = [field.name for field in fields if field.required]
    return {
        "type": "object",
        "properties": {
            **{field.name: {**field.kind.schema, "description": field.about} for field in fields},
            **more,
        },
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }
