"""The contract as values, and as JSON (``accelint schema contract``)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import UsageError

SCHEMA = "accelint/contract/1"
LARGEST = 4 << 20
"""Bytes of a contract."""

Dim = int | str | None
TAGS = (
    "image", "audio", "text", "token-ids", "mask", "lengths", "sample-rate", "state", "embedding", "logits",
    "probabilities", "scores", "boxes", "classes", "count", "heatmap", "feature",
)  # fmt: skip
"""What a value means, in words that tools agree on."""
LAYOUTS = ("NCHW", "NHWC", "NCDHW", "NDHWC", "NCL", "NLC", "CHW", "HWC")
COLOURS = ("RGB", "BGR", "GRAY", "RGBA", "BGRA")


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How an application makes a value before it feeds it.

    Attributes:
        layout: of images and sequences, from batch to the last axis.
        colour: order of the channels.
        size: height and width in pixels.
        scale, bias: ``stored = scale * pixel + bias``, by channel or one for all.
        mean, std: ``stored = (pixel - mean) / std``, by channel or one for all.
        sample_rate: of sound, in Hz.
    """

    layout: str = ""
    colour: str = ""
    size: tuple[int, int] | None = None
    scale: tuple[float, ...] = ()
    bias: tuple[float, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    sample_rate: int | None = None


@dataclass(frozen=True, slots=True)
class Port:
    """An input, output or state.

    Attributes:
        shape: sizes, names of symbolic ones, None for what is open; None for an open rank.
        range: least and greatest value.
        text, tags: what it means.
        labels: what the elements or values stand for, the first ones; ``label_count`` of them in all.
        scale, zero_point, axis: quantization, ``real = scale * (stored - zero_point)``.
    """

    name: str
    dtype: str
    shape: tuple[Dim, ...] | None
    range: tuple[float, float] | None = None
    text: str = ""
    tags: tuple[str, ...] = ()
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    labels: tuple[str, ...] = ()
    label_count: int = 0
    scale: tuple[float, ...] = ()
    zero_point: tuple[int, ...] = ()
    axis: int | None = None


@dataclass(frozen=True, slots=True)
class Contract:
    """What a model promises to those who load it; ``opsets`` is what the runtime has to know."""

    format: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    states: tuple[Port, ...] = ()
    text: str = ""
    opsets: Mapping[str, int] = field(default_factory=dict)


_LIST = re.compile(r"\[\n[^][{}\"]*\]")
"""A list of numbers over several lines; no JSON text has a line break."""
SIDES = ("inputs", "outputs", "states")


# ---- to JSON ---------------------------------------------------------------------------------


def document(contract: Contract) -> dict[str, Any]:
    """The contract as JSON values; what is not known is left out."""
    rows: dict[str, Any] = {"schema": SCHEMA, "format": contract.format}
    if contract.text:
        rows["meaning"] = {"text": contract.text}
    if contract.opsets:
        rows["opsets"] = dict(contract.opsets)
    for side in SIDES:
        rows[side] = [_row(port) for port in getattr(contract, side)]
    return rows


def text(contract: Contract) -> str:
    """The contract as a JSON file."""
    rows = json.dumps(document(contract), indent=1, ensure_ascii=False)
    return (
        _LIST.sub(lambda found: re.sub(r"\n\s*", " ", found[0]).replace("[ ", "[").replace(" ]", "]"), rows)
        + "\n"
    )


def _row(port: Port) -> dict[str, Any]:
    row: dict[str, Any] = {"name": port.name, "dtype": port.dtype, "shape": _plain(port.shape)}
    if port.range is not None:
        row["range"] = list(port.range)
    meaning = {"text": port.text, "tags": list(port.tags)}
    tables = {
        "meaning": meaning,
        "preprocessing": {
            name: _plain(getattr(port.preprocessing, name)) for name in Preprocessing.__slots__
        },
        "labels": {"count": port.label_count, "first": list(port.labels)},
        "quantization": {"scale": list(port.scale), "zero_point": list(port.zero_point), "axis": port.axis},
    }
    for name, table in tables.items():
        known = {
            key: value for key, value in table.items() if value not in ("", None, [], 0) or key == "axis"
        }
        if known.keys() - {"axis"}:
            row[name] = {key: value for key, value in known.items() if value is not None}
    return row


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


# ---- from JSON -------------------------------------------------------------------------------


def read(path: Path) -> Contract:
    """A stored contract. Raises UsageError, which names the file and the place in it."""
    try:
        if path.stat().st_size > LARGEST:
            raise UsageError(f"{path} is larger than {LARGEST >> 20} MB: it is no contract")
        return parse(path.read_bytes(), str(path))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def parse(data: bytes | str, where: str) -> Contract:
    """A contract from JSON. Raises UsageError, which names ``where`` and the place in it."""
    try:
        rows = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where} is no JSON: {error}") from error
    return _Reader(where).contract(rows)


