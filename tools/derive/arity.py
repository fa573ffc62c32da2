"""Counts of inputs and outputs that operators have by their schemas, for ``analyzer/check/arity.py``.

    python tools/derive/arity.py TFL_OPS_TD

ONNX: the schemas of the installed ``onnx``. TFLite: the operators of LiteRT's
``tflite/converter/ir/tfl_ops.td``, of which only the least counts are taken: older files have optional
operands that the dialect of the converter no longer has, and leave out those at the end.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

FORMATS = Path(__file__).parents[2] / "analyzer" / "formats"
KERNELS = {
    "RESHAPE": (1, 1),  # the new shape may be an option
    "LSTM": (5, 1),  # the basic kernel
    "BIDIRECTIONAL_SEQUENCE_LSTM": (39, 1),  # merge_outputs
}
"""What kernels (LiteRT, ``tflite/kernels``) run with less than the dialect of the converter has."""
SEVERAL = {"lstm": "LSTM", "basic_lstm": "LSTM"}
"""Operators of the dialect that are one builtin operator of the format: the least counts of both count."""


EARLIER = ("LayerNormalization", "MeanVarianceNormalization", "ThresholdedRelu")
"""Types of the standard that ONNX Runtime knows in earlier operator sets too, with the same operands:
its own schemas of them begin with operator set 1 (measured on 1.31.1: ``tests/test_onnx_faults.py``).
"""


def onnx_arity() -> dict[str, Any]:
    """``domain:Type`` -> rows ``[since, least inputs, most, least outputs, most, required]``; ``required``
    has 1 for each input that may not be an empty name.
    """
    import onnx
    from onnx import defs

    found: dict[str, list[list[Any]]] = {}
    for schema in defs.get_all_schemas_with_history():
        single = "".join(str(int(item.option.name == "Single")) for item in schema.inputs)
        row = [
            schema.since_version, schema.min_input, min(schema.max_input, 9999),
            schema.min_output, min(schema.max_output, 9999), single,
        ]  # fmt: skip
        found.setdefault(f"{schema.domain}:{schema.name}", []).append(row)
    for name in EARLIER:
        found[f":{name}"].append([1, *min(found[f":{name}"])[1:]])
    return {
        "source": f"onnx {onnx.__version__}, onnx.defs; ONNX Runtime 1.31.1 for what it knows earlier",
        "operators": {name: sorted(rows) for name, rows in sorted(found.items())},
    }


def tflite_arity(text: str) -> dict[str, Any]:
    """``TYPE`` -> ``[least inputs, least outputs]``."""
    known = json.loads((FORMATS / "tflite" / "schema.json").read_text())["enums"]["BuiltinOperator"]["values"]
    found: dict[str, list[int]] = {}
    for block in re.split(r"^def TFL_", text, flags=re.M)[1:]:
        mnemonic = re.search(r'"([a-z0-9_]+)"', block)
        arguments = re.search(r"let arguments = \(\s*ins\b(.*?)\);\n", block, re.S)
        results = re.search(r"let results = \(\s*outs\b(.*?)\);\n", block, re.S)
        if mnemonic is None or arguments is None:  # of operators of one class, which says it
            continue
        name = SEVERAL.get(mnemonic[1], mnemonic[1].upper())
        if name in known:
            counts = [_least(arguments[1]), _least(results[1]) if results else 1]
            found[name] = [min(pair) for pair in zip(counts, found.get(name, counts), strict=True)]
    found.update((name, list(counts)) for name, counts in KERNELS.items())
    source = "LiteRT f67457790c9c, tflite/converter/ir/tfl_ops.td"
    return {"source": source, "operators": dict(sorted(found.items()))}


def _least(declared: str) -> int:
    """Up to the last operand that has to be there; attributes are none."""
    declared = re.sub(r"//[^\n]*", "", declared)
    kinds = [part.strip() for part in re.findall(r"([^:]*?):\s*\$\w+\s*,?", declared)]
    operands = [kind for kind in kinds if "Attr" not in kind]
    needed = [not re.match(r"(Variadic|Optional)\b|.*OrNone\b|.*OrNone<", kind, re.S) for kind in operands]
    return max((index + 1 for index, needs in enumerate(needed) if needs), default=0)


def main() -> None:
    """Write both tables."""
    for folder, table in (("onnx", onnx_arity()), ("tflite", tflite_arity(Path(sys.argv[1]).read_text()))):
        lines = [f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in table["operators"].items()]
        text = f'{{"source": {json.dumps(table["source"])}, "operators": {{\n' + ",\n".join(lines) + "\n}}\n"
        (FORMATS / folder / "arity.json").write_text(text)


if __name__ == "__main__":
    main()
