"""The command line as a user meets it: in a subprocess."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

ROOT = Path(__file__).parent.parent


def accelint(
    *arguments: object, cwd: Path | None = None, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run ``accelint``; a traceback in what it prints is always a failure."""
    command = [sys.executable, "-m", "accelint", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=cwd or ROOT, timeout=timeout)
    assert "Traceback" not in result.stderr, result.stderr
    return result


@cache
def schema(name: str = "report") -> dict[str, Any]:
    """What ``accelint schema`` prints for one kind of document."""
    printed = accelint("schema", name)
    assert printed.returncode == 0
    document: dict[str, Any] = json.loads(printed.stdout)
    jsonschema.Draft202012Validator.check_schema(document)
    return document


def report(*arguments: object, code: int | None = None) -> dict[str, Any]:
    """The JSON report of a command, valid by the published schema."""
    result = accelint(*arguments, "--format", "json")
    if code is not None:
        assert result.returncode == code, (result.returncode, result.stderr, result.stdout[-2000:])
    document: dict[str, Any] = json.loads(result.stdout)
    jsonschema.validate(document, schema())
    return document
