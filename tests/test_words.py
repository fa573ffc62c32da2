"""Everything is said in the words of the field: messages, help, pages, packs, and the names in the code.

Every string and every name of the product is scanned, not those that a run happens to print.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from accelint.rules.explain import explanation
from accelint.rules.folders import pack_folders
from accelint.rules.outline import Outline, read_codes
from accelint.rules.wording import predicate_words, say
from cli import ROOT

INSTEAD = {
    "supported": r"\b(is|are|be|not|was|were) (not )?taken\b(?! (out|with|for))"
    r"|\btaken (by|as a whole|together|over)\b",
    "supported: {limit}": r"\btakes? (only |up to |at most )?\{limit\}|\{limit\} (is|are) taken",
    "falls back to the CPU": r"\bleft (to the CPU|over)\b",
    "assigned": r"\bhand(s|ed)? (it |them )?over\b",
    "requires, or: supported": r"\basks? that\b",
    "validated, compared with": r"\bheld (to|against)\b|\bholds? [^.]{0,40} against\b",
    "interleaved": r"\bby turns\b",
    "not reported": r"\b(is|are|was|were) not told\b|\bnot told\b",
    "no-op": r"\bidle\b",
    "fails to load, compile or run; rejected": r"\brefus(es|ed|als?|ing)\b|\bVela (stops|dies)\b",
    "session creation fails": r"\bsession (stops|refuses)\b|\bstops the session\b",
    "fails to compile": r"\bnot (composed|finalized)\b|\bcannot be composed\b",
    "unknown, not validated": r"\bnobody\b|\bprovider asks\b|\b(not|was|were) asked\b(?! for)",
    "static or dynamic shape": r"\b(fixed|open) (sizes?|shapes?|dimensions?|batch)\b"
    r"|\b(sizes?|shapes?) (is|are) open\b",
    "first divergence": r"\bruns part\b",
    "cyclic partitions": r"\bin a circle\b",
    "partition": r"\b(its|a|this) group\b|\bgroups? of operators\b|\b(stretch|wave)(es)? of operators\b",
    "quantized": r"\bintegers as such\b",
    "inlines": r"\bunfolds?\b",
    "convertible": r"\bdoes not convert\b|\bAccelerated means\b",
    "an attribute's name once": r"\bT T\b",
}
"""What to say -> what not to say."""
ALLOWED = {
    "rules/loader.py": ("extended in a circle",),  # of packs
    "docs/runtimes.md": ("refused",),  # a status of the JSON report, and the kernel's answer to an allocation
    "docs/repair.md": ("remove-idle",),  # the id of a rewrite
    "docs/formats.md": ("refused",),  # links that lead out of a package: a refusal of ours
}
"""File -> what it may say, since it means something else."""
NAMES = {
    "partition": r"groups?|grouped|grouping|stretch(es)?|waves?|pieces?",
    "supported, accepted, assigned": r"taken|handed",
    "rejected, or: fails to load, compile or run": r"refus(e|es|ed|al|als|ing)",
    "no-op": r"idle",
    "unknown": r"nobody",
    "cycle": r"circles?",
}
"""What to call it -> words that no name has."""
CALLED = {
    "analyzer/conform/corpora/": "groups?",  # of channels, in convolutions and normalizations
    "rules/predicates/litert_": "groups?|grouped",  # the same
    "analyzer/formats/tflite/": "groups?|grouped",  # the same, and of external buffers
    "tools/models/": "groups?|grouped",  # the same
    "rewrites/permute.py": "groups?",  # of axes
    "rewrites/views.py": "groups?",
    "rewrites/tflite/reshape.py": "pieces?",  # of a tensor
    "analyzer/policies/onnxsim/fusions.py": "grouped",  # queries
    "analyzer/formats/": "pieces?",  # of a file
    "tests/test_wire.py": "pieces?",
    "analyzer/processes/memory.py": "groups?",  # of processes
    "tests/test_processes.py": "groups?",
    "tests/test_extending.py": "group",  # of entry points
    "rules/loader.py": "refuse",  # a field of a rule
    "rules/pack.py": "refuse",
}
"""Where a name may have such a word, since it means something else."""
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
MODULES = [
    path.relative_to(ROOT).as_posix()
    for top in ("accelint", "analyzer", "rules", "rewrites", "tools", "benchmarks", "tests")
    for path in sorted((ROOT / top).rglob("*.py"))
    if "__pycache__" not in path.parts
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


def names(tree: ast.AST) -> Iterator[str]:
    """Every name that a module gives: of classes, functions, arguments, variables and attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname


