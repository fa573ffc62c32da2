"""The newest version of each builtin operator that releases of LiteRT have a kernel for, asked of them.

    python tools/derive/litert_versions.py 2.3.0 2.2.0 ...

Each release is asked in a process of its own with models of one operator: a model with an operator that has
no kernel in that version does not load. Prints what each release has otherwise than the one before it;
``rules/predicates/litert_kernels.py`` holds what was told.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "dev"))
from wheels import packages

MOST = 20
"""Versions that are asked about."""
ASK = f"""
import json, flatbuffers
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

def model(code, version):
    told = schema.OperatorCodeT()
    told.builtinCode, told.deprecatedBuiltinCode, told.version = code, min(code, 127), version
    graph, op, whole = schema.SubGraphT(), schema.OperatorT(), schema.ModelT()
    op.opcodeIndex, op.inputs, op.outputs = 0, [], []
    graph.tensors, graph.inputs, graph.outputs, graph.operators = [], [], [], [op]
    whole.version, whole.operatorCodes = 3, [told]
    whole.subgraphs, whole.buffers = [graph], [schema.BufferT()]
    builder = flatbuffers.Builder(64)
    builder.Finish(whole.Pack(builder), b"TFL3")
    return bytes(builder.Output())

def has(code, version):
    try:
        Interpreter(
            model_content=model(code, version),
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
    except (ValueError, RuntimeError) as error:
        return "Didn't find op" not in str(error) and "not found" not in str(error)
    return True

names = {{k: v for k, v in vars(schema.BuiltinOperator).items() if k.isupper() and isinstance(v, int)}}
skipped = ("CUSTOM", "DELEGATE", "PLACEHOLDER_FOR_GREATER_OP_CODES")
found = {{
    name: max((version for version in range(1, {MOST}) if has(code, version)), default=0)
    for name, code in names.items() if name not in skipped
}}
print(json.dumps(found))
"""


def main(releases: list[str]) -> None:
    newer: dict[str, int] = {}
    for release in releases:
        path = os.pathsep.join(map(str, packages(f"ai-edge-litert=={release}")))
        done = subprocess.run(
            [sys.executable, "-c", ASK],
            env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            print(release, "exit status", done.returncode, done.stderr.strip()[-300:])
            continue
        told = json.loads(done.stdout.splitlines()[-1])
        names = {**newer, **told}
        other = {name: told.get(name, 0) for name in names if told.get(name, 0) != newer.get(name, 0)}
        print(release, other if newer else f"{sum(map(bool, told.values()))} operators: {told}")
        newer = told


if __name__ == "__main__":
    main(sys.argv[1:])