class _Reader:
    """Typed fields out of JSON values; each wrong one is named by its place."""

    def __init__(self, where: str) -> None:
        self.where = where

    def fail(self, place: str, what: str) -> UsageError:
        return UsageError(f"{self.where}: {place} {what} (see 'accelint schema contract')")

    def contract(self, rows: Any) -> Contract:
        row = self.row(rows, "the contract", {"schema", "format", "meaning", "opsets", *SIDES})
        if row.get("schema") != SCHEMA:
            raise self.fail("schema", f"is not {SCHEMA!r}")
        opsets = row.get("opsets", {})
        if not isinstance(opsets, dict) or not all(type(item) is int for item in opsets.values()):
            raise self.fail("opsets", "is no table of numbers")
        sides = {side: self.ports(row.get(side, []), side) for side in SIDES}
        meaning = self.row(row.get("meaning", {}), "meaning", {"text"})
        return Contract(
            self.word(row.get("format", ""), "format"),
            text=self.word(meaning.get("text", ""), "meaning.text"), opsets=opsets, **sides,
        )  # fmt: skip

    def ports(self, rows: Any, side: str) -> tuple[Port, ...]:
        found = tuple(self.port(row, f"{side}[{at}]") for at, row in enumerate(self.rows(rows, side)))
        names = [port.name for port in found]
        if len(set(names)) < len(names):
            raise self.fail(side, "has a name twice")
        return found

    def port(self, rows: Any, place: str) -> Port:
        known = {"name", "dtype", "shape", "range", "meaning", "preprocessing", "labels", "quantization"}
        row = self.row(rows, place, known)
        for name in ("name", "dtype", "shape"):
            if name not in row:
                raise self.fail(place, f"has no {name}")
        meaning = self.row(row.get("meaning", {}), f"{place}.meaning", {"text", "tags"})
        labels = self.row(row.get("labels", {}), f"{place}.labels", {"count", "first"})
        quant = self.row(
            row.get("quantization", {}), f"{place}.quantization", {"scale", "zero_point", "axis"}
        )
        limits = self.numbers(row.get("range", []), f"{place}.range")
        if limits and (len(limits) != 2 or limits[0] > limits[1]):
            raise self.fail(f"{place}.range", "is not the least and the greatest value")
        tags = tuple(
            self.word(tag, f"{place}.meaning.tags") for tag in self.rows(meaning.get("tags", []), place)
        )
        return Port(
            self.word(row["name"], f"{place}.name"),
            self.word(row["dtype"], f"{place}.dtype"),
            self.shape(row["shape"], f"{place}.shape"),
            (limits[0], limits[1]) if limits else None,
            self.word(meaning.get("text", ""), f"{place}.meaning.text"),
            tags,
            self.preprocessing(row.get("preprocessing", {}), f"{place}.preprocessing"),
            tuple(self.word(item, f"{place}.labels") for item in self.rows(labels.get("first", []), place)),
            self.whole(labels.get("count", 0), f"{place}.labels.count") or 0,
            self.numbers(quant.get("scale", []), f"{place}.quantization.scale"),
            tuple(int(item) for item in self.numbers(quant.get("zero_point", []), f"{place}.quantization")),
            self.whole(quant.get("axis"), f"{place}.quantization.axis"),
        )

    def preprocessing(self, rows: Any, place: str) -> Preprocessing:
        row = self.row(rows, place, set(Preprocessing.__slots__))
        size = self.numbers(row.get("size") or [], f"{place}.size")
        if size and len(size) != 2:
            raise self.fail(f"{place}.size", "is not height and width")
        for name, words in (("layout", LAYOUTS), ("colour", COLOURS)):
            if row.get(name, "") not in ("", *words):
                raise self.fail(f"{place}.{name}", f"is none of {', '.join(words)}")
        lists = {name: self.numbers(row.get(name, []), f"{place}.{name}") for name in _LISTS}
        rate = self.whole(row.get("sample_rate"), f"{place}.sample_rate")
        return Preprocessing(
            row.get("layout", ""), row.get("colour", ""), (int(size[0]), int(size[1])) if size else None,
            sample_rate=rate, **lists,
        )  # fmt: skip

    def shape(self, rows: Any, place: str) -> tuple[Dim, ...] | None:
        if rows is None:
            return None
        dims = self.rows(rows, place)
        for dim in dims:
            if not (dim is None or isinstance(dim, str) or (type(dim) is int and dim >= 0)):
                raise self.fail(place, f"has the size {dim!r}")
        return tuple(dims)

    def row(self, value: Any, place: str, known: set[str]) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.fail(place, "is no table")
        if unknown := sorted(value.keys() - known):
            raise self.fail(place, f"has the unknown field {unknown[0]!r}")
        return value

    def rows(self, value: Any, place: str) -> Sequence[Any]:
        if not isinstance(value, list):
            raise self.fail(place, "is no list")
        return value

    def word(self, value: Any, place: str) -> str:
        if not isinstance(value, str):
            raise self.fail(place, "is no text")
        return value

    def whole(self, value: Any, place: str) -> int | None:
        if value is not None and (type(value) is not int or value < 0):
            raise self.fail(place, "is no whole number")
        return value

    def numbers(self, value: Any, place: str) -> tuple[float, ...]:
        items = self.rows(value, place)
        if not all(type(item) in (int, float) for item in items):
            raise self.fail(place, "is no list of numbers")
        return tuple(items)


_LISTS = ("scale", "bias", "mean", "std")
