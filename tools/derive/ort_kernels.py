"""Derive the rules of ``onnxruntime/cpu`` from the kernels that the installed ONNX Runtime registers.

``python tools/derive/ort_kernels.py`` writes ``rules/packs/onnxruntime_cpu/kernels.toml``: for every operator
the operator sets and element types for which a kernel is registered. A kernel of float32 also serves float16,
since ONNX Runtime puts casts around it.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import names

TARGET = Path(__file__).parents[2] / "rules" / "packs" / "onnxruntime_cpu" / "kernels.toml"
OPEN = 2147483647
DOMAINS = {"": "", "com.microsoft": "com.microsoft:", "ai.onnx.ml": "ai.onnx.ml:"}
NAMES = {"float": "float32", "double": "float64"}
PLAIN = re.compile(r"^tensor\((\w+)\)$")

Place = tuple[str, int]
Combination = dict[Place, frozenset[str]]
Segment = tuple[int, int, list[Combination]]


def main() -> None:
    """Write the file and say how many operators and rules there are."""
    import onnxruntime
    from onnxruntime.capi import _pybind_state as state

    schemas: dict[tuple[str, str], dict[int, Any]] = defaultdict(dict)
    for schema in state.get_all_operator_schema():
        schemas[schema.domain, schema.name][schema.since_version] = schema
    kernels: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for kernel in state.get_all_opkernel_def():
        if kernel.provider == "CPUExecutionProvider" and kernel.domain in DOMAINS:
            kernels[kernel.domain, kernel.op_name].append(kernel)
    newest = max(version for (domain, _), versions in schemas.items() if domain == "" for version in versions)
    segments = {
        key: _segments(schemas[key], kernels[key], newest if key[0] == "" else OPEN)
        for key in sorted(kernels)
    }
    bodies = _with_bodies(schemas, kernels)
    text = _document(segments, schemas, newest, bodies, _written())
    TARGET.write_text(text, encoding="utf-8")
    print(
        f"onnxruntime {onnxruntime.__version__}: {len(segments)} operators with kernels, "
        f"{len(bodies)} by their bodies, "
        f"{text.count('[[rule]]')} rules, operator set {newest}"
    )


def _with_bodies(schemas: Any, kernels: Any) -> set[str]:
    """Operators of the standard that ONNX defines by others and that have no kernel: they become those."""
    written = {name for name, _ in _written()}
    return {name for name in written if ("", name) in schemas and ("", name) not in kernels}


def _written() -> set[tuple[str, int]]:
    """Operators of the standard that ONNX defines by others, with the operator set of that definition."""
    from onnx import defs

    return {
        (item.name, item.since_version)
        for item in defs.get_all_schemas_with_history()
        if item.domain == "" and (item.has_function or item.has_context_dependent_function)
    }


def _segments(versions: dict[int, Any], kernels: list[Any], newest: int) -> list[Segment]:
    """Operator sets, first and last, with the combinations of element types that some kernel takes in
    them.
    """
    result: list[Segment] = []
    starts = sorted(versions)
    for start, end in zip(starts, [*(item - 1 for item in starts[1:]), newest], strict=True):
        schema = versions[start]
        fit = [kernel for kernel in kernels if _matches(kernel.version_range, start)]
        combinations = _merged([_combination(kernel.type_constraints, schema) for kernel in fit])
        if not fit:
            continue
        if result and result[-1][1] + 1 == start and result[-1][2] == combinations:
            result[-1] = (result[-1][0], end, combinations)
        else:
            result.append((start, end, combinations))
    return result


def _matches(versions: tuple[int, int], since: int) -> bool:
    """``KernelRegistry::VerifyKernelDef``: an open range takes its first version only."""
    first, last = versions
    return first == since or (last != OPEN and first <= since <= last)


def _places(schema: Any) -> dict[str, Place]:
    """Type parameter or formal name -> the tensor that shows it: an input that is always there rather than an
    optional one or an output.
    """
    found: dict[str, Place] = {}
    single = [(index, item) for index, item in enumerate(schema.inputs)]
    required = [(index, item) for index, item in single if "Optional" not in str(item.option)]
    for side, items in (("input", required), ("input", single), ("output", list(enumerate(schema.outputs)))):
        for index, item in items:
            found.setdefault(item.typeStr, (side, index))
            found.setdefault(item.name, (side, index))
    return found


def _types(names: Any) -> frozenset[str]:
    return frozenset(NAMES.get(match[1], match[1]) for name in names if (match := PLAIN.match(name)))


def _allowed(schema: Any) -> Combination:
    places = _places(schema)
    return {
        places[item.type_param_str]: _types(item.allowed_type_strs)
        for item in schema.type_constraints
        if item.type_param_str in places
    }


def _combination(constraints: dict[str, list[str]], schema: Any) -> Combination:
    places, whole = _places(schema), _allowed(schema)
    result: Combination = {}
    for name, types in constraints.items():
        if name not in places or any(not PLAIN.match(item) for item in types):
            continue
        plain = _types(types)
        place = places[name]
        if "float32" in plain and place[0] == "input":
            plain |= {"float16"}
        limits = whole.get(place)
        result[place] = plain & limits if limits else plain
    return result


def _merged(combinations: list[Combination]) -> list[Combination]:
    """The same set of types in fewer combinations: two that differ in one place become one."""
    result = list(combinations)
    again = True
    while again:
        again = False
        for left in range(len(result)):
            for right in range(left + 1, len(result)):
                joined = _join(result[left], result[right])
                if joined is not None:
                    result[left] = joined
                    del result[right]
                    again = True
                    break
            if again:
                break
    return result


def _join(left: Combination, right: Combination) -> Combination | None:
    if left.keys() != right.keys():
        return None
    other = [place for place in left if left[place] != right[place]]
    if len(other) > 1:
        return None
    return {place: types | right[place] for place, types in left.items()}


FOLLOWS = ("EyeLike", "RandomNormalLike", "RandomUniformLike", "com.microsoft:GridSample")
"""Only the result shows the type parameter: where the input is float16, casts around the operator serve a
float16 result.
"""
UNFOLDED = {"Attention": 1, "Range": 27}
"""Operators, with the operator set from which on they have a kernel for some element types and a body in the
standard: for other types the operator becomes its body, so that the types of its kernels are no limit.
``model.toml`` has what the bodies' operators lack.
"""
ORDER = [
    "float32",
    "float16",
    "float64",
    "bfloat16",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "bool",
    "string",
]


def _sorted(types: frozenset[str]) -> list[str]:
    return sorted(types, key=lambda name: (ORDER.index(name) if name in ORDER else 99, name))


def _condition(place: Place, types: frozenset[str]) -> str:
    return f'{{ {place[0]} = {place[1]}, of = "dtype", one_of = {json.dumps(_sorted(types))} }}'


def _case(op: str, version: int, tensors: Combination | dict[Place, str]) -> str:
    sides: dict[str, list[str]] = {"input": [], "output": []}
    for (side, index), dtype in sorted(tensors.items()):
        sides[side] += ["float32[2]"] * (index - len(sides[side])) + [f"{dtype}[2]"]
    parts = [f'type = "{op}"', f"version = {version}"]
    parts += [f"in = {json.dumps(sides['input'])}"] if sides["input"] else []
    parts += [f"out = {json.dumps(sides['output'])}"] if sides["output"] else []
    return "{ " + ", ".join(parts) + " }"


def _document(
    segments: dict[tuple[str, str], list[Segment]],
    schemas: Any,
    newest: int,
    bodies: set[str],
    written: set[tuple[str, int]],
) -> str:
    listed = {key: DOMAINS[key[0]] + key[1] for key in segments}
    lines = [
        "# Derived by tools/derive/ort_kernels.py from the kernels that onnxruntime registers; do not edit.",
        "",
    ]
    plain = [listed[key] for key in segments if listed[key] not in bodies]
    lines += _support(plain, "kernels") + _support(sorted(bodies), "bodies")
    rules: dict[Any, list[tuple[str, int]]] = defaultdict(list)
    strangers: dict[Any, Any] = {}
    for key, found in segments.items():
        if listed[key] in bodies:
            continue
        for first, last, combinations in found:
            if first >= UNFOLDED.get(listed[key], OPEN):
                continue
            bounds = (
                first if first > min(schemas[key]) else 0,
                last if last < (newest if key[0] == "" else OPEN) else OPEN,
            )
            if len(combinations) == 1:
                for place, types in sorted(combinations[0].items()):
                    whole = _allowed(schemas[key][_since(schemas[key], first)]).get(place, frozenset())
                    follows = place[0] == "output" and listed[key] in FOLLOWS
                    rule = (bounds, ("follows" if follows else "one", place, tuple(_sorted(types))))
                    rules[rule].append((listed[key], first))
                    strangers.setdefault(rule, _first(whole - types))
            else:
                shape = tuple(
                    tuple((place, tuple(_sorted(types))) for place, types in sorted(item.items()))
                    for item in combinations
                )
                rules[bounds, ("any", *shape)].append((listed[key], first))
                whole_set = _allowed(schemas[key][_since(schemas[key], first)])
                strangers.setdefault((bounds, ("any", *shape)), _stranger(combinations, whole_set))
        end = newest if key[0] == "" else OPEN
        spans = sorted(
            [(low, high) for low, high, _ in found] + _by_body(key, schemas[key], found, end, written)
        )
        lines += _versions(listed[key], spans, end, min(schemas[key]))
    for rule, ops in rules.items():
        lines += _rule(*rule, strangers[rule], ops)
    return "\n".join(lines).rstrip() + "\n"


def _by_body(
    key: tuple[str, str], versions: Any, found: list[Segment], newest: int, written: set[tuple[str, int]]
) -> list[tuple[int, int]]:
    """Operator sets without a kernel in which the operator becomes those that define it."""
    starts = sorted(versions)
    return [
        (start, end)
        for start, end in zip(starts, [*(item - 1 for item in starts[1:]), newest], strict=True)
        if key[0] == ""
        and (key[1], start) in written
        and not any(low <= start <= high for low, high, _ in found)
    ]


def _since(versions: Any, version: int) -> int:
    return max(item for item in versions if item <= version)


def _first(types: frozenset[str]) -> str:
    return (_sorted(types) or ["complex64"])[0]


def _stranger(combinations: list[Combination], whole: Combination) -> tuple[tuple[Place, str], ...]:
    """Types that no combination has: the first place in a type that none takes, or a mix."""
    import itertools

    places = sorted({place for item in combinations for place in item})
    pools = [
        [
            *_sorted(frozenset().union(*(item.get(place, frozenset()) for item in combinations))),
            *_sorted(whole.get(place, frozenset())),
            "complex64",
        ]
        for place in places
    ]
    for chosen in itertools.product(*pools):
        if not any(
            all(dtype in item.get(place, {dtype}) for place, dtype in zip(places, chosen, strict=True))
            for item in combinations
        ):
            return tuple(zip(places, chosen, strict=True))
    raise AssertionError("every mix of types is supported")


def _support(ops: list[str], source: str) -> list[str]:
    return ["[[support]]", f"ops = {json.dumps(ops)}", f'source = "{source}"', ""]


def _versions(op: str, served: list[tuple[int, int]], newest: int, first: int) -> list[str]:
    spans: list[tuple[int, int]] = []
    for low, high in served:
        if spans and spans[-1][1] + 1 == low:
            spans[-1] = (spans[-1][0], high)
        else:
            spans.append((low, high))
    if spans == [(first, newest)]:
        return []
    parts = [
        f'{{ op = "version", between = [{low}, {high}] }}'
        if high < newest
        else f'{{ op = "version", at_least = {low} }}'
        for low, high in spans
    ]
    outside = next(
        item
        for item in (first, *(high + 1 for _, high in spans))
        if not any(low <= item <= high for low, high in spans)
    )
    return [
        "[[rule]]",
        'id = "ACL202"',
        f'name = "version-of-{names.slug(op)}"',
        f'ops = ["{op}"]',
        'effect = "rejected"',
        'message = "{type} of operator set {version} has no kernel; supported: {limit}"',
        f"require = [{parts[0] if len(parts) == 1 else '{ any_of = [' + ', '.join(parts) + '] }'}]",
        'source = "kernels"',
        'reason = "No kernel is registered for the operator in that version."',
        f"examples.holds = [{{ version = {spans[0][0]} }}]",
        f"examples.fails = [{{ version = {outside} }}]",
        "",
    ]


def _name(bounds: tuple[int, int], content: Any, ops: list[tuple[str, int]]) -> str:
    """What the rule limits; a mix of types is told apart by the operators that take it."""
    if content[0] == "any":
        stem = "-or-".join(dict.fromkeys(names.operator(op) for op, _ in ops)) + "-dtype-mix"
    else:
        kind, (side, index), types = content
        stem = f"{names.places(side, [index])}-not-{names.dtypes(types)}"
        stem += "-unless-input-0-f16" if kind == "follows" else ""
    return stem + names.opsets(*bounds, OPEN)


def _rule(bounds: tuple[int, int], content: Any, bad: Any, ops: list[tuple[str, int]]) -> list[str]:
    if content[0] == "any":
        options = [[(place, frozenset(types)) for place, types in item] for item in content[1:]]
        require = (
            "{ any_of = [\n    "
            + ",\n    ".join(
                "[" + ", ".join(_condition(*item) for item in option) + "]" for option in options
            )
            + ",\n] }"
        )
        good = {place: _sorted(types)[0] for place, types in options[0]}
        wrong = dict(bad)
        subject = "dtype-mix"
    else:
        kind, place, types = content
        require = _condition(place, frozenset(types))
        if kind == "follows":
            alone = _condition(place, frozenset({"float16"}))
            require = (
                f"{{ any_of = [[{require}], [{_condition(('input', 0), frozenset({'float16'}))}, {alone}]] }}"
            )
        good, wrong = {place: types[0]}, {place: bad}
        subject = f"dtype-of-{names.places(place[0], [place[1]])}"
    low, high = bounds
    guard = ""
    holds = [_case(ops[0][0], max(low, ops[0][1]), good)]
    if content[0] == "follows":
        wrong["input", 0] = "float32"
    if low or high < OPEN:
        guard = (
            f'{{ op = "version", between = [{low}, {high}] }}'
            if low and high < OPEN
            else f'{{ op = "version", at_least = {low} }}'
            if low
            else f'{{ op = "version", at_most = {high} }}'
        )
        holds.append(_case(ops[0][0], low - 1 if low else high + 1, wrong))
    return [
        "[[rule]]",
        'id = "ACL301"',
        f'name = "{_name(bounds, content, ops)}"',
        f'identity = "{subject}"',
        f"ops = {json.dumps([name for name, _ in ops])}",
        'effect = "rejected"',
        'message = "{seen} has no kernel for {type}; supported: {limit}"',
        *([f"when = [{guard}]"] if guard else []),
        f"require = [{require}]",
        'source = "kernels"',
        'reason = "No kernel is registered for other element types."',
        f"examples.holds = [{', '.join(holds)}]",
        f"examples.fails = [{_case(ops[0][0], max(low, ops[0][1]), wrong)}]",
        "",
    ]


if __name__ == "__main__":
    main()