def misnamed(given: Iterator[str], path: str) -> list[str]:
    """Names with words that say something else in this field."""
    may = [words for place, words in CALLED.items() if path.startswith(place)]
    return sorted(
        f"{name}: say {say!r}"
        for name in set(given)
        for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
        for say, pattern in NAMES.items()
        if re.fullmatch(pattern, word.lower()) and not any(re.fullmatch(item, word.lower()) for item in may)
    )


@pytest.mark.parametrize("name", [*PAGES, *CODE])
def test_it_is_said_in_the_words_of_the_field(name: str) -> None:
    wrong = [line for text in strings(name) for line in found(text, ALLOWED.get(name, ()))]
    assert not wrong, "\n".join(wrong)


def test_names_have_the_words_of_the_field() -> None:
    wrong = {
        path: bad
        for path in MODULES
        if (
            bad := misnamed(
                iter(
                    [*Path(path).with_suffix("").parts, *names(ast.parse((ROOT / path).read_text("utf-8")))]
                ),
                path,
            )
        )
    }
    assert not wrong, "\n".join(f"{path}: {', '.join(bad)}" for path, bad in wrong.items())


def test_names_of_rules_and_of_policies_too() -> None:
    policies = [path for path in CODE if path.startswith("analyzer/policies/") and path.endswith(".toml")]
    tables = [tomllib.loads((ROOT / path).read_text("utf-8")) for path in policies]
    given = [
        item["name"] for table in tables for rows in table.values() if isinstance(rows, list) for item in rows
    ]
    assert "partition-too-small" in given
    assert not [name for name in given if re.search(r"\b(groups?|taken|refused|circle|nobody)\b", name)]


@pytest.mark.parametrize("target", list(pack_folders()))
def test_what_a_pack_says(target: str) -> None:
    """Quotes of sources stay as they are: only what the packs say in their own words is looked at."""
    pack = Outline(target)
    texts = [str(pack.head.get(key, "")) for key in ("title", "notes", "runs_here")]
    texts += [str(item.get("note", "")) for item in pack.supports()]
    for rule in pack.rules():
        reason = [] if "quote" in rule else [rule["reason"]]
        texts += [str(rule.get(key, "")) for key in ("message", "advice")] + reason
        texts += [say(table) for key in ("when", "require") for table in rule.get(key, ())]
    assert not [line for text in texts for line in found(text)]


def test_what_codes_and_predicates_say() -> None:
    texts = [text for entry in read_codes().values() for text in entry.values()]
    assert not [line for text in (*texts, *predicate_words().values()) for line in found(text)]


@pytest.mark.parametrize("what", ["ACL601", "Conv", "Gemm", "input-0-not-bool"])
def test_what_explanations_say(what: str) -> None:
    text = explanation(what, "onnxruntime/cpu" if what.startswith("input") else None, {})
    quotes = re.compile(r"^ *reason: .*$", re.MULTILINE)
    assert not found(quotes.sub("", text))
    assert "supported" in text or what == "ACL601"


def test_what_is_allowed_is_still_there() -> None:
    for name, words in ALLOWED.items():
        text = " ".join((ROOT / name).read_text(encoding="utf-8").split())
        assert all(word in text for word in words), f"{name} needs no exception any more"
    for place, words in CALLED.items():
        given = " ".join(path for path in MODULES if path.startswith(place))
        said = " ".join((ROOT / path).read_text(encoding="utf-8") for path in given.split())
        assert re.search(rf"(?<![a-z])({words})(?![a-z])", said), f"{place} needs no exception any more"


@pytest.mark.parametrize(
    "text",
    [
        "Conv is taken", "the session stops", "x of open sizes", "Nobody asked", "{seen}: {limit} is taken",
        "nobody measured it", "with fixed sizes",
    ],
)  # fmt: skip
def test_the_scan_finds(text: str) -> None:
    assert found(text)


@pytest.mark.parametrize(
    "code",
    [
        "def groups(): ...",
        "class JobRefused: ...",
        "def f(taken): ...",
        "self.idle = 1",
        "for piece in x: ...",
    ],
)
def test_the_scan_of_names_finds(code: str) -> None:
    assert misnamed(names(ast.parse(code)), "analyzer/check/run.py")
    assert not misnamed(names(ast.parse("partitions = match.groups(taken=1)")), "analyzer/check/run.py")
