"""Structure-aware mutations: of protobuf messages by their descriptors, FlatBuffers by the TFLite schema,
JSON and TOML by their tables, and of plain bytes.

A mutated input is well formed where the format is checked first and wrong where somebody trusts it: it has
other counts of operands, values of other ranges, parts of other models and names that are made to harm.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from io import BytesIO
from random import Random
from typing import Any

from accelint.analyzer.formats.tflite.emit import Emitter
from accelint.analyzer.formats.tflite.flat import LAZY, Flat, Row
from accelint.analyzer.formats.tflite.schema import WIDTHS, schema
from accelint.analyzer.ir.graph import Constant

INTEGERS = (
    *range(-3, 10), 16, 31, 32, 63, 64, 127, 128, 255, 256, 1024, 4096, 65535, 65536, 1 << 20, -(1 << 20),
    (1 << 31) - 1, -(1 << 31), 1 << 31, 1 << 32, (1 << 62), (1 << 63) - 1, -(1 << 63), (1 << 64) - 1,
)  # fmt: skip
FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 4.0, 6.0, 1e-45, 1e38, -1e38, math.inf, -math.inf, math.nan)
STRINGS = (
    "", "x", "0", "-1", "a" * 300, "\x1b[31mred", "\x1b]0;title\x07", "\x9b31m", "\u202eevil",
    "\u2066a\u2069",
    "\u200f", "\u061c", "a\nb", "a\rb", "tab\t", "\x00", "\x7f", "../../x", "/etc/passwd", "{x.__class__}",
    "{0[a]}", "{x:>999999999}", "[bold red]x[/]", "[/]", "%s%n", "é", "🙂", "\ufeff", "NCHW", "SAME",
    "::", "@",
)  # fmt: skip
MOST_PARTS = 4000
"""Parts of one message among which the one to change is chosen."""


class Pool:
    """Values and parts by their place in the schema, gathered from all seeds: what a mutation can borrow."""

    PER_PLACE = 200

    def __init__(self) -> None:
        self.values: dict[Any, list[Any]] = {}

    def add(self, place: Any, value: Any) -> None:
        """Keep a value of a place, up to a number of them."""
        kept = self.values.setdefault(place, [])
        if len(kept) < self.PER_PLACE and value not in kept:
            kept.append(value)

    def any(self, rng: Random, place: Any) -> Any | None:
        """A value that stood at this place in some seed."""
        kept = self.values.get(place)
        return rng.choice(kept) if kept else None


def number(rng: Random, low: int, high: int) -> int:
    """A whole number in a range, mostly one that limits like."""
    chosen = rng.choice(INTEGERS) if rng.random() < 0.8 else rng.randint(-40, 300)
    return min(max(chosen, low), high)


def text(rng: Random) -> str:
    """A name, mostly one that is made to harm."""
    return rng.choice(STRINGS)


def spoiled(rng: Random, data: bytes) -> bytes:
    """Bytes with some of them flipped, cut, repeated or replaced."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        if not out:
            break
        at = rng.randrange(len(out))
        kind = rng.randrange(6)
        if kind == 0:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            out[at] = rng.randrange(256)
        elif kind == 2:
            del out[at : at + rng.choice((1, 2, 4, 16, len(out)))]
        elif kind == 3:
            out[at:at] = out[at : at + rng.choice((1, 2, 4, 16, 64))]
        elif kind == 4:
            out[at : at + 4] = number(rng, 0, (1 << 32) - 1).to_bytes(4, "little")
        else:
            out[at:at] = bytes([0x80 | rng.randrange(128)]) * rng.randint(1, 10)
    return bytes(out)


# ---- protobuf --------------------------------------------------------------------------------

_RANGES = {
    "int32": (-(1 << 31), (1 << 31) - 1), "int64": (-(1 << 63), (1 << 63) - 1),
    "uint32": (0, (1 << 32) - 1), "uint64": (0, (1 << 64) - 1),
}  # fmt: skip
_INT32, _INT64, _UINT32, _UINT64, _DOUBLE, _FLOAT, _BOOL, _ENUM, _STRING, _MESSAGE = range(1, 11)
_BY_CPP = {_INT32: "int32", _INT64: "int64", _UINT32: "uint32", _UINT64: "uint64"}


def messages(root: Any) -> list[Any]:
    """A message and all messages in it, the outer before the inner; a map's values among them."""
    found = [root]
    for message in found:
        if len(found) > MOST_PARTS:
            break
        for field, value in message.ListFields():
            if field.cpp_type != _MESSAGE:
                continue
            if _is_map(field):
                if field.message_type.fields_by_name["value"].cpp_type == _MESSAGE:
                    found += list(value.values())
            elif _repeated(field):
                found += list(value)
            else:
                found.append(value)
    return found


