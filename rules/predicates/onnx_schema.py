"""What ONNX Runtime requires of an operator when it reads the file, before any provider gets the graph: the
operator's own schema.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from ...analyzer.ir.graph import Graph, Operator
from ..conditions import HOLDS, Context, Outcome
from ..subjects import Reach
from . import holds_if, predicate


@predicate("onnx_attributes_declared", Reach.LOCAL)
def attributes_declared(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Every attribute is one that the operator has in its operator set, or is marked as internal by two
    underscores.

    Operators without a schema (vendors' domains) are not judged. Source: onnx, ``OpSchema::Verify``.
    """
    given = {*op.attrs, *op.graphs}
    declared = _declared(op.type, op.version, op.domain) if given else None
    if declared is None or given <= declared:
        return HOLDS
    strange = sorted(name for name in given - declared if not name.startswith("__"))
    return holds_if(not strange, f"attribute {', '.join(strange)}", ", ".join(sorted(declared)) or "none")


@cache
def _declared(type: str, version: int, domain: str) -> frozenset[str] | None:
    """The attributes of an operator in an operator set, None without a schema.

    Told by a table (``tools/derive/onnx_attributes.py``), and for operator sets that are newer by onnx.
    """
    table = _table()
    if version > table["newest"].get(domain, version):
        return _told(type, version, domain)
    rows = table["domains"].get(domain, {}).get(type, ())
    declared = [names for since, names in rows if since <= version][-1:]
    return frozenset(declared[0]) if declared and declared[0] is not None else None


@cache
def _table() -> dict[str, Any]:
    path = Path(__file__).with_name("onnx_attributes.json")
    table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return table


def _told(type: str, version: int, domain: str) -> frozenset[str] | None:
    """By onnx's extension, whose registry takes as long to build as a small check."""
    from ...analyzer.formats.onnx.proto import native

    try:
        return frozenset(native().defs.get_schema(type, version, domain).attributes)
    except Exception:  # the extension's own SchemaError
        return None
