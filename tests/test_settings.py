"""What a project decides: configurations, gates, ignored findings and baselines, as a user meets them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import onnx
import pytest
from accelint.analyzer.errors import UsageError
from accelint.analyzer.settings import fields
from accelint.analyzer.settings.ignored import parsed
from accelint.analyzer.settings.sources import read
from cli import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from onnx import TensorProto, helper

ENCODER = ROOT / "fixtures" / "demo" / "encoder.onnx"
QNN, NNAPI = "onnxruntime/qnn:sm8650", "onnxruntime/nnapi"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with one model, of which two targets accelerate little."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "encoder.onnx").write_bytes(ENCODER.read_bytes())
    return tmp_path


def run(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "accelint", *args], cwd=folder, capture_output=True, text=True, timeout=120
    )


def configure(folder: Path, text: str, name: str = "accelint.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


BASE = f'models = "models/*.onnx"\ntargets = ["{QNN}"]\n'


def findings(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    document = json.loads(done.stdout)
    return [row for target in document["models"][0]["targets"] for row in target["findings"]]


# ---- where it is found -----------------------------------------------------------------------


def test_models_and_targets_come_from_the_nearest_configuration(project: Path) -> None:
    configure(project, BASE)
    inner = project / "deep" / "er"
    inner.mkdir(parents=True)
    done = run(inner, "check", "--format", "json")
    document = json.loads(done.stdout)
    assert [Path(model["path"]).name for model in document["models"]] == ["encoder.onnx"]
    assert [row["target"] for row in document["models"][0]["targets"]] == [QNN]
    configure(inner, f'models = "../../models/encoder.onnx"\ntargets = "{NNAPI}"\n')
    document = json.loads(run(inner, "check", "--format", "json").stdout)
    assert [row["target"] for row in document["models"][0]["targets"]] == [NNAPI]


def test_pyproject_is_a_configuration_when_it_says_so(project: Path) -> None:
    configure(project, '[tool.other]\nx = "accelint"\n', "pyproject.toml")
    assert run(project, "check").returncode == 2
    configure(project, f'[tool.accelint]\nmodels = "models"\ntargets = "{QNN}"\n', "pyproject.toml")
    assert "encoder.onnx" in run(project, "check").stdout
    assert run(project, "check", "--isolated").returncode == 2


def test_the_command_line_is_over_the_configuration(project: Path) -> None:
    configure(project, BASE + "[gates]\nmax-partitions = 0\n")
    assert "gate missed" in run(project, "check", "-q").stderr
    done = run(project, "check", "-q", "--max-partitions", "50")
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_extended_holds_where_nothing_is_said(project: Path) -> None:
    (project / "shared").mkdir()
    configure(project / "shared", "[gates]\nmin-coverage = 99\nmax-partitions = 0\n", "base.toml")
    path = configure(project, 'extends = "shared/base.toml"\n' + BASE + "[gates]\nmax-partitions = 9\n")
    held = read(path)
    assert (held.gates.min_coverage, held.gates.max_partitions) == (0.99, 9)
    shown = run(project, "config").stdout
    assert "gates.min-coverage = 0.99  (shared/base.toml)" in shown
    assert "gates.max-partitions = 9  (accelint.toml)" in shown
    rows = json.loads(run(project, "config", "--json").stdout)["values"]
    assert {row["key"] for row in rows} >= {"models", "targets", "gates.min-coverage", "gates.max-partitions"}


def test_a_cycle_of_configurations_ends(project: Path) -> None:
    configure(project, 'extends = "b.toml"\n')
    configure(project, 'extends = "accelint.toml"\n', "b.toml")
    done = run(project, "check")
    assert done.returncode == 2
    assert "extends itself" in done.stderr


def test_every_problem_is_told_with_its_place(project: Path) -> None:
    configure(
        project,
        'modles = "x"\ntargets = 3\n[gates]\nmin-coverage = 400\nby = "bytes"\n[[ignore]]\ncode = "ACL1"\n'
        '[[ignore]]\nreason = "r"\n[target."a"]\nmax-partitions = -1\n',
    )
    done = run(project, "check")
    assert done.returncode == 2
    for words in (
        "accelint.toml has 7 problems",
        "modles: unknown key; is models meant?",
        "targets has to be text or a list of texts",
        "gates.min-coverage has to be a share",
        "gates.by has to be one of ops, macs",
        "ignore[0].reason is missing",
        "ignore[1]: one of code, rule and fingerprint is needed",
        "target.a.max-partitions has to be a whole number",
    ):
        assert words in done.stderr


@pytest.mark.parametrize("content", ["a = [", "\udcff", "a = " + "[" * 20_000])
def test_what_is_no_toml_is_wrong_usage(project: Path, content: str) -> None:
    (project / "accelint.toml").write_bytes(content.encode("utf-8", "surrogateescape"))
    done = run(project, "check")
    assert done.returncode == 2
    assert "is no valid TOML" in done.stderr


_FRACTIONS = st.floats(allow_nan=False, width=16).filter(lambda value: not value.is_integer())
_WORDS = st.one_of(st.none(), st.booleans(), st.integers(-3, 200), _FRACTIONS, st.text(max_size=4))
_VALUES = st.one_of(
    st.sampled_from(["95%", "0.5", "101", "ops", "error", "off", "2027-01-01", "x"]),
    _WORDS,
    st.lists(_WORDS, max_size=2),
    st.dictionaries(st.text(max_size=2), _WORDS, max_size=2),
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_schema_says_what_the_reader_takes(data: st.DataObject) -> None:
    """For every field, the values that the published schema allows are those that are read."""
    table = data.draw(st.sampled_from([fields.TOP, fields.GATES, fields.IGNORED]))
    field = data.draw(st.sampled_from(table))
    value = data.draw(_VALUES)
    try:
        field.kind.check(value)
        good = True
    except ValueError:
        good = False
    if field.kind is fields.DAY and isinstance(value, str) and not good:
        return  # a pattern cannot count the days of a month
    assert Draft202012Validator(dict(field.kind.schema)).is_valid(value) == good, (field.name, value)


def test_the_published_schema_is_one_and_takes_a_whole_configuration(project: Path) -> None:
    schema = json.loads(run(project, "schema", "config").stdout)
    Draft202012Validator.check_schema(schema)
    good = {
        "models": ["a", "b"],
        "targets": QNN,
        "gates": {"min-coverage": "95%"},
        "target": {NNAPI: {"require-full": True, "select": ["ACL1"]}},
        "ignore": [{"code": "ACL305", "reason": "r", "until": "2030-01-01"}],
    }
    assert Draft202012Validator(schema).is_valid(good)
    assert not Draft202012Validator(schema).is_valid({**good, "gate": {}})
    assert not Draft202012Validator(schema).is_valid({"ignore": [{"reason": "r"}]})


# ---- gates -----------------------------------------------------------------------------------


def test_gates_of_a_target_take_the_place_of_those_of_all(project: Path) -> None:
    configure(
        project,
        f'models = "models"\ntargets = ["{QNN}", "{NNAPI}"]\n[gates]\nmin-coverage = 99\n'
        '[target."onnxruntime/nnapi"]\nmin-coverage = "1%"\n[target."onnxruntime/qnn"]\nmax-partitions = 0\n',
    )
    done = run(project, "check", "-q")
    lines = [line for line in done.stderr.splitlines() if "gate missed" in line]
    assert len(lines) == 2
    assert all(QNN in line for line in lines)
    assert done.returncode == 1


def test_bytes_across_boundaries_are_a_gate(project: Path) -> None:
    frozen = project / "static.onnx"
    model = onnx.load(ENCODER)
    for dim, size in zip(model.graph.input[0].type.tensor_type.shape.dim, (1, 16), strict=True):
        dim.dim_value = size
    onnx.save(model, frozen)
    done = run(project, "check", "static.onnx", "-t", NNAPI, "-f", "json")
    parts = json.loads(done.stdout)["models"][0]["targets"][0]["partitions"]
    moved = sum(part["bytes_in"] + part["bytes_out"] for part in parts)
    assert moved > 0
    args = ("check", "static.onnx", "-t", NNAPI, "-q", "--max-boundary-bytes")
    assert "gate missed" not in run(project, *args, str(moved)).stderr
    missed = run(project, *args, str(moved - 1))
    assert f"{moved} bytes cross boundaries, at most {moved - 1} allowed" in missed.stderr
    assert missed.returncode == 1


def test_severity_of_one_target(project: Path) -> None:
    configure(project, BASE + '[target."onnxruntime/*"]\nfail-on = "warning"\n')
    assert run(project, "check").returncode == 1
    assert run(project, "check", "--fail-on", "error").returncode == 0


# ---- ignored findings ------------------------------------------------------------------------


def test_ignored_findings_count_in_no_gate_and_are_told(project: Path) -> None:
    configure(project, BASE + '[gates]\nfail-on = "warning"\n')
    before = run(project, "check", "--format", "json")
    assert before.returncode == 1
    kinds = sorted({row["code"] for row in findings(before) if row["severity"] != "note"})
    entries = "".join(f'[[ignore]]\ncode = "{code}"\nreason = "known"\n' for code in kinds)
    configure(project, BASE + '[gates]\nfail-on = "warning"\n' + entries)
    done = run(project, "check", "--format", "json")
    assert done.returncode == 0
    told = json.loads(done.stdout)
    counts = [
        document["models"][0]["targets"][0]["accelerated"] for document in (told, json.loads(before.stdout))
    ]
    assert counts[0] == counts[1], "verdicts and shares stay what they are"
    count = sum(1 for row in findings(done) if row.get("ignored") == "known")
    assert count == told["summary"]["ignored"] > 0
    assert f"{count} findings ignored: known" in run(project, "check").stdout


def test_ignored_at_some_operators_models_and_targets(project: Path) -> None:
    configure(
        project,
        f'models = "models"\ntargets = ["{QNN}", "{NNAPI}"]\n'
        '[[ignore]]\ncode = "ACL101"\noperator = "MatMul"\nmodel = "models/*"\ntarget = "onnxruntime/qnn"\n'
        'reason = "r"\n[[ignore]]\ncode = "ACL101"\nmodel = "others/*"\nreason = "elsewhere"\n',
    )
    document = json.loads(run(project, "check", "--format", "json").stdout)
    for target in document["models"][0]["targets"]:
        types = {op["id"]: op["type"] for op in target["operators"]}
        for row in target["findings"]:
            at = (target["target"], row["code"], types[row["operator"]])
            wanted = at == (QNN, "ACL101", "MatMul")
            assert row.get("ignored", "") == ("r" if wanted else "")


def test_entries_that_nothing_needs_and_that_are_over_are_told(project: Path) -> None:
    over = (date.today() - timedelta(days=1)).isoformat()
    last = date.today().isoformat()
    configure(
        project,
        BASE + f'[[ignore]]\ncode = "ACL101"\nuntil = {over}\nreason = "a"\n'
        '[[ignore]]\nrule = "no-such-rule"\nreason = "b"\n'
        f'[[ignore]]\ncode = "ACL101"\nuntil = {last}\noperator = "Add"\nreason = "c"\n',
    )
    done = run(project, "check", "--format", "json")
    assert f"ignore[0]: over since {over}" in done.stderr
    assert "ignore[1]: no finding needs it any more" in done.stderr
    assert "ignore[2]" not in done.stderr
    assert {row.get("ignored") for row in findings(done)} == {None, "c"}


def test_a_model_says_itself_what_may_stay(project: Path) -> None:
    model = onnx.load(ENCODER)
    prop = model.metadata_props.add()
    prop.key = "accelint.ignore"
    prop.value = "ACL101 operator=Add target=onnxruntime/qnn known since v3\nACL2\nnonsense until=never x\n"
    onnx.save(model, project / "own.onnx")
    done = run(project, "check", "own.onnx", "-t", f"{QNN},{NNAPI}", "--format", "json")
    rows = json.loads(done.stdout)["models"][0]["targets"]
    assert {row.get("ignored") for row in rows[0]["findings"]} == {None, "known since v3"}
    assert {row.get("ignored") for row in rows[1]["findings"]} == {None}


def test_lines_of_a_property() -> None:
    lines = "ACL305 operator=/a/* until=2030-01-02 two words", "", "some-rule r", "ACL1", "ACL1 until=x y"
    found = parsed("\n".join(lines), "o")
    assert [(item.code, item.rule, item.operator, item.until, item.reason) for item in found] == [
        ("ACL305", "", "/a/*", date(2030, 1, 2), "two words"),
        ("", "some-rule", "", None, "r"),
    ]


def test_only_selected_findings_count(project: Path) -> None:
    done = run(
        project, "check", "models", "-t", QNN, "--fail-on", "warning", "--select", "ACL9", "--format", "json"
    )
    assert done.returncode == 0
    assert {row["ignored"] for row in findings(done)} == {"not selected"}
    assert (
        run(project, "check", "models", "-t", QNN, "--fail-on", "warning", "--select", "ACL1").returncode == 1
    )
    done = run(project, "check", "models", "-t", QNN, "--fail-on", "warning", "--ignore", "ACL")
    assert done.returncode == 0


# ---- the baseline ----------------------------------------------------------------------------


def test_a_baseline_lets_what_is_known_stay_and_nothing_new(project: Path) -> None:
    configure(project, BASE + '[gates]\nfail-on = "warning"\n')
    assert run(project, "check").returncode == 1
    assert run(project, "baseline", "write").returncode == 0
    path = project / "accelint-baseline.json"
    schema = json.loads(run(project, "schema", "baseline").stdout)
    Draft202012Validator(schema).validate(json.loads(path.read_text()))
    assert run(project, "baseline", "check").returncode == 0
    done = run(project, "check", "--baseline", path.name)
    assert (done.returncode, "in the baseline" in done.stdout) == (0, True)
    known = json.loads(path.read_text())
    (row,) = known["models"]["models/encoder.onnx"].values()
    mark, _ = row["findings"].popitem()
    row["coverage"] = 0.99
    path.write_text(json.dumps(known))
    done = run(project, "baseline", "check")
    assert done.returncode == 1
    assert done.stdout.count(" new: ") == 1
    assert "in the baseline 99.0%" in done.stdout
    done = run(project, "check", "--baseline", path.name, "--format", "json")
    assert done.returncode == 1
    assert [row["fingerprint"] for row in findings(done) if not row.get("ignored")] == [mark]


def test_pruning_removes_what_is_gone_and_adds_nothing(project: Path) -> None:
    configure(project, BASE)
    run(project, "baseline", "write")
    path = project / "accelint-baseline.json"
    known = json.loads(path.read_text())
    (row,) = known["models"]["models/encoder.onnx"].values()
    row["findings"].popitem()
    left = dict(row["findings"])
    row["findings"]["0" * 16] = {"code": "ACL101", "rule": "r", "operator": "o"}
    row["coverage"], row["partitions"] = 0.0, 99
    path.write_text(json.dumps(known))
    assert "1 known finding gone" in run(project, "baseline", "check").stdout
    assert run(project, "baseline", "prune").returncode == 0
    (row,) = json.loads(path.read_text())["models"]["models/encoder.onnx"].values()
    assert row["findings"] == left
    assert (row["coverage"] > 0, row["partitions"] < 99) == (True, True)


@pytest.mark.parametrize(
    "content", ["{", '{"schema": "x"}', '{"schema": "accelint/baseline/1", "models": {"a": 1}}']
)
def test_what_is_no_baseline_is_wrong_usage(project: Path, content: str) -> None:
    (project / "b.json").write_text(content)
    done = run(project, "check", "models", "-t", QNN, "--baseline", "b.json")
    assert done.returncode == 2
    assert "baseline" in done.stderr


def test_a_baseline_is_never_written_over_a_model(project: Path) -> None:
    data = (project / "models" / "encoder.onnx").read_bytes()
    done = run(project, "baseline", "write", "models", "-t", QNN, "-o", "models/encoder.onnx")
    assert done.returncode == 2
    assert (project / "models" / "encoder.onnx").read_bytes() == data


# ---- differences -----------------------------------------------------------------------------


def frozen(path: Path, sizes: tuple[int, int] = (1, 16), name: str = "") -> Path:
    model = onnx.load(ENCODER)
    for dim, size in zip(model.graph.input[0].type.tensor_type.shape.dim, sizes, strict=True):
        dim.dim_value = size
    if name:
        old = model.graph.input[0].name
        model.graph.input[0].name = name
        for node in model.graph.node:
            node.input[:] = [name if item == old else item for item in node.input]
    onnx.save(model, path)
    return path


def test_two_models(project: Path) -> None:
    frozen(project / "static.onnx")
    done = run(project, "diff", "models/encoder.onnx", "static.onnx", "-t", QNN, "--format", "json")
    found = json.loads(done.stdout)
    schema = json.loads(run(project, "schema", "diff").stdout)
    Draft202012Validator(schema).validate(found)
    (model,) = found["models"]
    (target,) = model["targets"]
    assert any(row["code"] == "ACL101" for row in target["fixed"])
    assert target["coverage"]["operators"][0] < target["coverage"]["operators"][1]
    assert any("shape was" in line for line in model["contract"])
    assert done.returncode == 1, "an application would notice the shape"
    assert run(project, "diff", "static.onnx", "models/encoder.onnx", "-t", QNN).returncode == 1
    same = run(project, "diff", "static.onnx", "static.onnx", "-t", QNN)
    assert (same.returncode, "0 new findings, 0 fixed" in same.stdout) == (0, True)
    assert (
        run(project, "diff", "static.onnx", "models/encoder.onnx", "-t", QNN, "--exit-zero").returncode == 0
    )


def test_a_renamed_input_is_a_change_of_the_contract(project: Path) -> None:
    frozen(project / "a.onnx")
    frozen(project / "b.onnx", name="ids")
    done = run(project, "diff", "a.onnx", "b.onnx", "-t", QNN)
    assert done.returncode == 1
    assert "contract: input 'ids' is new" in done.stdout


def test_two_reports_and_a_report_with_a_model(project: Path) -> None:
    frozen(project / "static.onnx")
    run(project, "check", "models/encoder.onnx", "-t", QNN, "--format", "json", "-o", "old.json")
    run(project, "check", "static.onnx", "-t", QNN, "--format", "json", "-o", "new.json")
    done = run(project, "diff", "old.json", "new.json", "--format", "json", "--exit-zero")
    both = json.loads(done.stdout)
    mixed = json.loads(
        run(project, "diff", "old.json", "static.onnx", "-t", QNN, "--format", "json", "--exit-zero").stdout
    )
    assert both["models"][0]["targets"] == mixed["models"][0]["targets"]


def test_two_releases_of_one_target(project: Path) -> None:
    frozen(project / "static.onnx")
    args = ("diff", "static.onnx", "static.onnx", "-t", "litert/builtins")
    assert run(project, *args).returncode == 2
    versions = json.loads(run(project, "targets", "--json").stdout)
    cpu = next(row for row in versions if row["target"] == "onnxruntime/cpu")
    old = cpu["releases"][-1]
    done = run(
        project, "diff", "static.onnx", "static.onnx", "-t", "onnxruntime/cpu", "--old-target",
        f"onnxruntime/cpu@{old}", "--format", "json", "--exit-zero",
    )  # fmt: skip
    (target,) = json.loads(done.stdout)["models"][0]["targets"]
    assert old in target["runtimes"][0]


_HEAD = '{"schema": "accelint/report/1"'


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{",
        _HEAD + "}",
        _HEAD + ', "tool": {"version": "1"}, "models": [{"path": "a", "inputs": [], "outputs": [], '
        '"targets": [{"target": "x"}]}]}',
    ],
)
def test_a_damaged_report_is_wrong_usage(project: Path, content: str) -> None:
    (project / "r.json").write_text(content)
    done = run(project, "diff", "r.json", "r.json")
    assert done.returncode == 2
    assert "report" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_too_large_is_no_configuration(tmp_path: Path) -> None:
    path = tmp_path / "accelint.toml"
    path.touch()
    os.truncate(path, 2 << 20)
    with pytest.raises(UsageError, match="larger than 1 MB"):
        read(path)


def test_every_form_knows_what_may_stay(project: Path) -> None:
    """SARIF suppresses it, the others leave it out, and the table says why."""
    configure(project, BASE + '[[ignore]]\ncode = "ACL101"\nreason = "known"\n')
    forms = ("sarif", "github", "gitlab", "junit", "rdjson", "markdown", "csv")
    pairs = [word for form in forms for word in ("-f", form, "-o", f"out.{form}")]
    assert run(project, "check", *pairs).returncode == 0
    texts = {form: (project / f"out.{form}").read_text() for form in forms}
    rows = json.loads(texts["sarif"])["runs"][0]["results"]
    told = {row["ruleId"].partition("/")[0]: row.get("suppressions") for row in rows}
    assert told["ACL101"] == [{"kind": "external", "justification": "known"}]
    assert told["ACL201"] is None
    for form in ("github", "gitlab", "junit", "rdjson", "markdown"):
        assert "ACL201" in texts[form], form
        assert "ACL101" not in texts[form], form
    assert ",known" in texts["csv"]


PACK = """[pack]
target = "onnxruntime/qnn"
extends = "onnxruntime_qnn"

