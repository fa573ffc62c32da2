"""The page of the Python API, from the docstrings: ``python tools/docs/api.py`` writes ``docs/api.md``."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import accelint
from accelint import testing

PAGE = Path(__file__).parent.parent.parent / "docs" / "api.md"
CALLS = ("check", "fix", "verify", "diff", "load", "emit")
TYPES = ("Report", "Result", "Coverage", "OperatorVerdict", "Partition", "Finding", "Verdict", "Model")
HEAD = """# Python API

Made from the docstrings by `tools/docs/api.py`. Importing `accelint` costs next to nothing: names
are imported when they are first used. Nothing prints.

```python
import accelint

report = accelint.check("model.onnx", ["qnn", "onnxruntime/nnapi"])
for row in report:
    print(row.target, row.verdict, f"{row.share:.0%}", len(row.partitions))
report.write("report.html")
```

In a notebook a report shows itself. In tests, `assert_accelerated` says what is missed and why; the pytest
plug-in is there once accelint is installed; `--accelint-report FILE` writes one report of what a run checked:

```python
def test_model(assert_accelerated):
    assert_accelerated("model.onnx", "qnn", max_partitions=1)
```
"""


def page() -> str:
    """The text of the page."""
    from accelint.analyzer.check import coverage

    parts = [HEAD, "## Functions\n"]
    parts += [_function(f"accelint.{name}", getattr(accelint, name)) for name in CALLS]
    parts.append(_function("accelint.testing.assert_accelerated", testing.assert_accelerated))
    parts.append("## Types\n")
    for name in TYPES:
        kind = getattr(accelint, name, None) or getattr(coverage, name)
        parts.append(_type(name, kind))
    return "\n".join(parts)


def _function(name: str, function: object) -> str:
    signature = str(inspect.signature(function)).replace("'", "")  # type: ignore[arg-type]
    return f"### `{name}`\n\n```\n{name}{signature}\n```\n\n{_doc(function)}\n"


def _type(name: str, kind: type) -> str:
    lines = [f"### `{name}`\n", _doc(kind), ""]
    for key, value in vars(kind).items():
        if key.startswith("_") or (not isinstance(value, property) and not inspect.isfunction(value)):
            continue
        if words := inspect.getdoc(value):
            call = "" if isinstance(value, property) else "()"
            lines.append(f"- `{key}{call}`: {' '.join(words.split())}")
    return "\n".join([*lines, ""])


def _doc(item: object) -> str:
    text = inspect.getdoc(item) or ""
    before, mark, rest = text.partition("\nArgs:\n")
    if not mark:
        before, mark, rest = text.partition("\nAttributes:\n")
    if not mark:
        return text
    given, _, after = rest.partition("\n\n")
    rows: list[str] = []
    for line in given.splitlines():
        if line.startswith("    ") and not line.startswith("     "):
            key, _, words = line.strip().partition(": ")
            rows.append(f"- `{key}`: {words}")
        else:
            rows[-1] += f" {line.strip()}"
    return "\n".join([before, *rows, "", after])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.exit(0)
