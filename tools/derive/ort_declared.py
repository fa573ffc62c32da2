"""The operators of ONNX Runtime's own domain and their attributes, and the operators that the CPU provider
has a float16 kernel for, with the release that brought each.

    python tools/derive/ort_declared.py

Installs the releases of ``ort_releases.py`` into .work/releases, lists the schemas of each in a process of
its own and writes ``rules/predicates/ort_schemas.json``: by operator the release that has it first, and of
each attribute the first release that declares it; empty where the oldest listed release has it. ``gone``
tells the first release without an attribute that the release before it declares.
``float16``: operators with a kernel that takes float16, and the releases between which they have it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "dev"))
from accelint.rules.versions import version_key
from ort_releases import RELEASES
from wheels import OLD_NUMPY, packages

DOMAIN = "com.microsoft"
TARGET = Path(__file__).parents[2] / "rules" / "predicates" / "ort_schemas.json"
LISTED = f"""
import json
from onnxruntime.capi import _pybind_state as state
found = {{}}
for item in state.get_all_operator_schema():
    if item.domain == {DOMAIN!r}:
        found.setdefault(item.name, set()).update(item.attributes)
half = sorted({{
    (item.domain and item.domain + ":") + item.op_name
    for item in state.get_all_opkernel_def()
    if item.provider == "CPUExecutionProvider"
    and any("tensor(float16)" in types for types in item.type_constraints.values())
}})
print(json.dumps([{{name: sorted(attributes) for name, attributes in found.items()}}, half]))
"""
Schemas = dict[str, list[str]]


def main() -> None:
    """Write the file and say how much changed after the oldest release."""
    told = {release: _listed(release) for release in RELEASES}
    listed = {release: schemas for release, (schemas, _) in told.items()}
    kernels = {release: half for release, (_, half) in told.items()}
    operators = {name: _operator(name, listed) for name in sorted(set().union(*listed.values()))}
    half = {name: _spans(name, kernels) for name in sorted(set().union(*kernels.values()))}
    document = {"releases": list(RELEASES), "domain": DOMAIN, "operators": operators, "float16": half}
    TARGET.write_text(json.dumps(document) + "\n", encoding="utf-8")
    later = sum(bool(since) for row in operators.values() for since in row["attributes"].values())
    print(f"{len(operators)} operators, {later} attributes after {RELEASES[0]}")


def _listed(release: str) -> tuple[Schemas, list[str]]:
    """The operators of a release with their attributes, and those with a float16 kernel."""
    old = version_key(release) < (1, 19)
    folders = packages(f"onnxruntime=={release}", *([OLD_NUMPY] if old else []))
    told = subprocess.run(
        [sys.executable, "-c", LISTED],
        env={"PYTHONPATH": os.pathsep.join(map(str, folders)), "PATH": "/usr/bin:/bin"},
        check=True,
        capture_output=True,
        text=True,
    )
    schemas, half = json.loads(told.stdout)
    return schemas, half


def _operator(name: str, listed: dict[str, Schemas]) -> dict[str, Any]:
    having = [release for release in RELEASES if name in listed[release]]
    row: dict[str, Any] = {"since": _first(having), "attributes": {}}
    for attribute in sorted(set().union(*(listed[release][name] for release in having))):
        declared = [release for release in having if attribute in listed[release][name]]
        row["attributes"][attribute] = "" if declared[0] == having[0] else _first(declared)
        if declared[-1] != having[-1]:
            row.setdefault("gone", {})[attribute] = having[having.index(declared[-1]) + 1]
    return row


def _spans(name: str, listed: dict[str, list[str]]) -> list[list[str]]:
    """From which release on and before which one an operator is listed; empty: from the oldest, to the
    newest.
    """
    found: list[list[str]] = []
    before = False
    for release in RELEASES:
        now = name in listed[release]
        if now and not before:
            found.append(["" if release == RELEASES[0] else release, ""])
        elif before and not now:
            found[-1][1] = release
        before = now
    return found


def _first(releases: list[str]) -> str:
    return "" if releases[0] == RELEASES[0] else releases[0]


if __name__ == "__main__":
    main()
