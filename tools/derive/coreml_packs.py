"""Write ``rules/packs/coreml_convertible/measured.toml`` from what coremltools answered
(``coreml_convertible.py``).

    python tools/derive/coreml_packs.py tools/derive/coreml_convertible.tsv

Element types, boolean and enumerated attributes, and inputs whose value the converter needs. The answers are
those for iOS 15 and hold for every variant. Ranks and open shapes are read by hand (``operators.toml``): they
hang on the rest of a call.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import names
from tf_packs import NOT_WITH, PACKS, Told, _is_type, _list, _rule, _told

OUT = PACKS / "coreml_convertible" / "measured.toml"
TAKES = ("converts",)
BY_HAND = {
    ("BlockLSTM", ""),
    ("BlockLSTMV2", ""),
    ("Concat", "T"),
    ("ConcatV2", "T"),
    ("ConcatV2", "stored"),
    ("If", ""),
    ("StatelessIf", ""),
    ("SpaceToBatchND", "Tblock_shape"),
    ("SparseSoftmaxCrossEntropyWithLogits", ""),
    ("CropAndResize", ""),
    ("TopKV2", "sorted"),
}
"""Operators, or what was varied of them, whose rows tell of the call rather than of the operator."""
COMPUTED = '{ op = "computed_inputs", at_least = 1 }'


def main() -> None:
    """Read the table, write the file."""
    told = {
        op: item
        for op, item in _told(Path(sys.argv[1])).items()
        if item.base in TAKES and (op, "") not in BY_HAND
    }
    lines = [
        "# Written by tools/derive/coreml_packs.py from tools/derive/coreml_convertible.tsv.",
        "",
        *_types(told),
        *_stored(told),
    ]
    OUT.write_text("\n".join(lines).rstrip() + "\n")


def _types(told: dict[str, Told]) -> list[str]:
    not_convertible: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for op, item in told.items():
        for what, values in item.varied.items():
            words = all(map(_is_type, values)) or all(
                value in ("true", "false") or value[:1] == '"' for value in values
            )
            if (
                words
                and what not in ("open", "outputs")
                and "input" not in what
                and (op, what) not in BY_HAND
            ):
                bad = item.bad(what, TAKES)
                if bad and item.good(what, TAKES):
                    not_convertible[what, bad].append(op)
    lines: list[str] = []
    for (attr, bad), ops in sorted(not_convertible.items()):
        good = told[ops[0]].good(attr, TAKES)[0]
        kind = _is_type(bad[0])
        shown = [f'"{value}"' if kind else value for value in (*bad, good)]
        require = f'{{ attr = "{attr}", none_of = {_list(bad) if kind else "[" + ", ".join(bad) + "]"} }}'
        folded = f', {{ attrs = {{ {attr} = {shown[0]} }}, in = ["const float32[2]"] }}'
        holds = f'{{ attrs = {{ {attr} = {shown[-1]} }}, in = ["float32[4,4]"] }}{folded}'
        fails = f'{{ attrs = {{ {attr} = {shown[0]} }}, in = ["float32[4,4]"] }}'
        code = "ACL301" if kind else "ACL501"
        name = (
            (names.element_types(attr, bad, False), f"dtype-of-{names.slug(attr)}")
            if kind
            else (names.attribute(attr, bad), names.slug(attr))
        )
        lines += _rule(
            code,
            name,
            ops,
            NOT_WITH,
            require,
            holds,
            fails,
            COMPUTED,
        )
    return lines


def _stored(told: dict[str, Told]) -> list[str]:
    needed: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for op, item in told.items():
        if (op, "stored") in BY_HAND or any(isinstance(text, list) for text in item.inputs):
            continue
        places = [
            int(what.split()[1])
            for what in item.varied
            if what.startswith("input ") and len(what.split()) == 2
        ]
        found = tuple(
            sorted(
                place
                for place in places
                if item.varied[f"input {place}"].get("computed") not in (None, *TAKES)
            )
        )
        if found:
            needed[found].append(op)
    lines: list[str] = []
    for places, ops in sorted(needed.items()):
        which = str(places[0]) if len(places) == 1 else str(list(places))
        inputs = [
            '"float32[4,4]"' if place not in places else '"const int32[2]"'
            for place in range(max(places) + 1)
        ]
        wrong = [text.replace("const ", "") for text in inputs]
        message = "{type} with a computed input is not convertible: {seen}; supported: {limit}"
        require = f'{{ input = {which}, of = "const", eq = true }}'
        name = (names.places("input", places) + "-computed", "computed-input")
        cases = [f"{{ in = [{', '.join(texts)}] }}" for texts in (inputs, wrong)]
        lines += _rule("ACL502", name, ops, message, require, *cases)
    return lines


if __name__ == "__main__":
    main()
