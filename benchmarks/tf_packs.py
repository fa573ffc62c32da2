"""Write the packs litert/builtins and litert/flex from what TensorFlow's converter answered (``tf_convertible.py``).

    python benchmarks/tf_packs.py benchmarks/tf_convertible.tsv

Operators are grouped by what holds for them; the order of groups and names is fixed, so equal tables give equal files.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKS = ROOT / "rules" / "packs"
OPS = ROOT / "analyzer" / "formats" / "tf_ops.tsv"
WRITTEN = (
    "Case", "Const", "If", "PartitionedCall", "Placeholder", "PlaceholderWithDefault", "ReadVariableOp", "StatefulPartitionedCall",
    "StatelessIf", "StatelessWhile", "VarHandleOp", "While",
)  # fmt: skip
"""Operators that a function of their own cannot show; ``pack.toml`` tells of them, from whole models."""
FUSED = {"Erf", "Erfc"}
"""Operators whose refusal, asked alone, says nothing: the converter makes a builtin GELU of them and their neighbours."""
CONVERTED, FLEX, CUSTOM = "builtin", "flex", "custom"


@dataclass
class Told:
    """What the converter told about one operator: dtypes of its first type attribute by answer."""

    attr: str = ""
    by_dtype: dict[str, str] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)

    def dtypes(self, *answers: str) -> tuple[str, ...]:
        """Element types that got one of these answers."""
        return tuple(sorted(dtype for dtype, answer in self.by_dtype.items() if answer in answers))

    @property
    def kind(self) -> str:
        """The best answer of any element type; empty when nothing was told of static shapes."""
        found = {answer for dtype, answer in self.by_dtype.items() if self.details[dtype] != "unknown rank"}
        return next((answer for answer in (CONVERTED, FLEX, CUSTOM) if answer in found), "")


def main() -> None:
    """Read the table, write both packs' operators."""
    told = read(Path(sys.argv[1]))
    listed = {line.split("\t")[0] for line in OPS.read_text().splitlines() if line and not line.startswith("#")}
    told |= {op: Told() for op in listed - set(told)}
    for op in WRITTEN:
        told.pop(op, None)
    for target, takes in (("litert_builtins", (CONVERTED,)), ("litert_flex", (CONVERTED, FLEX))):
        for name, lines in operators(told, takes).items():
            title = "# Written by benchmarks/tf_packs.py from benchmarks/tf_convertible.tsv."
            (PACKS / target / f"{name}.toml").write_text("\n".join([title, "", *lines]).rstrip() + "\n")


def read(path: Path) -> dict[str, Told]:
    """The table by operator. A line: operator, attribute, element type, answer, detail."""
    told: dict[str, Told] = defaultdict(Told)
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            continue
        op, attr, dtype, answer, detail = line.split("\t")
        told[op].attr = attr or told[op].attr
        told[op].by_dtype[dtype] = answer
        told[op].details[dtype] = detail
    return dict(told)


