"""Write the packs litert/builtins and litert/flex from what TensorFlow's converter answered
(``tf_convertible.py``).

    python tools/derive/tf_packs.py tools/derive/tf_convertible.tsv tools/derive/tf_limits.toml

Operators are grouped by what holds for them; the order of groups and names is fixed, so equal tables give
equal files. What the table tells of integers, of several inputs together and of neighbours is read by hand:
``tf_limits.toml`` has those rules once for both packs, each with the answer that the operators behind it get.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import names
from tf_convertible import by_operator, read

ROOT = Path(__file__).parents[2]
PACKS = ROOT / "rules" / "packs"
OPS = ROOT / "analyzer" / "formats" / "tf" / "ops.tsv"
TITLE = (
    "# Written by tools/derive/tf_packs.py from tools/derive/tf_convertible.tsv and "
    "tools/derive/tf_limits.toml."
)
TAKES = {"litert_builtins": ("builtin",), "litert_flex": ("builtin", "flex")}
SELECT = ("flex", "refused")
"""Answers that show that an operator is on the Flex delegate's list."""


@dataclass
class Told:
    """What the converter told about one operator."""

    base: str = ""
    detail: str = ""
    inputs: list[Any] = field(default_factory=list)
    """The inputs of the call that was varied, as ``tf_questions.Question`` has them."""
    varied: dict[str, dict[str, str]] = field(default_factory=dict)

    def answers(self) -> set[str]:
        """Every answer that any of its calls got."""
        return {self.base, *(answer for values in self.varied.values() for answer in values.values())}

    def bad(self, what: str, accepted: tuple[str, ...]) -> tuple[str, ...]:
        """The values of what was varied that the pack does not take."""
        return tuple(
            sorted(value for value, answer in self.varied.get(what, {}).items() if answer not in accepted)
        )

    @property
    def computed(self) -> str:
        """Which inputs were varied, as a condition's keys."""
        places = [
            place
            for place, item in enumerate(self.inputs)
            if isinstance(item, list) or not item.startswith("=")
        ]
        if (
            any(isinstance(item, list) for item in self.inputs)
            or not places
            or len(places) == len(self.inputs) > 1
        ):
            return 'input = "all", only = "computed"'
        return f"input = {places[0]}" if len(places) == 1 else f'input = {places}, only = "computed"'

    def good(self, what: str, accepted: tuple[str, ...]) -> tuple[str, ...]:
        """The values that it takes."""
        return tuple(
            sorted(value for value, answer in self.varied.get(what, {}).items() if answer in accepted)
        )


def main() -> None:
    """Read the table and the rules written by hand, write both packs' files."""
    told = _told(Path(sys.argv[1]))
    limits = tomllib.loads(Path(sys.argv[2]).read_text())
    for target, accepted in TAKES.items():
        for name, lines in _files(told, limits, accepted).items():
            (PACKS / target / f"{name}.toml").write_text("\n".join([TITLE, "", *lines]).rstrip() + "\n")


def _told(path: Path) -> dict[str, Told]:
    listed = [
        line.split("\t")[0] for line in OPS.read_text().splitlines() if line and not line.startswith("#")
    ]
    found = {op: Told() for op in listed}
    for op, rows in by_operator(read(path)).items():
        for _, what, value, answer, detail in rows:
            if what:
                found[op].varied.setdefault(what, {})[value] = answer
            else:
                found[op].base, found[op].detail = answer, detail
                found[op].inputs = json.loads(value)[2] if value else []
    return found