def learn_message(root: Any, pool: Pool) -> None:
    """Keep a seed's strings and small parts for others to borrow."""
    for message in messages(root):
        kind = message.DESCRIPTOR.full_name
        data = message.SerializeToString()
        if len(data) < 2000:
            pool.add(kind, data)
        for field, value in message.ListFields():
            if field.cpp_type == _STRING and not _is_map(field):
                for item in value if _repeated(field) else (value,):
                    pool.add((kind, field.name), item)


def mutate_message(root: Any, rng: Random, pool: Pool) -> None:
    """Change some fields of a message, in place."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5))):
        parts = messages(root)
        _change(rng.choice(parts), rng, pool)


def _is_map(field: Any) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _repeated(field: Any) -> bool:
    repeated = getattr(field, "is_repeated", None)
    return bool(field.label == field.LABEL_REPEATED) if repeated is None else bool(repeated)


def _change(message: Any, rng: Random, pool: Pool) -> None:
    present = [field for field, _ in message.ListFields()]
    fields = list(message.DESCRIPTOR.fields)
    if not fields:
        return
    field = rng.choice(present) if present and rng.random() < 0.8 else rng.choice(fields)
    if rng.random() < 0.08:
        message.ClearField(field.name)
    elif _is_map(field):
        _change_map(message, field, rng, pool)
    elif _repeated(field):
        _change_list(message, field, rng, pool)
    elif field.cpp_type == _MESSAGE:
        _borrow(getattr(message, field.name), rng, pool)
    else:
        setattr(message, field.name, _scalar(message, field, rng, pool))


def _borrow(part: Any, rng: Random, pool: Pool) -> None:
    """Replace a part by one of its kind from another seed, or empty it."""
    data = pool.any(rng, part.DESCRIPTOR.full_name)
    part.Clear()
    if data is not None and rng.random() < 0.9:
        part.MergeFromString(data)
    else:
        part.SetInParent()


def _change_map(message: Any, field: Any, rng: Random, pool: Pool) -> None:
    entries = getattr(message, field.name)
    keys = list(entries)
    value_field = field.message_type.fields_by_name["value"]
    if keys and rng.random() < 0.4:
        del entries[rng.choice(keys)]
        return
    if field.message_type.fields_by_name["key"].cpp_type != _STRING:
        return
    key = rng.choice(keys) if keys and rng.random() < 0.7 else text(rng)
    if value_field.cpp_type == _MESSAGE:
        _borrow(entries[key], rng, pool)
    else:
        entries[key] = _scalar(message, value_field, rng, pool)


def _change_list(message: Any, field: Any, rng: Random, pool: Pool) -> None:
    values = getattr(message, field.name)
    kind = rng.randrange(5)
    if kind == 0 and len(values):
        del values[rng.randrange(len(values))]
    elif kind == 1 and len(values):
        copies = [values[rng.randrange(len(values))] for _ in range(rng.choice((1, 1, 2, 7)))]
        values.extend(list(copies))
    elif kind == 2 and len(values) > 1:
        order = list(values)
        copies = [type(item).FromString(item.SerializeToString()) for item in order] if _is(field) else order
        rng.shuffle(copies)
        del values[:]
        values.extend(copies)
    elif _is(field):
        _borrow(values.add() if kind < 4 or not len(values) else rng.choice(list(values)), rng, pool)
    elif kind == 3 or not len(values):
        values.append(_scalar(message, field, rng, pool))
    else:
        values[rng.randrange(len(values))] = _scalar(message, field, rng, pool)


def _is(field: Any) -> bool:
    return bool(field.cpp_type == _MESSAGE)


def _scalar(message: Any, field: Any, rng: Random, pool: Pool) -> Any:
    kind = field.cpp_type
    if kind in _BY_CPP:
        return number(rng, *_RANGES[_BY_CPP[kind]])
    if kind in (_FLOAT, _DOUBLE):
        return rng.choice(FLOATS)
    if kind == _BOOL:
        return rng.random() < 0.5
    if kind == _ENUM:
        return rng.choice(field.enum_type.values).number
    binary = field.type == field.TYPE_BYTES
    known = pool.any(rng, (message.DESCRIPTOR.full_name, field.name)) if rng.random() < 0.7 else None
    if known is not None and isinstance(known, bytes) == binary:
        return known
    chosen = text(rng)
    return chosen.encode("utf-8", "surrogatepass") if binary else chosen


# ---- FlatBuffers -----------------------------------------------------------------------------


def rows_of(data: bytes) -> Row:
    """A TFLite file as rows that can be changed: lists for vectors, bytes for buffers."""
    flat = Flat(data)
    rows: Row = _opened(flat, "Model", flat.root("Model", b"TFL3"))
    return rows


def _opened(flat: Flat, table: str, row: Row) -> Row:
    out: Row = {}
    for field in schema().tables[table]:
        value = row.get(field.name)
        if value is None or field.deprecated:
            continue
        if (table, field.name) in LAZY:
            value = flat.take(value)
        elif field.kind == "table":
            value = _opened(flat, field.of, value)
        elif field.kind == "tables":
            value = [_opened(flat, field.of, item) for item in value]
        elif field.kind == "union":
            value = [value[0], _opened(flat, value[0], value[1])]
        elif isinstance(value, tuple):
            value = list(value)
        out[field.name] = value
    return out


def bytes_of(rows: Row) -> bytes:
    """The file of such rows. Raises what the emitter raises for values that no FlatBuffer can hold."""
    emitter, stream = Emitter(), BytesIO()
    emitter.root("Model", _closed("Model", rows), b"TFL3")
    emitter.write(stream)
    return stream.getvalue()


def _closed(table: str, row: Row) -> Row:
    out: Row = {}
    for field in schema().tables[table]:
        value = row.get(field.name)
        if value is None:
            continue
        if field.kind == "bytes":
            value = Constant("uint8", (len(value),), inline=bytes(value), length=len(value))
        elif field.kind == "table":
            value = _closed(field.of, value)
        elif field.kind == "tables":
            value = tuple(_closed(field.of, item) for item in value)
        elif field.kind == "union":
            value = (value[0], _closed(value[0], value[1]))
        elif isinstance(value, list):
            value = tuple(value)
        out[field.name] = value
    return out


def tables(rows: Row) -> list[tuple[str, Row]]:
    """The root table and all tables in it, each with its name."""
    found: list[tuple[str, Row]] = [("Model", rows)]
    for name, row in found:
        if len(found) > MOST_PARTS:
            break
        for field in schema().tables[name]:
            value = row.get(field.name)
            if value is None:
                continue
            if field.kind == "table":
                found.append((field.of, value))
            elif field.kind == "tables":
                found += [(field.of, item) for item in value]
            elif field.kind == "union":
                found.append((value[0], value[1]))
    return found


def learn_rows(rows: Row, pool: Pool) -> None:
    """Keep a seed's operators, tensors and options for others to borrow."""
    for name, row in tables(rows):
        if name != "Model":
            pool.add(("table", name), row)
        for field in schema().tables[name]:
            if field.kind in ("string", "union", "scalars") and row.get(field.name) is not None:
                pool.add((name, field.name), row[field.name])