def operators(told: dict[str, Told], takes: tuple[str, ...]) -> dict[str, list[str]]:
    """The support entries and rules of one pack, as the lines of its files."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    for op, item in sorted(told.items()):
        if op in FUSED and item.kind not in takes:
            by_kind["unknown"].append(op)
            continue
        by_kind[item.kind or (FLEX if FLEX in takes and FLEX in item.by_dtype.values() else "unknown")].append(op)
    taken = sorted(op for kind in takes for op in by_kind[kind])
    files = {
        "operators": _support(taken, "measured", "with small static inputs"),
        "not_asked": _support(by_kind["unknown"], "measured", "not asked: see the rule") + _unknown(by_kind["unknown"]),
        "element_types": _refused_types({op: told[op] for op in taken}, takes),
        "element_types_not_asked": _types_not_asked({op: told[op] for op in by_kind[CONVERTED]}),
    }
    for kind in (FLEX, CUSTOM):
        if kind not in takes:
            files["operators"] += _support(by_kind[kind], "measured", "refused: see the rule") + _refusal(kind, by_kind[kind])
    files["operators"] += _output_rules({op: told[op] for op in by_kind[CONVERTED]}, takes)
    return files


def _support(ops: list[str], source: str, note: str) -> list[str]:
    if not ops:
        return []
    return ["[[support]]", f"ops = {_list(ops)}", f'source = "{source}"', f'note = "{note}"', ""]


_WORDS = {
    FLEX: ("ACL201", "needs-select-tf-ops", "{type} has no TFLite builtin; it converts with Select TF ops only"),
    CUSTOM: ("ACL204", "no-conversion", "{type} has neither a TFLite builtin nor a Select TF op"),
}
_ADVICE = {
    FLEX: "Convert with Select TF ops (target litert/flex) or write the operator with others.",
    CUSTOM: "Write the operator with others, or convert with allow_custom_ops and bring a kernel.",
}


def _refusal(kind: str, ops: list[str]) -> list[str]:
    """One rule; the converter folds what depends on constants alone, so it speaks only of operators that compute."""
    if not ops:
        return []
    code, name, message = _WORDS[kind]
    return [
        "[[rule]]",
        f'id = "{code}"',
        f'name = "{name}"',
        f"ops = {_list(ops)}",
        f'message = "{message}"',
        "refuse = true",
        'effect = "rejected"',
        'source = "measured"',
        'reason = "The converter refused every element type and shape that it was asked for, by the code that says so."',
        f'advice = "{_ADVICE[kind]}"',
        f'examples.fails = [{{ type = "{ops[0]}", in = ["float32[4,4]"] }}]',
        "",
    ]


def _unknown(ops: list[str]) -> list[str]:
    if not ops:
        return []
    return [
        "[[rule]]",
        'id = "ACL201"',
        'name = "not-asked"',
        f"ops = {_list(ops)}",
        'message = "nobody has asked the converter about {type}"',
        "refuse = true",
        'effect = "unknown"',
        'source = "measured"',
        'reason = "No function of it alone could be made with plain inputs, or the refusal was about something else."',
        f'examples.fails = [{{ type = "{ops[0]}", in = ["float32[4,4]"] }}]',
        "",
    ]


def _refused_types(told: dict[str, Told], takes: tuple[str, ...]) -> list[str]:
    """Element types that are refused; the operators behind one rule are refused the same ones."""
    refused: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for op, item in told.items():
        bad = tuple(sorted(set(item.dtypes(CONVERTED, FLEX, CUSTOM)) - set(item.dtypes(*takes))))
        if item.attr and bad:
            refused[item.attr, bad].append(op)
    lines: list[str] = []
    for number, ((attr, bad), ops) in enumerate(sorted(refused.items()), 1):
        good = sorted(set(told[ops[0]].by_dtype) - set(bad))[0]
        lines += [
            "[[rule]]",
            'id = "ACL301"',
            f'name = "element-type-{number}"',
            f"ops = {_list(ops)}",
            f'message = "{{type}} of {{seen}} does not convert{"" if FLEX in takes else "; Select TF ops may have it"}"',
            'effect = "rejected"',
            'when = [{ op = "computed_inputs", at_least = 1 }]',
            f'require = [{{ attr = "{attr}", none_of = {_list(bad)} }}]',
            'source = "measured"',
            'reason = "The converter refused these element types and took others."',
            f'examples.holds = [{{ attrs = {{ {attr} = "{good}" }}, in = ["{good}[4,4]"] }}, '
            f'{{ attrs = {{ {attr} = "{bad[0]}" }}, in = ["const float32[2]"] }}]',
            f'examples.fails = [{{ attrs = {{ {attr} = "{bad[0]}" }}, in = ["float32[4,4]"] }}]',
            "",
        ]
    return lines


def _types_not_asked(told: dict[str, Told]) -> list[str]:
    """Element types that nobody asked for. Operators that no type helps are decided by their name alone."""
    asked: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for op, item in told.items():
        if item.attr:
            asked[item.attr, item.dtypes(CONVERTED, FLEX, CUSTOM)].append(op)
    lines: list[str] = []
    for number, ((attr, known), ops) in enumerate(sorted(asked.items()), 1):
        lines += [
            "[[rule]]",
            'id = "ACL301"',
            f'name = "element-type-not-asked-{number}"',
            f"ops = {_list(ops)}",
            'message = "nobody has asked the converter about {type} of {seen}"',
            'effect = "unknown"',
            'when = [{ op = "computed_inputs", at_least = 1 }]',
            f'require = [{{ attr = "{attr}", one_of = {_list(known)} }}]',
            'source = "measured"',
            'reason = "Other element types were not asked for, or do not get through the edge of a TFLite model."',
            f'examples.holds = [{{ attrs = {{ {attr} = "{known[0]}" }}, in = ["float32[4,4]"] }}, '
            f'{{ attrs = {{ {attr} = "none" }}, in = ["const float32[2]"] }}]',
            f'examples.fails = [{{ attrs = {{ {attr} = "none" }}, in = ["float32[4,4]"] }}]',
            "",
        ]
    return lines


def _output_rules(told: dict[str, Told], takes: tuple[str, ...]) -> list[str]:
    """Operators that converted only with the first output used."""
    if FLEX in takes:
        return []
    lines: list[str] = []
    first = sorted(op for op, item in told.items() if _all(item, "first output only"))
    if first:
        lines += [
            "[[rule]]",
            'id = "ACL504"',
            'name = "only-the-first-output"',
            f"ops = {_list(first)}",
            'message = "an output behind the first is used ({seen})"',
            'effect = "rejected"',
            'require = [{ output = "rest", of = "used", eq = false }]',
            'source = "measured"',
            'reason = "With all outputs used the converter refused, with the first alone it did not."',
            'examples.holds = [{ in = ["float32[4,4]"], out = ["float32[4]"] }]',
            'examples.fails = [{ in = ["float32[4,4]"], out = ["float32[4]", "float32[4]"] }]',
            "",
        ]
    return lines


def _all(item: Told, words: str) -> bool:
    details = [item.details[dtype] for dtype in item.dtypes(CONVERTED)]
    return bool(details) and all(words in detail for detail in details)


def _list(items: Iterable[str]) -> str:
    """A TOML array, on lines of its own when it is long."""
    words = [json.dumps(item) for item in items]
    if sum(map(len, words)) < 80:
        return f"[{', '.join(words)}]"
    return "\n".join(["[", *textwrap.wrap(", ".join(words) + ",", 136, initial_indent="    ", subsequent_indent="    "), "]"])


if __name__ == "__main__":
    main()