def _files(told: dict[str, Told], limits: dict[str, Any], accepted: tuple[str, ...]) -> dict[str, list[str]]:
    """The support entries and rules of one pack, as the lines of its files."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    written = set(limits["written"])
    for op, item in sorted(told.items()):
        if op not in written:
            by_kind[_kind(op, item, limits)].append(op)
    convertible = sorted(op for kind in accepted for op in by_kind[kind])
    known = {op: told[op] for op in convertible if told[op].base == "builtin"}
    by_hand = {tuple(item) for item in limits["by_hand"]}
    files = {
        "operators": _support(convertible, "measured", "measured with small inputs"),
        "unknown": _support(by_kind["unknown"], "measured", "unknown: see the rule")
        + _unknown(by_kind["unknown"]),
        "types": _types({op: told[op] for op in convertible}, accepted, set(limits["stateful"])),
        "attributes": _attributes(known, accepted, by_hand),
        "shapes": _shapes(known, accepted, by_hand)
        + _stored(known, accepted, by_hand)
        + _outputs(known, accepted),
        "limits": _limits(limits, told, accepted),
    }
    for kind in ("flex", "custom", "illegal", "removed"):
        if kind not in accepted and by_kind[kind]:
            files["operators"] += _support(
                by_kind[kind], _EVIDENCE.get(kind, "measured"), "not convertible: see the rule"
            )
            files["operators"] += _not_convertible(kind, by_kind[kind])
    return files


def _kind(op: str, item: Told, limits: dict[str, Any]) -> str:
    """builtin, flex, custom, illegal, removed or unknown; what could not be asked is told by ``[read]``, from
    source.
    """
    for kind, ops in limits["read"].items():
        if op in ops:
            return str(kind)
    if item.base in ("builtin", "flex", "custom", "illegal"):
        return item.base
    return {"refused": "illegal"}.get(item.base, "unknown")


# ---- entries -------------------------------------------------------------------------------


def _support(ops: list[str], source: str, note: str) -> list[str]:
    if not ops:
        return []
    return ["[[support]]", f"ops = {_list(ops)}", f'source = "{source}"', f'note = "{note}"', ""]


_EVIDENCE = {"removed": "registry"}
_WORDS = {
    "flex": (
        "ACL201",
        "needs-select-tf-ops",
        "{type} has no TFLite builtin: it needs Select TF ops (Flex)",
        "The converter rejects every call that was tried, by the code that says so.",
        "Convert with Select TF ops (target litert/flex) or write the operator with others.",
    ),
    "custom": (
        "ACL204",
        "no-conversion",
        "{type} has neither a TFLite builtin nor a Select TF op",
        "The converter rejects every call that was tried, by the code that says so.",
        "Write the operator with others, or convert with allow_custom_ops and bring a kernel.",
    ),
    "illegal": (
        "ACL801",
        "nowhere-in-tflite",
        "{type} works on TensorFlow 1 variables or on types that TFLite does not have",
        "The conversion fails with: op is illegal in a TFLite pipeline, or: Unsupported type. "
        "Select TF ops change nothing.",
        "Freeze the graph before it is converted, or write it with TensorFlow 2 variables.",
    ),
    "removed": (
        "ACL202",
        "removed-operator",
        "{type} was removed from TensorFlow: no current version imports a graph that has it",
        "The operator's definition is marked as removed at a GraphDef version that lies behind.",
        "Export the model again with a current TensorFlow.",
    ),
}


def _not_convertible(kind: str, ops: list[str]) -> list[str]:
    code, name, message, reason, advice = _WORDS[kind]
    return [
        "[[rule]]",
        f'id = "{code}"',
        f'name = "{name}"',
        f"ops = {_list(ops)}",
        f'message = "{message}"',
        "refuse = true",
        'effect = "rejected"',
        f'source = "{_EVIDENCE.get(kind, "measured")}"',
        f'reason = "{reason}"',
        f'advice = "{advice}"',
        f'examples.fails = [{{ type = "{ops[0]}", in = ["float32[4,4]"] }}]',
        "",
    ]


def _unknown(ops: list[str]) -> list[str]:
    if not ops:
        return []
    return [
        "[[rule]]",
        'id = "ACL201"',
        'name = "conversion-unknown"',
        f"ops = {_list(ops)}",
        'message = "whether {type} is convertible is unknown"',
        "refuse = true",
        'effect = "unknown"',
        'source = "measured"',
        'reason = "No call of it could be made, or the converter rejected it for another reason."',
        f'examples.fails = [{{ type = "{ops[0]}", in = ["float32[4,4]"] }}]',
        "",
    ]


# ---- rules ---------------------------------------------------------------------------------


def _rule(
    code: str,
    name: tuple[str, str],
    ops: list[str],
    message: str,
    require: str,
    holds: str,
    fails: str,
    when: str = "",
) -> list[str]:
    """``name`` is the rule's name and what it limits, which outlives the limit's value (``identity``)."""
    return [
        "[[rule]]",
        f'id = "{code}"',
        f'name = "{name[0]}"',
        f'identity = "{name[1]}"',
        f"ops = {_list(ops)}",
        f'message = "{message}"',
        'effect = "rejected"',
        *([f"when = [{when}]"] if when else []),
        f"require = [{require}]",
        'source = "measured"',
        'reason = "The converter rejects these calls and converts the same ones otherwise."',
        f"examples.holds = [{holds}]",
        f"examples.fails = [{fails}]",
        "",
    ]


def _is_type(value: str) -> bool:
    return value in ("resource", "variant", "string", "bool") or value.rstrip("0123456789") in (
        "float", "bfloat", "int", "uint", "complex", "qint", "quint",
    )  # fmt: skip


HANDLES = ("resource", "variant")
"""Types of handles: what becomes of those, their makers and readers decide."""
NAMED = ("flex", "custom", "refused")
"""Answers by which the converter names the operator itself, of handles too."""
NOT_WITH = "{type} with {seen} is not convertible; convertible: {limit}"
COMPUTED = '{ op = "computed_inputs", at_least = 1 }'
"""The converter folds what depends on constants alone."""


def _types(told: dict[str, Told], accepted: tuple[str, ...], stateful: set[str]) -> list[str]:
    """Element types that are refused; the operators behind one rule are refused the same ones.

    Constants alone do not reach the converter where TensorFlow folds them: not those of stateful operators,
    nor those of types that its CPU has no kernel for, nor what stops the converter before it folds
    (``other``).
    """
    not_convertible: dict[tuple[str, tuple[str, ...], bool], list[str]] = defaultdict(list)
    for op, item in told.items():
        for what, values in item.varied.items():
            bad = [
                value for value in item.bad(what, accepted) if value not in HANDLES or values[value] in NAMED
            ]
            if bad and all(map(_is_type, values)) and item.good(what, accepted):
                folded = (
                    []
                    if op in stateful
                    else [kind for kind in bad if values[kind] != "other" and _has_kernel(op, what, kind)]
                )
                for kinds, never in ((folded, False), ([kind for kind in bad if kind not in folded], True)):
                    if kinds:
                        not_convertible[what, tuple(kinds), never].append(op)
    lines: list[str] = []
    for (attr, bad, never), ops in sorted(not_convertible.items()):
        good = told[ops[0]].good(attr, accepted)[0]
        folded = "" if never else f', {{ attrs = {{ {attr} = "{bad[0]}" }}, in = ["const float32[2]"] }}'
        holds = f'{{ attrs = {{ {attr} = "{good}" }}, in = ["{good}[4,4]"] }}{folded}'
        fails = f'{{ attrs = {{ {attr} = "{bad[0]}" }}, in = ["float32[4,4]"] }}'
        require, when = f'{{ attr = "{attr}", none_of = {_list(bad)} }}', "" if never else COMPUTED
        name = (names.element_types(attr, bad, never), f"dtype-of-{names.slug(attr)}")
        lines += _rule("ACL301", name, ops, NOT_WITH, require, holds, fails, when)
    return lines


def _has_kernel(op: str, attr: str, kind: str) -> bool:
    """Whether TensorFlow's CPU has a kernel for one value of a type attribute."""
    import tensorflow as tf
    from tensorflow.python.framework import kernels

    wanted = tf.as_dtype(kind).as_datatype_enum
    for kernel in kernels.get_registered_kernels_for_op(op).kernel:
        limits = [item.allowed_values.list.type for item in kernel.constraint if item.name == attr]
        if kernel.device_type in ("CPU", "DEFAULT") and all(wanted in types for types in limits):
            return True
    return False


