"""Seeds: the fixtures, small models of every operator from the generated corpora, small packs, and what once
found a fault (``tests/fuzz_seeds``).
"""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "tests" / "fuzz_seeds"
FIXTURES = ROOT / "fixtures"
LARGEST = 6000
"""Bytes of a seed: small ones are mutated and checked faster, and every operator has one."""
PER_OPERATOR = 6
FORMATS = ("onnx", "tflite", "savedmodel", "graphdef", "keras", "mlpackage", "mlmodel", "pack")


@dataclass(frozen=True)
class Seed:
    """One input: its format and its files by relative path, or one file under the name ``""``."""

    format: str
    name: str
    files: dict[str, bytes]


def seeds() -> list[Seed]:
    """All of them, in a fixed order; what is generated is kept in ``.work``, since it takes 20 s to make."""
    store = ROOT / ".work" / "fuzz" / "generated.pickle"
    if store.is_file():
        generated = pickle.loads(store.read_bytes())  # our own file, in a folder that git ignores
    else:
        generated = list(_generated())
        store.parent.mkdir(parents=True, exist_ok=True)
        store.write_bytes(pickle.dumps(generated))
    return [*kept(), *_fixtures(), *generated, *_packs()]


def kept() -> list[Seed]:
    """What found a fault once; the name's first part is the format."""
    return [stored(path) for path in sorted(KEPT.iterdir()) if not path.name.endswith(".md")]


def stored(path: Path) -> Seed:
    """The seed in a file or folder whose name starts with its format: ``onnx-arity.onnx``."""
    return Seed(path.name.partition("-")[0], path.name, _content(path))


def _content(path: Path) -> dict[str, bytes]:
    if path.is_file():
        return {"": path.read_bytes()}
    return {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


def _fixtures() -> Iterator[Seed]:
    for folder in ("onnx", "tflite", "tf", "coreml"):
        for path in sorted((FIXTURES / folder).iterdir()):
            form = _form(path)
            files = _content(path)
            if form and sum(map(len, files.values())) <= 60_000:
                yield Seed(form, path.name, files)


def _form(path: Path) -> str:
    forms = {
        ".onnx": "onnx",
        ".tflite": "tflite",
        ".keras": "keras",
        ".mlpackage": "mlpackage",
        ".mlmodel": "mlmodel",
        ".pb": "graphdef",
    }
    if path.is_dir() and (path / "saved_model.pb").is_file():
        return "savedmodel"
    return forms.get(path.suffix, "")


def _generated() -> Iterator[Seed]:
    from accelint.analyzer.conform.corpora import corpus

    for dialect, name, form in (
        ("onnx", "generated", "onnx"),
        ("onnx", "backend", "onnx"),
        ("tflite", "generated", "tflite"),
        ("mil", "cases", "mlmodel"),
    ):
        counts: dict[str, int] = {}
        items = [item for item in corpus(dialect, name) if item.data and len(item.data) <= LARGEST]
        Random(7).shuffle(items)
        for item in items:
            kind = item.name.split("/")[0]
            if counts.get(kind, 0) < PER_OPERATOR:
                counts[kind] = counts.get(kind, 0) + 1
                yield Seed(form, item.name, {"": item.data or b""})


def _packs() -> Iterator[Seed]:
    """A shipped pack's head, sources and supports with a few of its rules: small, and of every kind."""
    import tomllib

    import mutators

    for folder in sorted((ROOT / "rules" / "packs").iterdir()):
        if not (folder / "pack.toml").is_file():
            continue
        whole: dict[str, Any] = {}
        for file in [folder / "pack.toml", *sorted(folder.glob("*.toml"))]:
            tables = tomllib.loads(file.read_text(encoding="utf-8"))
            whole = {**tables, **whole, "rule": [*whole.get("rule", ()), *tables.get("rule", ())]}
        rules = whole["rule"]
        for index in range(0, len(rules), max(1, len(rules) // 12)):
            some = rules[index : index + 2]
            names = sorted({name for rule in some for name in rule["ops"]})
            supports = [{**item, "ops": names} for item in whole.get("support", [])[:1]]
            small = {**whole, "rule": some, "support": supports}
            small["variant"] = dict(list(whole.get("variant", {}).items())[:2])
            text = mutators.toml(small).encode()
            if len(text) <= 20_000:
                yield Seed("pack", f"{folder.name}/{index}", {"": text})


def keras_files(seed: Seed) -> dict[str, Any]:
    """The JSON members of a Keras file."""
    with zipfile.ZipFile(BytesIO(seed.files[""])) as archive:
        return {name: json.loads(archive.read(name)) for name in ("config.json", "metadata.json")}
