"""Every JSON document that a command prints or writes is valid by a schema that accelint prints."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cli import ROOT, accelint, schema

MODEL = ROOT / "fixtures" / "demo" / "encoder.onnx"
NAMES = {"report", "releases", "fix", "conform", "targets", "rules", "runtimes"}


def validated(name: str, text: str) -> Any:
    document = json.loads(text)
    jsonschema.validate(document, schema(name))
    return document


def strict(node: Any) -> Any:
    """The same where no key may be that the schema does not name."""
    if isinstance(node, list):
        return [strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    found = {key: strict(item) for key, item in node.items()}
    if "properties" in found and "allOf" not in found and "before" not in found["properties"]:
        found.setdefault("additionalProperties", False)
    return found


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("releases", ["releases", MODEL, "-t", "onnxruntime/webgpu", "-t", "coreml/ane", "--format", "json"]),
        ("fix", ["fix", MODEL, "-t", "onnxruntime/qnn", "--json"]),
        ("targets", ["targets", "--json"]),
        ("rules", ["rules", "--json"]),
        ("runtimes", ["runtimes", "--json"]),
    ],
)
def test_what_a_command_prints(name: str, command: list[object]) -> None:
    document = validated(name, accelint(*command).stdout)
    assert document
    definition = strict(schema(name))
    if name not in ("releases", "fix"):
        jsonschema.validate(document, definition)
    for row in document if isinstance(document, list) else ():
        for key in list(row):
            rest = {other: value for other, value in row.items() if other != key}
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate([rest], definition)
        break


def test_what_conform_writes(tmp_path: Path) -> None:
    with gzip.open(ROOT / "fixtures" / "recorded" / "onnxruntime_nnapi.json.gz", "rt") as file:
        answers = dict(list(json.load(file).items())[:120])
    (tmp_path / "nnapi.json").write_text(json.dumps(answers))
    out = tmp_path / "out.json"
    ran = accelint("conform", "onnxruntime/nnapi", "--corpus", tmp_path / "nnapi.json", "--output", out)
    assert ran.returncode == 0, ran.stderr
    assert validated("conform", out.read_text())["corpora"]["nnapi.json"]["operators"] > 100


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "conformance").glob("*.json")), ids=lambda p: p.stem)
def test_committed_figures(path: Path) -> None:
    """Older ones lack keys that were added since; what they have is as the schema says."""
    found = jsonschema.Draft202012Validator(schema("conform")).iter_errors(json.loads(path.read_text()))
    assert not [error.message for error in found if error.validator != "required"]


def test_the_names_are_listed_and_each_is_a_schema() -> None:
    missed = accelint("schema", "reports")
    assert missed.returncode == 2 and all(name in missed.stderr for name in NAMES)
    assert {schema(name)["$id"] for name in NAMES} == {f"accelint/{name}/1" for name in NAMES}