def _attributes(told: dict[str, Told], accepted: tuple[str, ...], by_hand: set[tuple[str, ...]]) -> list[str]:
    """Boolean and enumerated attributes."""
    not_convertible: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for op, item in told.items():
        for what, values in item.varied.items():
            words = [value for value in values if value in ("true", "false") or value.startswith('"')]
            bad = item.bad(what, accepted)
            if bad and len(words) == len(values) and len(bad) < len(values) and (op, what) not in by_hand:
                not_convertible[what, bad].append(op)
    lines: list[str] = []
    for (attr, bad), ops in sorted(not_convertible.items()):
        good = told[ops[0]].good(attr, accepted)[0]
        require = f'{{ attr = "{attr}", none_of = [{", ".join(bad)}] }}'
        name = (names.attribute(attr, bad), names.slug(attr))
        holds = f'{{ attrs = {{ {attr} = {good} }}, in = ["float32[4,4]"] }}'
        fails = f'{{ attrs = {{ {attr} = {bad[0]} }}, in = ["float32[4,4]"] }}'
        lines += _rule("ACL501", name, ops, NOT_WITH, require, holds, fails)
    return lines


def _shapes(told: dict[str, Told], accepted: tuple[str, ...], by_hand: set[tuple[str, ...]]) -> list[str]:
    """Ranks of the computed inputs, and shapes that must be known."""
    ranks: dict[tuple[str, str, int, int], list[str]] = defaultdict(list)
    known: dict[tuple[str, str], list[str]] = defaultdict(list)
    for op, item in told.items():
        low, high = _range(item, accepted)
        if (low, high) != (0, 9) and (op, "rank") not in by_hand:
            fact = "known_rank" if "rank" in item.good("open", accepted) else "rank"
            ranks[item.computed, fact, low, high].append(op)
        bad = item.bad("open", accepted)
        if bad and (op, "open") not in by_hand:
            known[item.computed, "static" if {"all", "batch"} & set(bad) else "rank"].append(op)
    lines: list[str] = []
    for (which, fact, low, high), ops in sorted(ranks.items()):
        limit = (
            f"at_most = {high}"
            if not low
            else f"at_least = {low}"
            if high == 9
            else f"between = [{low}, {high}]"
        )
        dims = ",".join("4" * max(low, min(high, 4)))
        wrong = ",".join("4" * (high + 1)) if high < 9 else ",".join("4" * (low - 1))
        lines += _rule(
            "ACL401",
            (
                names.rank(names.inputs(which), low, high, fact == "known_rank"),
                f"rank-of-{names.inputs(which)}",
            ),
            ops,
            "{type} with {seen} is not convertible; convertible: rank {limit}",
            f'{{ {which}, of = "{fact}", {limit} }}',
            _case(which, f"float32[{dims}]"),
            _case(which, f"float32[{wrong}]"),
        )
    for (which, kind), ops in sorted(known.items()):
        test, message, what = _KNOWN[kind]
        name = f"{what}-of-{names.inputs(which)}"
        lines += _rule("ACL101", (name, name), ops, message, f"{{ {which}, {test} }}",
                       _case(which, "float32[4,4]"), _case(which, "float32"))  # fmt: skip
    return lines


