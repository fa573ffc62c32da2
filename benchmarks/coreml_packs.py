"""Write ``rules/packs/coreml_convertible/measured.toml`` from what coremltools answered (``coreml_convertible.py``).

    python benchmarks/coreml_packs.py benchmarks/coreml_convertible.tsv

Element types, boolean and enumerated attributes, and inputs whose value the converter needs. A rule holds for the variants whose
targets refuse the same values. Ranks and open shapes are read by hand (``operators.toml``): they hang on the rest of a call.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tf_packs import PACKS, Told, _is_type, _list, _rule, _told

OUT = PACKS / "coreml_convertible" / "measured.toml"
TARGETS = ("ios15", "ios16", "ios17", "ios18")
BY_HAND = {
    ("BlockLSTM", ""), ("BlockLSTMV2", ""), ("Concat", "T"), ("ConcatV2", "T"), ("ConcatV2", "stored"), ("If", ""), ("StatelessIf", ""),
    ("SpaceToBatchND", "Tblock_shape"), ("SparseSoftmaxCrossEntropyWithLogits", ""), ("CropAndResize", ""), ("TopKV2", "sorted"),
}  # fmt: skip
"""Operators, or what was varied of them, whose rows tell of the call rather than of the operator."""
COMPUTED = '{ op = "computed_inputs", at_least = 1 }'


def main() -> None:
    """Read the table, write the file."""
    told = {op: item for op, item in _told(Path(sys.argv[1])).items() if item.base.startswith("converts") and (op, "") not in BY_HAND}
    lines = ["# Written by benchmarks/coreml_packs.py from benchmarks/coreml_convertible.tsv.", "", *_types(told), *_stored(told)]
    OUT.write_text("\n".join(lines).rstrip() + "\n")


def _takes(target: str) -> tuple[str, ...]:
    """The answers that mean that a target converts."""
    return ("converts", *(f"converts from {name.replace('ios', 'iOS')}" for name in TARGETS[1 : TARGETS.index(target) + 1]))


def _by_target(item: Told, what: str) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Values that are refused, with the targets that refuse just those."""
    found: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for target in TARGETS:
        bad = item.bad(what, _takes(target))
        if bad and item.good(what, _takes(target)):
            found[bad].append(target)
    for bad, targets in found.items():
        yield bad, tuple(targets)


def _types(told: dict[str, Told]) -> list[str]:
    refused: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[str]] = defaultdict(list)
    for op, item in told.items():
        for what, values in item.varied.items():
            words = all(map(_is_type, values)) or all(value in ("true", "false") or value[:1] == '"' for value in values)
            if words and what not in ("open", "outputs") and "input" not in what and (op, what) not in BY_HAND:
                for bad, targets in _by_target(item, what):
                    refused[what, bad, targets].append(op)
    lines: list[str] = []
    for number, ((attr, bad, targets), ops) in enumerate(sorted(refused.items()), 1):
        good = told[ops[0]].good(attr, _takes(targets[0]))[0]
        kind = _is_type(bad[0])
        shown = [f'"{value}"' if kind else value for value in (*bad, good)]
        require = f'{{ attr = "{attr}", none_of = {_list(bad) if kind else "[" + ", ".join(bad) + "]"} }}'
        folded = f', {{ attrs = {{ {attr} = {shown[0]} }}, in = ["const float32[2]"] }}'
        holds = f'{{ attrs = {{ {attr} = {shown[-1]} }}, in = ["float32[4,4]"] }}{folded}'
        fails = f'{{ attrs = {{ {attr} = {shown[0]} }}, in = ["float32[4,4]"] }}'
        code, name = ("ACL301", "element-type") if kind else ("ACL501", "attribute")
        rule = _rule(code, f"{name}-{number}", ops, f"{{type}} does not convert with {attr} {{seen}}", require, holds, fails, COMPUTED)
        lines += _of(rule, targets)
    return lines


def _stored(told: dict[str, Told]) -> list[str]:
    needed: dict[tuple[tuple[int, ...], tuple[str, ...]], list[str]] = defaultdict(list)
    for op, item in told.items():
        if (op, "stored") in BY_HAND or any(isinstance(text, list) for text in item.inputs):
            continue
        places = [int(what.split()[1]) for what in item.varied if what.startswith("input ") and len(what.split()) == 2]
        by_places: dict[tuple[int, ...], list[str]] = defaultdict(list)
        for target in TARGETS:
            takes = _takes(target)
            found = tuple(sorted(place for place in places if item.varied[f"input {place}"].get("computed") not in (None, *takes)))
            if found:
                by_places[found].append(target)
        for found, targets in by_places.items():
            needed[found, tuple(targets)].append(op)
    lines: list[str] = []
    for number, ((places, targets), ops) in enumerate(sorted(needed.items()), 1):
        which = str(places[0]) if len(places) == 1 else str(list(places))
        inputs = ['"float32[4,4]"' if place not in places else '"const int32[2]"' for place in range(max(places) + 1)]
        wrong = [text.replace("const ", "") for text in inputs]
        message = "the converter needs the value: {seen}"
        require = f'{{ input = {which}, of = "const", eq = true }}'
        rule = _rule(
            "ACL502",
            f"computed-input-{number}",
            ops,
            message,
            require,
            f"{{ in = [{', '.join(inputs)}] }}",
            f"{{ in = [{', '.join(wrong)}] }}",
        )
        lines += _of(rule, targets)
    return lines


def _of(rule: list[str], targets: tuple[str, ...]) -> list[str]:
    """The rule for some variants only, where it does not hold for all."""
    return rule if targets == TARGETS else [*rule[:4], f"variants = {_list(targets)}", *rule[4:]]


if __name__ == "__main__":
    main()
