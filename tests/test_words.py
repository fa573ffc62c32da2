"""What a user reads is said in the words of the field: messages, help, pages and packs.

Every string of the product is scanned, not those that a run happens to print.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from cli import ROOT

INSTEAD = {
    "supported": r"\b(is|are|be|not|was|were) taken\b|\btaken (by|as a whole|together|over)\b|\bis taken\b",
    "falls back to the CPU": r"\bleft (to the CPU|over)\b",
    "assigned": r"\bhand(s|ed)? (it |them )?over\b",
    "requires, or: supported": r"\basks? that\b",
    "validated, compared with": r"\bheld (to|against)\b|\bholds? [^.]{0,40} against\b",
    "interleaved": r"\bby turns\b",
    "not reported": r"\b(is|are|was|were) not told\b|\bnot told\b",
    "no-op": r"\bidle\b",
    "fails to load, compile or run; rejected": r"\brefus(es|ed|als?|ing)\b",
    "fails to load": r"\bsession (stops|refuses)\b|\bnot (composed|finalized)\b",
    "unknown, not validated": r"\bnobody\b|\bprovider asks\b",
    "static or dynamic shape": r"\b(fixed|open) (sizes?|shapes?|dimensions?|batch)\b",
    "first divergence": r"\bruns part\b",
    "cyclic partitions": r"\bin a circle\b",
    "partition": r"\bits group\b|\bgroups? of operators\b|\b(stretch|wave)(es)? of operators\b",
    "convertible": r"\bdoes not convert\b|\bwith T T\b",
}
"""What to say -> what not to say."""
ALLOWED = {
    "rules/loader.py": ("extended in a circle",),  # of packs
    "docs/runtimes.md": ("refused",),  # a status of the JSON report, and the kernel's answer to an allocation
    "docs/formats.md": ("refused",),  # links that lead out of a package: a refusal of ours
}
"""File -> what it may say, since it means something else."""
VISIBLE = {
    "message", "advice", "note", "notes", "title", "why", "change", "pytorch", "keras", "runs_here", "says",
}  # fmt: skip
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")),
]
CODE = [
    path.relative_to(ROOT).as_posix()
    for top in ("accelint", "analyzer", "rules", "rewrites")
    for path in sorted((ROOT / top).rglob("*"))
    if path.suffix in (".py", ".toml") and "__pycache__" not in path.parts
]


def documentation(tree: ast.AST) -> set[int]:
    """Docstrings and notes on attributes, which are for readers of the code."""
    return {
        id(statement.value)
        for node in ast.walk(tree)
        for statement in (
            getattr(node, "body", None) if isinstance(getattr(node, "body", None), list) else []
        )
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    }


def strings(name: str) -> Iterator[str]:
    """What a user may read of a file."""
    text = (ROOT / name).read_text(encoding="utf-8")
    if name.endswith(".md"):
        yield from re.sub(r"```.*?```", "", text, flags=re.DOTALL).split("\n\n")
    elif name.endswith(".toml"):
        yield from _values(tomllib.loads(text), "")
    else:
        tree = ast.parse(text)
        hidden = set() if name.startswith("analyzer/cli/") else documentation(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in hidden:
                yield node.value if " " in node.value else ""  # the others are names, of a format or a field


def _values(value: Any, key: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _values(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _values(item, key)
    elif isinstance(value, str) and key in VISIBLE:
        yield value


def found(text: str, allowed: tuple[str, ...] = ()) -> list[str]:
    """What should be said otherwise."""
    text = " ".join(text.split())
    return [
        f"say {say!r}: ...{text[max(0, match.start() - 50) : match.end() + 30]}..."
        for say, pattern in INSTEAD.items()
        for match in re.finditer(pattern, text, re.IGNORECASE)
        if not any(word in text[max(0, match.start() - 20) : match.end() + 20] for word in allowed)
    ]


@pytest.mark.parametrize("name", [*PAGES, *CODE])
def test_it_is_said_in_the_words_of_the_field(name: str) -> None:
    wrong = [line for text in strings(name) for line in found(text, ALLOWED.get(name, ()))]
    assert not wrong, "\n".join(wrong)


def test_what_is_allowed_is_still_there() -> None:
    for name, words in ALLOWED.items():
        text = " ".join((ROOT / name).read_text(encoding="utf-8").split())
        assert all(word in text for word in words), f"{name} needs no exception any more"


@pytest.mark.parametrize("text", ["Conv is taken", "the session stops", "x of open sizes", "Nobody asked"])
def test_the_scan_finds(text: str) -> None:
    assert found(text)