_KNOWN = {
    "static": (
        'of = "static", eq = true, unknown = "fails"',
        "{type} is convertible with a static shape only: {seen}",
        "dynamic-shape",
    ),
    "rank": (
        'of = "rank", at_least = 0, unknown = "fails"',
        "{type} with an unknown rank is not convertible",
        "unknown-rank",
    ),
}


def _case(which: str, tensor: str) -> str:
    """A case whose varied input is ``tensor``, behind stored ones where it is not the first."""
    found = re.search(r"input = \[?(\d+)", which)
    place = int(found[1]) if found else 0
    return "{ in = [" + ", ".join(['"const int32[2]"'] * place + [f'"{tensor}"']) + "] }"


def _range(item: Told, accepted: tuple[str, ...]) -> tuple[int, int]:
    """The ranks that convert when all computed inputs have one, 0 and 9 where no limit was met."""
    good, bad = [
        [int(value) for value in values]
        for values in (item.good("rank", accepted), item.bad("rank", accepted))
    ]
    if not bad or not good:
        return 0, 9
    low = min(good) if any(rank < min(good) for rank in bad) else 0
    return low, max(good) if any(rank > max(good) for rank in bad) else 9


def _stored(told: dict[str, Told], accepted: tuple[str, ...], by_hand: set[tuple[str, ...]]) -> list[str]:
    """Inputs whose value the converter needs."""
    needed: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for op, item in told.items():
        places = [
            int(what.split()[1])
            for what in item.varied
            if what.startswith("input ") and len(what.split()) == 2
        ]
        found = tuple(
            sorted(
                place
                for place in places
                if item.varied[f"input {place}"].get("computed") not in (None, *accepted)
            )
        )
        if found and (op, "stored") not in by_hand:
            needed[found].append(op)
    lines: list[str] = []
    for places, ops in sorted(needed.items()):
        which = str(places[0]) if len(places) == 1 else str(list(places))
        inputs = [
            '"float32[4,4]"' if place not in places else '"const int32[2]"'
            for place in range(max(places) + 1)
        ]
        wrong = [text.replace("const ", "") for text in inputs]
        if places == tuple(range(max(places) + 1)):
            inputs.append('"float32[4,4]"')
            wrong.append('"float32[4,4]"')
        lines += _rule(
            "ACL502",
            (names.places("input", places) + "-computed", "computed-input"),
            ops,
            "{type} with a computed input is not convertible: {seen}; supported: {limit}",
            f'{{ input = {which}, of = "const", eq = true }}',
            f"{{ in = [{', '.join(inputs)}] }}",
            f"{{ in = [{', '.join(wrong)}] }}",
        )
    return lines