def mutate_rows(rows: Row, rng: Random, pool: Pool) -> None:
    """Change some fields, in place."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5))):
        name, row = rng.choice(tables(rows))
        fields = [field for field in schema().tables[name] if not field.deprecated]
        if not fields:
            continue
        present = [field for field in fields if row.get(field.name) is not None]
        field = rng.choice(present) if present and rng.random() < 0.8 else rng.choice(fields)
        if rng.random() < 0.08:
            row.pop(field.name, None)
        else:
            row[field.name] = _new_value(name, field, row.get(field.name), rng, pool)


def _new_value(table: str, field: Any, old: Any, rng: Random, pool: Pool) -> Any:
    if field.kind in ("tables", "scalars", "enums"):
        return _new_list(table, field, list(old or ()), rng, pool)
    if field.kind == "table":
        return _copy(pool.any(rng, ("table", field.of)) or {})
    if field.kind == "union":
        known = pool.any(rng, (table, field.name))
        return _copy(known) if known is not None else [rng.choice(schema().unions[field.of]), {}]
    if field.kind == "bytes":
        return spoiled(rng, old) if old else bytes(rng.choice((0, 1, 3, 4, 64)))
    return _element(table, field, rng, pool)


def _new_list(table: str, field: Any, values: list[Any], rng: Random, pool: Pool) -> list[Any]:
    kind = rng.randrange(6)
    if kind == 0 and values:
        del values[rng.randrange(len(values))]
    elif kind == 1 and values:
        values += [_copy(rng.choice(values)) for _ in range(rng.choice((1, 1, 2, 7)))]
    elif kind == 2 and len(values) > 1:
        rng.shuffle(values)
    elif kind == 3:
        known = pool.any(rng, (table, field.name))
        values = _copy(known) if known is not None else []
    elif kind == 4 or not values:
        values.append(_element(table, field, rng, pool))
    else:
        values[rng.randrange(len(values))] = _element(table, field, rng, pool)
    return values


def _element(table: str, field: Any, rng: Random, pool: Pool) -> Any:
    if field.kind in ("table", "tables"):
        return _copy(pool.any(rng, ("table", field.of)) or {})
    if field.kind in ("enum", "enums"):
        return rng.choice(list(schema().enums[field.of].values()))
    if field.kind == "string":
        known = pool.any(rng, (table, field.name)) if rng.random() < 0.6 else None
        return known if known is not None else text(rng)
    code = field.of
    if code == "?":
        return rng.random() < 0.5
    if code in "fd":
        value = rng.choice(FLOATS)
        return value if code == "d" or not math.isfinite(value) or abs(value) < 3e38 else 1e38
    top = 1 << (8 * WIDTHS[code])
    return number(rng, 0, top - 1) if code.isupper() else number(rng, -top // 2, top // 2 - 1)


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


# ---- JSON and TOML ---------------------------------------------------------------------------


def containers(root: Any) -> list[Any]:
    """A tree's dictionaries and lists, the outer before the inner."""
    found = [root]
    for item in found:
        if len(found) > MOST_PARTS:
            break
        inner = item.values() if isinstance(item, dict) else item
        found += [value for value in inner if isinstance(value, dict | list)]
    return found


