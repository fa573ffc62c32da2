"""The attributes that onnx declares for each operator in each operator set, as a table.

    python tools/derive/onnx_attributes.py

Writes ``rules/predicates/onnx_attributes.json``: by domain and operator, from which operator set on it has
which attributes; null where it has no schema any more. The first question to onnx's own registry costs more
than the check of a small model.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
from onnx import defs

TARGET = Path(__file__).parent.parent.parent / "rules" / "predicates" / "onnx_attributes.json"
Rows = list[list[Any]]


def main() -> None:
    TARGET.write_text(text(), encoding="utf-8")


def text() -> str:
    """The file's text, from the installed onnx."""
    schemas = defs.get_all_schemas_with_history()
    newest = {domain: max(item.since_version for item in schemas if item.domain == domain)
              for domain in sorted({item.domain for item in schemas})}  # fmt: skip
    newest[""] = max(newest[""], defs.onnx_opset_version())
    domains = {
        domain: {
            name: rows(name, domain, last)
            for name in sorted({item.name for item in schemas if item.domain == domain})
        }
        for domain, last in newest.items()
    }
    return json.dumps({"onnx": onnx.__version__, "newest": newest, "domains": domains}) + "\n"


def rows(name: str, domain: str, last: int) -> Rows:
    """Since which operator set an operator has which attributes."""
    found: Rows = []
    for version in range(1, last + 1):
        try:
            declared = sorted(defs.get_schema(name, version, domain).attributes)
        except defs.SchemaError:
            declared = None
        if (found[-1][1] if found else None) != declared:
            found.append([version, declared])
    return found


if __name__ == "__main__":
    main()
