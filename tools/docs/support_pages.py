"""The support matrix and a page for each target, generated from the packs.

python tools/docs/support_pages.py            # writes docs/support
python tools/docs/support_pages.py --check    # exits with 1 when the committed pages are not what the packs
say
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from accelint.rewrites.families import ANSWERS
from accelint.rewrites.registry import claimed
from accelint.rules.folders import pack_folders
from accelint.rules.outline import Outline
from accelint.rules.wording import say

OUT = Path(__file__).parents[2] / "docs" / "support"
NAMES = Path(__file__).parents[2] / "rules" / "names.txt"
"""Every name that a rule ever had, a line a target: names are added and never taken out."""
DIALECTS = {
    "onnx": "ONNX",
    "tflite": "TensorFlow Lite",
    "tf": "TensorFlow",
    "mil": "Core ML ML Program",
    "nn": "Core ML NeuralNetwork",
}


def pages() -> dict[str, str]:
    """File name -> text of every page."""
    packs = [Outline(target) for target in pack_folders()]
    found = {
        f"{dialect}.md": matrix(dialect, [pack for pack in packs if pack.head["dialect"] == dialect])
        for dialect in DIALECTS
    }
    found |= {f"{file_name(pack)}.md": page(pack) for pack in packs}
    found["README.md"] = index(packs)
    return found


def file_name(pack: Outline) -> str:
    return pack.target.replace("/", "-")


def index(packs: list[Outline]) -> str:
    lines = [
        "# Support",
        "",
        "Generated from the packs by `python tools/docs/support_pages.py`.",
        "",
        "Operators by targets: ",
    ]
    lines[-1] += ", ".join(f"[{title}]({dialect}.md)" for dialect, title in DIALECTS.items()) + "."
    lines += [
        "",
        "| target | variants | runtime | date | operators | rules | evidence |",
        "|---|---|---|---|---|---|---|",
    ]
    for pack in packs:
        rules = pack.rules()
        kinds = sorted({item.get("evidence", "source") for item in (*rules, *pack.sources().values())})
        head = f"[{pack.target}]({file_name(pack)}.md) | {', '.join(pack.variants()) or '-'}"
        counts = f"{len(known(pack))} | {len(rules)} | {', '.join(kinds)}"
        lines.append(
            f"| {head} | {pack.head['runtime']} {pack.head['version']} | {pack.head['date']} | {counts} |"
        )
    return "\n".join(lines) + "\n"


def device(source: dict[str, str]) -> str:
    """The device that answered, where one did."""
    return f"{source['device']}, " if "device" in source else ""


def known(pack: Outline) -> list[str]:
    return sorted({name for item in pack.supports() for name in item["ops"]})


def matrix(dialect: str, packs: list[Outline]) -> str:
    """Operators by targets: yes (any configuration), the number of limits, or nothing."""
    lines = [
        f"# {DIALECTS[dialect]} operators",
        "",
        "**any**: supported in any configuration that the general rules of the target allow; ",
    ]
    lines[-1] += "a number: rules that limit it; empty: not supported."
    lines += [
        "",
        "| operator | " + " | ".join(f"[{pack.target}]({file_name(pack)}.md)" for pack in packs) + " |",
    ]
    lines.append("|---" * (len(packs) + 1) + "|")
    names = sorted({name for pack in packs for name in known(pack)})
    limits = {pack.target: limits_of(pack) for pack in packs}
    supported = {pack.target: set(known(pack)) for pack in packs}
    for name in names:
        cells = [
            str(limits[pack.target].get(name, "any")) if name in supported[pack.target] else ""
            for pack in packs
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def limits_of(pack: Outline) -> dict[str, int]:
    counts: dict[str, int] = {}
    for rule in pack.rules():
        for name in rule["ops"]:
            counts[name] = counts.get(name, 0) + 1
    return counts


def page(pack: Outline) -> str:
    head = pack.head
    lines = [f"# {pack.target}", "", head["title"], ""]
    lines += [
        f"- runtime: {head['runtime']} {head['version']}, read and measured {head['date']}",
        f"- dialect: {head['dialect']}",
    ]
    lines += [
        f"- operators that it does not list: {head['default']}",
        f"- can be run here: {head.get('runs_here') or 'yes'}",
    ]
    lines += [f"- variants: {', '.join(pack.variants())}"] if pack.variants() else []
    lines += ["", head["notes"]] if head.get("notes") else []
    lines += ["", "## Sources", ""]
    lines += [
        f"- {name}: {device(item)}{item.get('url') or item.get('package')} {item['version']} "
        f"({item.get('evidence', 'source')}, {item.get('date', '')})"
        for name, item in pack.sources().items()
    ]
    lines += ["", "## Operators", ""]
    lines += [f"- {', '.join(item['ops'])}: {item.get('note') or 'supported'}" for item in pack.supports()]
    lines += [
        "",
        "## Limits",
        "",
        "| code | rule | operators | supported | effect | evidence | reason |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [limit(rule) for rule in sorted(pack.rules(), key=lambda rule: (rule["id"], rule["name"]))]
    return "\n".join(lines) + "\n"


def limit(rule: dict[str, object]) -> str:
    when = " and ".join(say(table) for table in rule.get("when", ()))  # type: ignore[attr-defined]
    need = "; ".join(say(table) for table in rule.get("require", ())) or "not supported"  # type: ignore[attr-defined]
    only = f" (only {', '.join(rule['variants'])})" if rule.get("variants") else ""  # type: ignore[arg-type]
    ops = ", ".join(rule["ops"])  # type: ignore[arg-type]
    cells = [
        rule["id"],
        rule["name"],
        ops,
        (f"when {when}: " if when else "") + need + only,
        rule["effect"],
        rule["evidence"],
        rule["reason"],
    ]
    return (
        "| "
        + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;") for cell in cells)
        + " |"
    )


def noted_names() -> dict[str, set[str]]:
    """Target -> every name that its rules ever had."""
    lines = NAMES.read_text(encoding="utf-8").splitlines() if NAMES.is_file() else []
    rows = [line.split(": ", 1) for line in lines if ": " in line]
    return {target: set(names.split()) for target, names in rows}


def names_noted() -> str:
    """The list with the names of today added."""
    noted = noted_names()
    for target in pack_folders():
        noted.setdefault(target, set()).update(rule["name"] for rule in Outline(target).rules())
    return "".join(f"{target}: {' '.join(sorted(names))}\n" for target, names in sorted(noted.items()))


def main() -> int:
    made = pages()
    if "--check" in sys.argv:
        stale = [
            name
            for name, text in made.items()
            if not (OUT / name).is_file() or (OUT / name).read_text(encoding="utf-8") != text
        ]
        print("stale: " + ", ".join(stale) if stale else "docs/support is what the packs say")
        return 1 if stale else 0
    OUT.mkdir(parents=True, exist_ok=True)
    for name, text in made.items():
        (OUT / name).write_text(text, encoding="utf-8")
    NAMES.write_text(names_noted(), encoding="utf-8")
    ANSWERS.write_text(json.dumps(claimed(), indent=0) + "\n", encoding="utf-8")
    print(f"{len(made)} pages in {OUT}, {ANSWERS.name} of the rewrites, and {NAMES.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