def _outputs(told: dict[str, Told], accepted: tuple[str, ...]) -> list[str]:
    """Operators that convert only with the first output used."""
    first = sorted(op for op, item in told.items() if item.bad("outputs", accepted) == ("all",))
    if not first:
        return []
    return _rule(
        "ACL504",
        ("only-the-first-output", "only-the-first-output"),
        first,
        "an output behind the first is used ({seen})",
        '{ output = "rest", of = "used", eq = false }',
        '{ in = ["float32[4,4]"], out = ["float32[4]"] }',
        '{ in = ["float32[4,4]"], out = ["float32[4]", "float32[4]"] }',
    )


def _limits(limits: dict[str, Any], told: dict[str, Told], accepted: tuple[str, ...]) -> list[str]:
    """The rules written by hand, for the operators that the pack does not take all the same."""
    lines: list[str] = []
    for rule in limits.get("rule", []):
        ops = [
            op
            for op in rule["ops"]
            if rule.get("both") or not ("flex" in accepted and told[op].answers() & set(SELECT))
        ]
        if not ops or ("flex" in accepted and rule.get("both") is False):
            continue
        table = {
            key: value
            for key, value in {**rule, "ops": ops, "effect": rule.get("effect", "rejected")}.items()
            if key != "both"
        }
        lines += [
            "[[rule]]",
            *(f"{key} = {_value(value)}" for key, value in table.items() if key != "examples"),
        ]
        lines += [f"examples.{kind} = {_value(cases)}" for kind, cases in table["examples"].items()]
        lines.append("")
    return lines


def _value(value: Any) -> str:
    """A value as TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        if value and all(isinstance(item, str) for item in value):
            return _list(value)
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _list(items: Iterable[str]) -> str:
    """A TOML array, on lines of its own when it is long."""
    words = [json.dumps(item) for item in items]
    if sum(map(len, words)) < 80:
        return f"[{', '.join(words)}]"
    return "\n".join(
        [
            "[",
            *textwrap.wrap(", ".join(words) + ",", 136, initial_indent="    ", subsequent_indent="    "),
            "]",
        ]
    )


if __name__ == "__main__":
    main()