[source.own]
url = "https://example.org/notes"
version = "1"
evidence = "reported"

[[rule]]
id = "ACL405"
name = "relu-under-test"
ops = ["Relu"]
message = "{type} is under test"
refuse = true
source = "own"
reason = "of this test"
lifecycle = "preview"
examples.fails = [ {} ]
"""


def test_a_rule_in_preview_counts_where_it_is_asked_for(project: Path) -> None:
    from test_cli_check import model

    model(project / "m.onnx", [1, 3, 8, 8])
    (project / "own.toml").write_text(PACK)
    args = ("check", "m.onnx", "-t", QNN, "--pack", "own.toml", "--format", "json")
    assert [row["rule"] for row in findings(run(project, *args))] == []
    assert [row["rule"] for row in findings(run(project, *args, "--preview"))] == ["relu-under-test"]
    configure(project, "preview = true\n")
    assert [row["rule"] for row in findings(run(project, *args))] == ["relu-under-test"]


def test_a_rule_is_ignored_by_any_name_that_it_had() -> None:
    from accelint.analyzer.check.coverage import Finding
    from accelint.analyzer.settings.ignored import Ignore

    found = Finding("ACL101", "dynamic-shape-fails-to-compile", "error", "main/0", "m")
    assert Ignore("r", rule="dynamic-shape-refused").matches(found, None, QNN)
    assert not Ignore("r", rule="dynamic-shape-refused").matches(found, None, NNAPI)


def test_baseline_and_diff_say_as_much_as_is_asked_for(project: Path) -> None:
    configure(project, BASE)
    run(project, "baseline", "write")
    path = project / "accelint-baseline.json"
    known = json.loads(path.read_text())
    (row,) = known["models"]["models/encoder.onnx"].values()
    row["findings"] = {}
    path.write_text(json.dumps(known))
    brief, usual, full = (
        run(project, "baseline", "check", *option).stdout.splitlines() for option in (["-q"], [], ["-v"])
    )
    assert (len(brief), len(usual) < len(full)) == (1, True)
    frozen(project / "static.onnx")
    args = ("diff", "models/encoder.onnx", "static.onnx", "-t", QNN)
    brief, usual, full = (run(project, *args, *option).stdout.splitlines() for option in (["-q"], [], ["-v"]))
    assert len(brief) < len(usual) < len(full)
    assert run(project, *args, "-q", "-v").returncode == 2


def test_sizes_of_the_configuration_are_those_that_verify_feeds(project: Path) -> None:
    configure(project, "sizes = {batch = 2, steps = 3, other = 9}\n")
    args = ("verify", "models/encoder.onnx", "-t", "onnxruntime/cpu", "--format", "json")
    configured = json.loads(run(project, *args).stdout)["models"][0]["targets"][0]
    configure(project, "sizes = {batch = 0}\n")
    assert "sizes has to be a table" in run(project, *args).stderr
    (project / "accelint.toml").unlink()
    given = run(project, *args, "--size", "batch=2", "--size", "steps=3")
    assert json.loads(given.stdout)["models"][0]["targets"][0]["parity"] == configured["parity"]
    made_up = json.loads(run(project, *args).stdout)["models"][0]["targets"][0]
    assert made_up["parity"] != configured["parity"]


def test_plurals_agree_with_the_number(tmp_path: Path) -> None:
    """One operator, one partition: in the report and in the difference."""
    one = helper.make_node("Relu", ["x"], ["y"], name="relu")
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4])] for name in ("x", "y")]
    model = helper.make_model(
        helper.make_graph([one], "g", *ends), opset_imports=[helper.make_opsetid("", 17)]
    )
    model.ir_version = 9
    onnx.save(model, tmp_path / "one.onnx")
    told = run(tmp_path, "check", "one.onnx", "--isolated", "-t", "onnxruntime/nnapi").stdout
    assert told.splitlines()[0].endswith("onnx · 1 operator")
    changed = run(tmp_path, "diff", "one.onnx", "one.onnx", "--isolated", "-t", "onnxruntime/nnapi").stdout
    assert ", 1 partition, 0 new findings" in changed
