"""Derive what older releases of ONNX Runtime had no CPU kernel for, as rules with an end, from the kernels
that they register.

``python tools/derive/ort_releases.py`` installs each release below into .work/releases, lists its kernels in
a process of its own, and writes ``rules/packs/onnxruntime_cpu/releases.toml`` beside ``kernels.toml``, which
has the newest. Providers that come with an older ONNX Runtime (`host` in their packs) leave operators to that
release's CPU kernels: what it lacks stops the session.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import names
from ort_kernels import (
    DOMAINS,
    OPEN,
    ORDER,
    Combination,
    Place,
    _case,
    _combination,
    _matches,
    _sorted,
    _with_bodies,
)

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "rules" / "packs" / "onnxruntime_cpu" / "releases.toml"
RELEASES = (
    "1.24.1",
    "1.25.0",
    "1.25.1",
    "1.26.0",
    "1.27.0",
    "1.28.0",
    "1.29.0",
    "1.30.0",
    "1.31.0",
    "1.31.1",
)
LISTED = """
import json
from onnxruntime.capi import _pybind_state as state
print(json.dumps([
    [item.domain, item.op_name, list(item.version_range), {k: [*v] for k, v in item.type_constraints.items()}]
    for item in state.get_all_opkernel_def() if item.provider == "CPUExecutionProvider"
]))
"""
Kernels = dict[tuple[str, str], list[tuple[tuple[int, int], dict[str, list[str]]]]]
Gap = tuple[str, tuple[int, int], Place | None, tuple[str, ...]]


def main() -> None:
    """Write the file and say how many rules there are."""
    from onnxruntime.capi import _pybind_state as state

    schemas: dict[tuple[str, str], dict[int, Any]] = defaultdict(dict)
    for schema in state.get_all_operator_schema():
        schemas[schema.domain, schema.name][schema.since_version] = schema
    listed = {release: _listed(release) for release in RELEASES}
    newest = listed[RELEASES[-1]]
    bodies = _with_bodies(schemas, newest)
    gaps: dict[Gap, str] = {}
    for older, release in itertools.pairwise(RELEASES):
        for key in sorted(newest):
            if key[0] in DOMAINS and key in schemas and key[1] not in bodies:
                gaps.update(
                    dict.fromkeys(
                        _gaps(key, schemas[key], listed[older].get(key, []), listed[release].get(key, [])),
                        release,
                    )
                )
    TARGET.write_text(_document(gaps), encoding="utf-8")
    print(f"{len(gaps)} rules for releases {RELEASES[0]} to {RELEASES[-1]}")


def _listed(release: str) -> Kernels:
    """The CPU kernels of a release: operator -> operator sets and element types of each."""
    folder = ROOT / ".work" / "releases" / release
    if not folder.is_dir():
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            str(folder),
            f"onnxruntime=={release}",
        ]
        subprocess.run(command, check=True)
    told = subprocess.run(
        [sys.executable, "-c", LISTED],
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"},
        check=True,
        capture_output=True,
        text=True,
    )
    found: Kernels = defaultdict(list)
    for domain, name, (first, last), types in json.loads(told.stdout.splitlines()[-1]):
        found[domain, name].append(((first, last), types))
    return dict(found)


def _gaps(key: tuple[str, str], versions: dict[int, Any], older: Any, newer: Any) -> list[Gap]:
    """What the newer release has kernels for and the older has not: no kernel at all (place None), or none of
    some element types.
    """
    name, starts, result = DOMAINS[key[0]] + key[1], sorted(versions), []
    for start, end in zip(starts, [*(item - 1 for item in starts[1:]), 0], strict=True):
        before, now = (_of(kernels, start, versions[start]) for kernels in (older, newer))
        if not now:
            continue
        if not before:
            result.append((name, (start, end), None, ()))
            continue
        for place in sorted({place for item in now for place in item}):
            if any(place not in item for item in before):
                continue
            had = frozenset().union(*(item[place] for item in before))
            missing = frozenset().union(*(item.get(place, frozenset()) for item in now)) - had
            if missing:
                result.append((name, (start, end), place, tuple(_sorted(missing))))
    return _joined(result)


def _joined(gaps: list[Gap]) -> list[Gap]:
    """Gaps of one kind in operator sets that follow each other are one."""
    result: list[Gap] = []
    for name, (start, end), place, types in sorted(gaps, key=lambda gap: (str(gap[2]), gap[3], gap[1])):
        last = result[-1] if result else None
        if last is not None and last[0] == name and last[2:] == (place, types) and last[1][1] + 1 == start:
            result[-1] = (name, (last[1][0], end), place, types)
        else:
            result.append((name, (start, end), place, types))
    return result


def _of(kernels: Any, start: int, schema: Any) -> list[Combination]:
    return [_combination(types, schema) for versions, types in kernels if _matches(versions, start)]


def _document(gaps: dict[Gap, str]) -> str:
    lines = [
        "# Derived by tools/derive/ort_releases.py from the kernels that releases of "
        "onnxruntime register; do not edit.",
        "",
    ]
    for (name, (start, end), place, types), release in gaps.items():
        lines += _rule(name, start, end, place, types, release)
    return "\n".join(lines).rstrip() + "\n"


def _rule(
    name: str, start: int, end: int, place: Place | None, types: tuple[str, ...], release: str
) -> list[str]:
    """A rule that ends with the release; its cases are decided at the newest release, so they only say that
    it has ended.
    """
    spans = names.opsets(start if start > 1 else 0, end or OPEN, OPEN)
    called = f"{names.operator(name)}{spans}-until-{names.slug(release)}"
    called += "" if place is None else f"-{names.places(place[0], [place[1]])}"
    span = (
        f'{{ op = "version", between = [{start}, {end}] }}'
        if end
        else f'{{ op = "version", at_least = {start} }}'
    )
    lines = [
        "[[rule]]",
        'id = "ACL301"' if place else 'id = "ACL202"',
        f'name = "{called}"',
        f'ops = ["{name}"]',
        'effect = "rejected"',
        f'until = "{release}"',
        *([f"when = [{span}]"] if start > 1 or end else []),
    ]
    if place is None:
        lines += [
            "refuse = true",
            f'message = "ONNX Runtime before {release} has no CPU kernel for {{type}} of '
            f'operator set {{version}}"',
        ]
        other_set = start - 1 if start > 1 else end + 1
        holds, fails = [_case(name, other_set, {})] if start > 1 or end else [], [_case(name, start, {})]
    else:
        lines += [
            f'require = [{{ {place[0]} = {place[1]}, of = "dtype", none_of = {json.dumps(list(types))} }}]',
            f'message = "{{seen}} has no CPU kernel for {{type}} before {release}"',
        ]
        other = next(item for item in ORDER if item not in types)
        outside = [start - 1] if start > 1 else [end + 1] if end else []
        holds = [
            _case(name, start, {place: other}),
            *(_case(name, version, {place: types[0]}) for version in outside),
        ]
        fails = [_case(name, start, {place: types[0]})]
    lines += ['source = "kernels"', f'reason = "The kernel was registered in {release}."']
    lines += [f"examples.holds = [{', '.join(holds)}]"] if holds else []
    lines += [f"examples.fails = [{', '.join(fails)}]", ""]
    return lines


if __name__ == "__main__":
    main()
