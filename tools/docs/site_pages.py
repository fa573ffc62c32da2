"""Pages of the site that are made of the packs when it is built: rules, codes, targets and their releases."""

from __future__ import annotations

from html import escape

from accelint.rules.aliases import also_called
from accelint.rules.folders import pack_folders
from accelint.rules.outline import Outline, Table, read_codes
from accelint.rules.renamed import former_names
from accelint.rules.wording import say
from support_pages import DIALECTS, file_name


def generated() -> dict[str, str]:
    """Path in the site -> text of every page that is made of the packs."""
    packs = [Outline(target) for target in pack_folders()]
    found = {f"rules/{file_name(pack)}.md": rules_page(pack) for pack in packs}
    found["rules/index.md"] = rules_index(packs)
    found["rules/codes.md"] = codes_page(packs)
    found["targets.md"] = targets_page(packs)
    return found


def rules_index(packs: list[Outline]) -> str:
    lines = [
        "# Rules",
        "",
        "Every rule says what a target supports, why, and how that is known. The search above finds rules by "
        "name, operator and message; [codes](codes.md) are the kinds of trouble that they tell apart. On "
        "the command line: `accelint rules` and `accelint explain`.",
        "",
        "| target | rules | " + " | ".join(_KINDS) + " |",
        "|---" * (2 + len(_KINDS)) + "|",
    ]
    for pack in packs:
        rules = pack.rules()
        counts = [str(sum(rule["evidence"] == kind for rule in rules) or "") for kind in _KINDS]
        lines.append(f"| [{pack.target}]({file_name(pack)}.md) | {len(rules)} | {' | '.join(counts)} |")
    return "\n".join(lines) + "\n"


_KINDS = ("device", "measured", "source", "documented", "reported")


def codes_page(packs: list[Outline]) -> str:
    """What each code means and what to change, with the targets that have rules of it."""
    lines = ["# Codes", ""]
    counts = {pack.target: [rule["id"] for rule in pack.rules()] for pack in packs}
    for code, entry in read_codes().items():
        lines += [f"## {code} {entry['name']}", "", _text(entry["title"]) + ".", ""]
        rows = [("why it matters", entry["why"]), ("what to change", entry["change"])]
        rows += [("in PyTorch", entry.get("pytorch")), ("in Keras", entry.get("keras"))]
        lines += [_fields(rows), ""]
        found = [
            f"[{pack.target}]({file_name(pack)}.md) ({counts[pack.target].count(code)})"
            for pack in packs
            if code in counts[pack.target]
        ]
        lines += ["Rules: " + ", ".join(found) + ".", ""] if found else []
    return "\n".join(lines)


def rules_page(pack: Outline) -> str:
    """Every rule of one target under its code: a heading each, so that a search leads to it."""
    codes, rules = read_codes(), pack.rules()
    lines = [
        f"# Rules of {pack.target}",
        "",
        f"{_text(pack.head['title'])}: {pack.head['runtime']} {pack.head['version']}, {pack.head['date']}. "
        f"[Operators and sources](../support/{file_name(pack)}.md).",
        "",
    ]
    for code in sorted({rule["id"] for rule in rules}):
        lines += [f"## {code} {codes[code]['name']}", ""]
        for rule in sorted((rule for rule in rules if rule["id"] == code), key=lambda rule: rule["name"]):
            lines += [f"### {rule['name']}", "", _rule(pack, rule), ""]
    return "\n".join(lines)


def _rule(pack: Outline, rule: Table) -> str:
    when = " and ".join(say(table) for table in rule.get("when", ()))
    need = "; ".join(say(table) for table in rule.get("require", ())) or "not supported"
    releases = [f"{edge} {rule[edge]}" for edge in ("since", "until") if rule.get(edge)]
    rows = [
        ("operators", ", ".join(rule["ops"])),
        ("supported", f"when {when}: {need}" if when else need),
        ("message", rule.get("message")),
        ("advice", rule.get("advice")),
        ("otherwise", rule["effect"]),
        ("variants", ", ".join(rule.get("variants", ()))),
        ("releases", ", ".join(releases)),
        ("reason", rule["reason"]),
        ("evidence", rule["evidence"]),
        ("source", f"{rule['where']} {rule['version']}".strip()),
        ("former names", ", ".join(former_names(pack.target, rule["name"]))),
    ]
    return _fields(rows)


def targets_page(packs: list[Outline]) -> str:
    """Targets with the names that people know and the releases that ``@version`` accepts."""
    lines = [
        "# Targets and releases",
        "",
        "`--target` takes a target, its variant, a release behind `@`, or a name that people know. "
        "`accelint targets` prints this list; [support](support/index.md) has the operators, and "
        "[releases](conformance/releases.md) compares predictions with older runtimes.",
        "",
        "| target | format | names | releases |",
        "|---|---|---|---|",
    ]
    for pack in packs:
        releases = ", ".join(pack.releases())
        for variant in pack.variants() or [""]:
            target = f"{pack.target}:{variant}" if variant else pack.target
            called = ", ".join(also_called(target))
            dialect = DIALECTS[pack.head["dialect"]]
            name = f"[{target}](rules/{file_name(pack)}.md)"
            lines.append(f"| {name} | {dialect} | {_text(called)} | {releases} |")
    return "\n".join(lines) + "\n"


def _fields(rows: list[tuple[str, object]]) -> str:
    """A list of terms as HTML: what packs quote is full of what Markdown would take for markup."""
    filled = [(term, str(value)) for term, value in rows if value]
    inner = "".join(f"<dt>{term}</dt> <dd>{_linked(value)}</dd> " for term, value in filled)
    return f'<dl class="rule">{inner}</dl>'


def _linked(value: str) -> str:
    text = escape(" ".join(value.split()))
    if not text.startswith("https://"):
        return text
    url, _, rest = text.partition(" ")
    return f'<a href="{url}">{url}</a> {rest}'


def _text(value: str) -> str:
    """Words of a pack on a Markdown page."""
    return " ".join(value.split()).replace("|", "\\|").replace("<", "&lt;")
