"""The dtypes that the schemas of Microsoft's operators allow, as a table.

    python tools/derive/ort_schemas.py

Writes ``rules/predicates/ort_types.json`` from the installed onnxruntime: by operator, for each input the
name of its type parameter and the dtypes, the last once more where the inputs go on. Releases add dtypes and
take none away, so that what the newest does not allow is not allowed by an older one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent.parent.parent / "rules" / "predicates" / "ort_types.json"
DOMAIN = "com.microsoft"
WORDS = {"float": "float32", "double": "float64"}


def main() -> None:
    TARGET.write_text(text(), encoding="utf-8")


def text() -> str:
    """The file's text."""
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import get_all_operator_schema

    schemas = sorted(
        (item for item in get_all_operator_schema() if item.domain == DOMAIN), key=lambda item: item.name
    )
    sets: list[list[str]] = []
    operators = {item.name: [_parameter(given, sets) for given in item.inputs] for item in schemas}
    going_on = sorted(
        item.name for item in schemas if item.inputs and "Variadic" in str(item.inputs[-1].option)
    )
    table = {
        "onnxruntime": onnxruntime.__version__,
        "dtypes": sets,
        "going on": going_on,
        "operators": operators,
    }
    return json.dumps(table) + "\n"


def _parameter(given: Any, sets: list[list[str]]) -> list[Any]:
    """The name of the type parameter, and the place of its dtypes in ``sets``; -1 where an input is no
    tensor.
    """
    found = sorted(str(item) for item in given.types)
    if not all(item.startswith("tensor(") for item in found):
        return [given.typeStr, -1]
    dtypes = [WORDS.get(item[7:-1], item[7:-1]) for item in found]
    if dtypes not in sets:
        sets.append(dtypes)
    return [given.typeStr, sets.index(dtypes)]


if __name__ == "__main__":
    main()
