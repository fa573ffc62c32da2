"""Rules' names say what they limit and last: no name is a position, and none vanishes without a successor."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import ort_kernels
import pytest
import support_pages
import tf_packs
from accelint.rules.folders import PACKS, pack_folders
from accelint.rules.outline import Outline
from accelint.rules.renamed import EVERY, current_name, first_name, former_names
from cli import accelint

RENAMED = tomllib.loads((PACKS.parent / "renamed.toml").read_text())
UNITS = frozenset(
    (
        "input", "inputs", "output", "opset", "set", "version", "rank", "height", "over", "under", "below",
        "before", "than", "until", "from", "to", "or", "and", "not", "of", "into",
    )
)  # fmt: skip
"""Words before a number that say what the number is."""
RELEASES = {"api", "ios", "os", "ml", "level"}
"""Those of them that name a release, which variants of a pack stand for."""


def positional(name: str, rule: dict[str, object]) -> list[str]:
    """Numbers of a name that count rules: no unit stands before them, or the rule does not state them."""
    stated = json.dumps([rule.get(key) for key in ("ops", "when", "require", "since", "until", "message")])
    facts = {int(found) for found in re.findall(r"\d+", stated)}
    near = {fact + step for fact in facts for step in (-1, 0, 1)}
    words = name.split("-")
    found = []
    for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False):
        if not word.isdigit() or before in RELEASES or after in ("bit", "bits"):
            continue
        unit = (
            before in UNITS or (before.isdigit() and "until" in words) or f"{before}_{word}" in stated.lower()
        )
        if not unit or int(word) not in near:
            found.append(word)
    return found


@pytest.mark.parametrize("target", list(pack_folders()))
def test_no_name_is_a_position(target: str) -> None:
    wrong = {
        rule["name"]: found for rule in Outline(target).rules() if (found := positional(rule["name"], rule))
    }
    assert not wrong


@pytest.mark.parametrize(
    "name", ["types-7-input-0", "element-type-5", "attribute-1", "rank-2-3", "open-1", "conv-kernels-1-2"]
)
def test_a_position_is_seen(name: str) -> None:
    rule = {"require": [{"input": 0, "of": "rank", "at_most": 4}], "message": "{seen}"}
    assert positional(name, rule)
    assert not positional("rank-over-4-of-input-0", rule)


def test_no_name_vanishes() -> None:
    """Every name that was ever given leads to a rule: `python tools/docs/support_pages.py` notes new ones."""
    noted = support_pages.noted_names()
    for target, names in noted.items():
        live = {rule["name"] for rule in Outline(target).rules()}
        gone = {name for name in names if current_name(target, name) not in live}
        assert not gone, f"{target}: renamed or dropped without a line in rules/renamed.toml"
        assert live <= names, "new names are not noted: run python tools/docs/support_pages.py"


def test_a_former_name_is_never_given_again() -> None:
    for target, names in RENAMED.items():
        if target == EVERY:
            continue
        live = {rule["name"] for rule in Outline(target).rules()}
        assert not live & set(names), target
        for name in names:
            assert current_name(target, name) in live, name


def test_a_renamed_rule_is_found_by_its_former_names() -> None:
    former = "binary-takes-f32-f16"
    now = current_name("onnxruntime/qnn:sm8650@2.43.0", former)
    assert former_names("onnxruntime/qnn", now) == (former,)
    assert first_name("onnxruntime/qnn", now) == former
    explained = accelint("explain", former, "--target", "onnxruntime/qnn")
    assert explained.returncode == 0
    assert now in explained.stdout
    assert f"formerly: {former}" in explained.stdout
    rows = json.loads(accelint("rules", "--target", "onnxruntime/qnn", "--json").stdout)
    assert former in next(row["formerly"] for row in rows if row["name"] == now)


def test_names_of_kernel_rules_do_not_depend_on_what_else_there_is() -> None:
    """Dropping an operator or turning the order around leaves the names of all other limits as they are."""

    class Schema:
        type_constraints = inputs = outputs = ()

    place = ("input", 0)
    segments = {
        ("", kind): [(1, 27, [{place: frozenset(types)}])]
        for kind, types in (("Abs", {"float32"}), ("Neg", {"int8"}), ("Cos", {"float32", "float16"}))
    }
    schemas = {key: {1: Schema()} for key in segments}

    def names(keys: list[tuple[str, str]]) -> dict[str, str]:
        text = ort_kernels._document({key: segments[key] for key in keys}, schemas, 27, set(), set())
        return {rule["ops"][0]: rule["name"] for rule in tomllib.loads(text)["rule"]}

    whole = names(list(segments))
    assert whole == {"Abs": "input-0-not-f32", "Neg": "input-0-not-i8", "Cos": "input-0-not-f16-f32"}
    assert names(list(segments)[::-1]) == whole
    for dropped in segments:
        rest = names([key for key in segments if key != dropped])
        assert rest.items() <= whole.items()


def test_names_of_conversion_rules_do_not_depend_on_what_else_there_is() -> None:
    def told(bad: str) -> tf_packs.Told:
        return tf_packs.Told("builtin", varied={"mode": {f'"{bad}"': "illegal", '"OK"': "builtin"}})

    table = {"A": told("SLOW"), "B": told("FAST"), "C": told("ODD")}

    def names(ops: list[str]) -> dict[str, str]:
        lines = tf_packs._attributes({op: table[op] for op in ops}, ("builtin",), set())
        return {rule["ops"][0]: rule["name"] for rule in tomllib.loads("\n".join(lines))["rule"]}

    whole = names(["A", "B", "C"])
    assert whole == {"A": "mode-slow", "B": "mode-fast", "C": "mode-odd"}
    assert names(["C", "B", "A"]) == whole
    assert names(["B"]) == {"B": whole["B"]}


@pytest.mark.parametrize("pack", ["litert_builtins", "litert_flex", "coreml_convertible", "onnxruntime_cpu"])
def test_derived_rules_say_what_they_limit_apart_from_the_limit(pack: str) -> None:
    """Their names hold the limit, which a release may move: fingerprints go by ``identity``."""
    files = [file for file in sorted((PACKS / pack).glob("*.toml")) if file.name in DERIVED]
    rules = [rule for file in files for rule in tomllib.loads(file.read_text())["rule"]]
    assert rules
    assert all("identity" in rule for rule in rules if not rule["name"].startswith("version-of-"))


DERIVED = ("types.toml", "attributes.toml", "shapes.toml", "measured.toml", "kernels.toml")


def test_the_generators_write_the_committed_packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the tables in the repository, without asking a runtime again (except for TensorFlow's kernels)."""
    pytest.importorskip("tensorflow")
    import coreml_packs

    for target in tf_packs.TAKES:
        (tmp_path / target).mkdir()
    monkeypatch.setattr(tf_packs, "PACKS", tmp_path)
    monkeypatch.setattr(coreml_packs, "OUT", tmp_path / "measured.toml")
    derive = Path(tf_packs.__file__).parent
    monkeypatch.setattr("sys.argv", ["", str(derive / "tf_convertible.tsv"), str(derive / "tf_limits.toml")])
    tf_packs.main()
    for file in tmp_path.glob("*/*.toml"):
        assert file.read_text() == (PACKS / file.parent.name / file.name).read_text(), file
    monkeypatch.setattr("sys.argv", ["", str(derive / "coreml_convertible.tsv")])
    coreml_packs.main()
    committed = PACKS / "coreml_convertible" / "measured.toml"
    assert (tmp_path / "measured.toml").read_text() == committed.read_text()
