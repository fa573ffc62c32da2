"""Derive what older releases of ONNX Runtime had no CPU kernel for, as rules with an end, from the kernels
that they register.

``python tools/derive/ort_releases.py`` installs each release below into .work/releases, lists its kernels in
a process of its own, and writes ``rules/packs/onnxruntime_cpu/releases.toml`` beside ``kernels.toml``, which
has the newest; the schemas are those of the onnxruntime that this process imports, which is to be the newest
(``PYTHONPATH=.work/releases/onnxruntime/1.32.0``).

Providers that come with an older ONNX Runtime (`host` in their packs) leave operators to that
release's CPU kernels: what it lacks stops the session.
"""

from __future__ import annotations

import itertools
import json
import os
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
    _allowed,
    _case,
    _combination,
    _condition,
    _matches,
    _merged,
    _sorted,
    _stranger,
    _with_bodies,
    _written,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "dev"))
from accelint.rules.versions import version_key
from wheels import OLD_NUMPY, packages

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "rules" / "packs" / "onnxruntime_cpu" / "releases.toml"
RELEASES = (  # those before 1.16 do not list their kernels
    *("1.16.0", "1.16.1", "1.16.2", "1.16.3", "1.17.0", "1.17.1", "1.17.3"),
    *("1.18.0", "1.18.1", "1.19.0", "1.19.2", "1.20.0", "1.20.1", "1.21.0", "1.21.1", "1.22.0", "1.22.1"),
    *("1.23.0", "1.23.1", "1.23.2", "1.24.1", "1.24.2", "1.24.3", "1.24.4", "1.25.0", "1.25.1"),
    *("1.26.0", "1.27.0", "1.28.0", "1.29.0", "1.30.0", "1.31.0", "1.31.1", "1.32.0"),
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
"""What a release lacks: operator, operator sets, and the element types of one operand (None: any kernel)."""
Mix = tuple[tuple[tuple[Place, tuple[str, ...]], ...], ...]
"""The mixes of element types that a release has kernels for, where no operand alone tells."""


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
    mixes: dict[tuple[str, tuple[int, int], str], tuple[Mix, tuple[tuple[Place, str], ...]]] = {}
    for older, release in itertools.pairwise(RELEASES):
        for key in sorted(newest):
            if key[0] not in DOMAINS or key not in schemas or key[1] in bodies:
                continue
            had, has = listed[older].get(key, []), listed[release].get(key, [])
            gaps.update(dict.fromkeys(_gaps(key, schemas[key], had, has), release))
            for span, mix, stranger in _mixes(schemas[key], had, has):
                mixes[DOMAINS[key[0]] + key[1], span, release] = mix, stranger
    rules = [line for gap, release in gaps.items() for line in _rule(*_spanned(gap), release)]
    for (name, span, release), (mix, stranger) in mixes.items():
        rules += _mixed(name, span, release, mix, stranger)
    TARGET.write_text(_document(rules), encoding="utf-8")
    print(f"{len(gaps) + len(mixes)} rules for releases {RELEASES[0]} to {RELEASES[-1]}")


def _spans(versions: dict[int, Any]) -> list[tuple[int, int]]:
    """Operator sets, first and last (0: none), from one schema to the next."""
    starts = sorted(versions)
    return list(zip(starts, [*(item - 1 for item in starts[1:]), 0], strict=True))


def _spanned(gap: Gap) -> tuple[str, int, int, Place | None, tuple[str, ...]]:
    name, (start, end), place, types = gap
    return name, start, end, place, types


def _mixes(
    versions: dict[int, Any], older: Any, newer: Any
) -> list[tuple[tuple[int, int], Mix, tuple[tuple[Place, str], ...]]]:
    """Operator sets in which the newer release mixes element types that the older has kernels for, each by
    itself, and none for the mix; with the older's mixes and one that it lacks.
    """
    found = []
    for start, end in _spans(versions):
        before, now = (
            [item for item in _merged(_of(kernels, start, versions[start])) if all(item.values())]
            for kernels in (older, newer)
        )
        if not before or not now or {*before[0]} != {*now[0]}:
            continue
        had = {place: frozenset().union(*(item[place] for item in before)) for place in before[0]}
        lacking = (
            dict(zip(had, types, strict=True))
            for item in now
            for types in itertools.product(*(_sorted(item[place] & had[place]) for place in had))
        )
        missing = [
            mix
            for mix in lacking
            if not any(all(mix[place] in item[place] for place in mix) for item in before)
        ]
        if missing:
            mix = tuple(tuple((place, tuple(_sorted(item[place]))) for place in item) for item in before)
            found.append(((start, end), mix, _stranger(before, _allowed(versions[start]))))
    return found


def _listed(release: str) -> Kernels:
    """The CPU kernels of a release: operator -> operator sets and element types of each."""
    old = version_key(release) < (1, 19)
    folders = packages(f"onnxruntime=={release}", *([OLD_NUMPY] if old else []))
    told = subprocess.run(
        [sys.executable, "-c", LISTED],
        env={"PYTHONPATH": os.pathsep.join(map(str, folders)), "PATH": "/usr/bin:/bin"},
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
    name: str = DOMAINS[key[0]] + key[1]
    written = _written()
    result: list[Gap] = []
    for start, end in _spans(versions):
        before, now = (_of(kernels, start, versions[start]) for kernels in (older, newer))
        if not now:
            continue
        if not before:
            if key[0] or (key[1], start) not in written:
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


def _document(rules: list[str]) -> str:
    lines = [
        "# Derived by tools/derive/ort_releases.py from the kernels that releases of "
        "onnxruntime register; do not edit.",
        "",
        *rules,
    ]
    return "\n".join(lines).rstrip() + "\n"


def _mixed(
    name: str, span: tuple[int, int], release: str, mix: Mix, stranger: tuple[tuple[Place, str], ...]
) -> list[str]:
    """A rule that has the older release's mixes of element types."""
    start, end = span
    spans = names.opsets(start if start > 1 else 0, end or OPEN, OPEN)
    options = [[(place, frozenset(types)) for place, types in item] for item in mix]
    alternatives = ",\n    ".join(
        "[" + ", ".join(_condition(*item) for item in option) + "]" for option in options
    )
    good = {place: types[0] for place, types in mix[0]}
    holds = [_case(name, start, good)]
    holds += [_case(name, start - 1, dict(stranger))] if start > 1 else []
    holds += [_case(name, end + 1, dict(stranger))] if start == 1 and end else []
    return [
        "[[rule]]",
        'id = "ACL301"',
        f'name = "{names.operator(name)}{spans}-until-{names.slug(release)}-dtype-mix"',
        f'ops = ["{name}"]',
        'effect = "rejected"',
        f'until = "{release}"',
        *([f"when = [{_span(start, end)}]"] if start > 1 or end else []),
        f"require = [{{ any_of = [\n    {alternatives},\n] }}]",
        f'message = "{{seen}} has no CPU kernel for {{type}} before {release}; supported: {{limit}}"',
        'source = "kernels"',
        f'reason = "The kernel was registered in {release}."',
        f"examples.holds = [{', '.join(holds)}]",
        f"examples.fails = [{_case(name, start, dict(stranger))}]",
        "",
    ]


def _span(start: int, end: int) -> str:
    return (
        f'{{ op = "version", between = [{start}, {end}] }}'
        if end
        else f'{{ op = "version", at_least = {start} }}'
    )


def _rule(
    name: str, start: int, end: int, place: Place | None, types: tuple[str, ...], release: str
) -> list[str]:
    """A rule that ends with the release; its cases are decided at the newest release, so they only say that
    it has ended.
    """
    spans = names.opsets(start if start > 1 else 0, end or OPEN, OPEN)
    called = f"{names.operator(name)}{spans}-until-{names.slug(release)}"
    called += "" if place is None else f"-{names.places(place[0], [place[1]])}"
    span = _span(start, end)
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