def learn_tree(root: Any, pool: Pool, kind: str) -> None:
    """Keep the values of each key for others to borrow."""
    for item in containers(root):
        if isinstance(item, dict):
            for key, value in item.items():
                pool.add((kind, key), value)
                pool.add((kind,), key)


def mutate_tree(root: Any, rng: Random, pool: Pool, kind: str) -> None:
    """Change some values of a tree of dictionaries and lists, in place."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5))):
        item = rng.choice(containers(root))
        if isinstance(item, dict):
            _change_table(item, rng, pool, kind)
        else:
            _change_items(item, rng, pool, kind)


def _change_table(item: dict[str, Any], rng: Random, pool: Pool, kind: str) -> None:
    known = pool.any(rng, (kind,))
    key = rng.choice(list(item)) if item and rng.random() < 0.8 else (known or "x")
    if rng.random() < 0.2:
        item.pop(key, None)
    elif rng.random() < 0.05:
        item[text(rng)] = item.get(key, 1)
    else:
        borrowed = pool.any(rng, (kind, key if rng.random() < 0.7 else known))
        item[key] = _copy(borrowed) if borrowed is not None and rng.random() < 0.5 else leaf(rng)


def _change_items(item: list[Any], rng: Random, pool: Pool, kind: str) -> None:
    if item and rng.random() < 0.3:
        del item[rng.randrange(len(item))]
    elif item and rng.random() < 0.3:
        item.append(_copy(rng.choice(item)))
    elif item and rng.random() < 0.6:
        item[rng.randrange(len(item))] = leaf(rng)
    else:
        item.append(leaf(rng))


def leaf(rng: Random) -> Any:
    """A value of any kind that JSON and TOML have."""
    made: tuple[Callable[[], Any], ...] = (
        lambda: text(rng),
        lambda: text(rng),
        lambda: number(rng, -(1 << 63), (1 << 63) - 1),
        lambda: rng.choice(FLOATS),
        lambda: rng.random() < 0.5,
        lambda: [text(rng) for _ in range(rng.randrange(3))],
        lambda: [number(rng, -100, 100), text(rng)],
        lambda: {text(rng): number(rng, -100, 100)},
        list,
        dict,
        lambda: nested(rng.choice((3, 20, 200))),
    )
    return rng.choice(made)()


def nested(depth: int) -> Any:
    """Lists in lists."""
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def toml(tables: dict[str, Any]) -> str:
    """Tables as TOML, every value inline; the standard library reads TOML and does not write it."""
    return "".join(f"{_key(key)} = {_toml(value)}\n" for key, value in tables.items())


def _key(key: str) -> str:
    return _toml(key)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, int | float):
        return repr(value)  # nan, inf and -inf are TOML too
    return '"' + "".join(_toml_char(char) for char in str(value)) + '"'


def _toml_char(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    return char if char.isprintable() and ord(char) < 0xD800 else f"\\U{ord(char):08x}"
