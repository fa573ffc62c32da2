"""Report forms of continuous integration: valid by their schemas, read by their consumers, names inert."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cli import ROOT, accelint, report
from forms_checks import CONSUMERS, FORMS, annotations, causes_of, validate, written
from forms_models import HOSTILE, big, hostile

import accelint as accelint_api

FIXTURES = ROOT / "fixtures"
QNN, GPU, ANE = "onnxruntime/qnn:sm8650", "litert/gpu", "coreml/ane:m4"
SOME = {
    "encoder": (f"{QNN},onnxruntime/coreml,onnxruntime/cpu", "demo/encoder.onnx"),
    "flex": (f"{GPU},litert/hexagon", "tflite/flex.tflite"),
    "bodies": (QNN, "onnx/bodies.onnx"),
    "mil": (ANE, "coreml/control_flow.mlpackage"),
    "network": ("coreml/ane", "coreml/network.mlmodel"),
    "fine": ("litert/cpu", "tflite/conv_net.tflite"),
}
SEVERAL = tuple(form for form in FORMS if form != "model-explorer")


@pytest.mark.parametrize("name", SOME)
def test_of_fixtures(name: str, tmp_path: Path) -> None:
    targets, model = SOME[name]
    written(tmp_path, FIXTURES / model, "-t", targets)
    validate(tmp_path)


TARGETS = {
    ".onnx": [QNN, "onnxruntime/coreml", "onnxruntime/cpu"],
    ".tflite": [GPU, "litert/nnapi", "litert/cpu"],
    ".mlpackage": ["coreml/ane"],
    ".mlmodel": ["coreml/ane"],
}
EVERY = [
    path.relative_to(FIXTURES).as_posix()
    for path in sorted(FIXTURES.rglob("*"))
    if path.suffix in TARGETS and not any(parent.suffix == ".mlpackage" for parent in path.parents)
]
TENSORFLOW = (
    "control_flow", "convnet", "convnet.keras", "convnet_frozen.pb", "signatures", "tf1", "tf1_frozen.pb",
)  # fmt: skip


def validated(model: Path, targets: list[str], folder: Path) -> None:
    """Every form of a check, by the functions that the command line calls."""
    found = accelint_api.check(model, targets, keep_errors=True)
    for form in FORMS:
        (folder / f"report.{form}").write_text(found.render(form), encoding="utf-8")
    validate(folder)


@pytest.mark.parametrize("name", EVERY)
def test_every_form_of_every_fixture(name: str, tmp_path: Path) -> None:
    validated(FIXTURES / name, TARGETS[Path(name).suffix], tmp_path)


@pytest.mark.tensorflow
@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="needs the extra [tensorflow]")
@pytest.mark.parametrize("name", TENSORFLOW)
def test_every_form_of_every_tensorflow_fixture(name: str, tmp_path: Path) -> None:
    validated(FIXTURES / "tf" / name, ["litert/builtins"], tmp_path)


def test_of_several_models_of_which_one_cannot_be_read(tmp_path: Path) -> None:
    models = [FIXTURES / "demo" / "encoder.onnx", FIXTURES / "demo" / "denoiser.tflite", tmp_path / "no.onnx"]
    written(tmp_path, *models, "-t", f"{QNN},{GPU}", forms=SEVERAL)
    validate(tmp_path, SEVERAL)
    (tmp_path / "report.sarif").read_text()
    result = accelint("check", *models[:2], "-t", f"{QNN},{GPU}", "-f", "model-explorer")
    assert result.returncode == 2
    assert "one model, not 2" in result.stderr


def test_hostile_names_are_inert_everywhere(tmp_path: Path) -> None:
    model = hostile(tmp_path / "h o%#?{0},:;'`|<b>.onnx")
    written(tmp_path, model.name, "-t", f"{QNN},onnxruntime/cpu", cwd=tmp_path)
    validate(tmp_path)
    document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    names = {op["name"] for op in document["models"][0]["targets"][0]["operators"]}
    assert set(HOSTILE) <= names, "JSON has them as they are"
    found = annotations((tmp_path / "report.github").read_text(encoding="utf-8"))
    assert {properties["file"] for _, properties, _ in found if "file" in properties} == {model.name}
    for form in FORMS:
        text = (tmp_path / f"report.{form}").read_text(encoding="utf-8")
        assert "\x1b" not in text
        assert "‮" not in text


@pytest.fixture(scope="module")
def twenty_thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a model of 20,000 operators that 70 lines of one file made, and its reports."""
    folder = tmp_path_factory.mktemp("big")
    (folder / ".git").mkdir()
    (folder / "net.py").touch()
    written(folder, big(folder / "big.onnx"), "-t", QNN, cwd=folder)
    return folder


def test_of_twenty_thousand_operators(twenty_thousand: Path) -> None:
    validate(twenty_thousand, FORMS[1:])
    log = json.loads((twenty_thousand / "report.sarif").read_text(encoding="utf-8"))
    results = log["runs"][0]["results"]
    assert sum(row["properties"]["operators"] for row in results) == 10_000
    lines = {row["locations"][0]["physicalLocation"]["region"]["startLine"] for row in results}
    assert len(lines) == 35, "each line of code has its own result while GitHub shows them all"


def test_lines_are_joined_where_github_would_not_show_them_all(tmp_path: Path) -> None:
    from accelint.analyzer.report import issues

    places = issues.Places(tmp_path)
    (tmp_path / "net.py").touch()
    finding = {
        "code": "ACL201", "rule": "r", "severity": "warning", "message": "m", "evidence": "source",
        "source": "s", "fix": None, "fix_level": None,
    }  # fmt: skip
    count = issues.MOST + 1
    ops = [{"id": f"main/{n}", "name": "n", "type": "T", "code": f"net.py:{n + 1}"} for n in range(count)]
    findings = [{**finding, "operator": op["id"], "fingerprint": op["id"]} for op in ops]
    target = {"target": QNN, "operators": ops, "findings": findings}
    document = {"models": [{"path": "m.onnx", "targets": [target], "inputs": []}]}
    (one,) = issues.issues(document, places)
    assert (one.count, len(one.operators), one.place.line) == (count, issues.LISTED, 1)
    target["operators"], target["findings"] = ops[1:], findings[1:]
    assert len(issues.issues(document, places)) == issues.MOST


# ---- where the code is -----------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a model that was exported elsewhere, from a file that the repository has too."""
    root = tmp_path / "repo"
    (root / ".git").mkdir(parents=True)
    (root / "project").mkdir()
    (root / "models").mkdir()
    shutil.copy(FIXTURES / "traced" / "net.py", root / "project")
    shutil.copy(FIXTURES / "traced" / "traced.onnx", root / "models")
    return root


def test_findings_are_at_the_line_that_made_the_operator(repository: Path) -> None:
    """Also from a folder below, whose paths are told from the root of the repository."""
    source = (repository / "project" / "net.py").read_text(encoding="utf-8").splitlines()
    for cwd, model in ((repository, "models/traced.onnx"), (repository / "models", "traced.onnx")):
        written(cwd, model, "-t", QNN, cwd=cwd)
        validate(cwd)
        log = json.loads((cwd / "report.sarif").read_text(encoding="utf-8"))
        lines: dict[str, str] = {}
        for row in log["runs"][0]["results"]:
            place = row["locations"][0]["physicalLocation"]
            kinds = {item["logicalLocations"][0]["kind"] for item in row["locations"]}
            assert place["artifactLocation"]["uri"] == "project/net.py"
            lines |= dict.fromkeys(kinds, source[place["region"]["startLine"] - 1])
            related = row["relatedLocations"][0]["physicalLocation"]["artifactLocation"]["uri"]
            assert related == "models/traced.onnx"
        assert "torch.sinh" in lines["Sinh"]
        assert "torch.linalg.det" in lines["Det"]
        for form, key in (("gitlab", "path"), ("rdjson", "path")):
            text = (cwd / f"report.{form}").read_text(encoding="utf-8")
            assert f'"{key}": "project/net.py"' in text
        found = annotations((cwd / "report.github").read_text(encoding="utf-8"))
        assert {properties["file"] for _, properties, _ in found} == {"project/net.py"}


def test_findings_are_at_the_model_where_the_code_is_not_here(repository: Path) -> None:
    (repository / "project" / "net.py").unlink()
    written(repository, "models/traced.onnx", "-t", QNN, cwd=repository)
    found = annotations((repository / "report.github").read_text(encoding="utf-8"))
    assert {(item["file"], item["line"]) for _, item, _ in found} == {("models/traced.onnx", "1")}


@pytest.mark.parametrize(
    "recorded",
    [
        "../../../etc/passwd:1",
        "/etc/passwd:1",
        "x" * 5000 + ":1",
        "a\0b:1",
        "net.py:",
        "net.py:x",
        ":7",
        "/usr/lib/python3/site-packages/net.py:1",
        "C:\\py\\site-packages\\keras\\net.py:1",
        "/:1",
    ],
)
def test_a_recorded_place_outside_is_no_place(recorded: str, tmp_path: Path) -> None:
    from accelint.analyzer.report.places import Places

    (tmp_path / "net.py").touch()
    assert Places(tmp_path).code(recorded) is None


@pytest.mark.parametrize("recorded", ["net.py:3", "/a/b/net.py:3", "C:\\src\\net.py:3", "./net.py:3"])
def test_a_recorded_place_is_found_by_its_end(recorded: str, tmp_path: Path) -> None:
    from accelint.analyzer.report.places import Place, Places

    (tmp_path / "net.py").touch()
    assert Places(tmp_path).code(recorded) == Place("net.py", 3)


# ---- rules, nodes, drawings ------------------------------------------------------------------


def test_sarif_declares_every_rule_of_the_targets(tmp_path: Path) -> None:
    from accelint.rules.outline import Outline
    from accelint.rules.registry import choose

    written(tmp_path, FIXTURES / "tflite" / "conv_net.tflite", "-t", f"{GPU},litert/nnapi", forms=("sarif",))
    log = json.loads((tmp_path / "report.sarif").read_text(encoding="utf-8"))
    declared = {rule["id"]: rule for rule in log["runs"][0]["tool"]["driver"]["rules"]}
    for target in (GPU, "litert/nnapi"):
        variant = choose(target).variant
        for rule in Outline(target).rules():
            if variant not in rule.get("variants", [variant]):
                continue
            told = declared[f"{rule['id']}/{rule['name']}"]
            assert rule["reason"][:200] in told["help"]["markdown"]
            assert target in told["help"]["text"]
    with_uri = [rule for rule in declared.values() if "helpUri" in rule]
    assert all(rule["helpUri"].startswith("https://") for rule in with_uri)
    assert len(with_uri) > len(declared) / 2
    assert any("deprecatedIds" in rule for rule in declared.values())


RECORDED: dict[str, Any] = json.loads((FIXTURES / "recorded" / "model_explorer.json").read_text())


@pytest.mark.parametrize("name", list(RECORDED["models"]))
def test_nodes_are_called_as_model_explorer_calls_them(name: str) -> None:
    """By what its adapters answered: tools/conformance/explorer_nodes.py asks them again."""
    target = GPU if name.endswith(".tflite") else QNN
    told = accelint("check", FIXTURES / name, "-t", target, "-f", "model-explorer")
    data = json.loads(told.stdout)
    for graph, nodes in RECORDED["models"][name].items():
        if not graph.startswith("[function]"):  # local functions are judged where they are called
            assert sorted(data[graph]["results"]) == sorted(nodes)


def test_a_node_shows_the_verdict_of_each_target(tmp_path: Path) -> None:
    model = FIXTURES / "demo" / "encoder.onnx"
    told = accelint("check", model, "-t", f"{QNN},onnxruntime/cpu", "-f", "model-explorer")
    (graph,) = json.loads(told.stdout).values()
    result = graph["results"]["/Shape"]
    assert result["value"] == f"{QNN}: fallback ACL101 ACL201; onnxruntime/cpu: runs"
    alone = json.loads(accelint("check", model, "-t", QNN, "-f", "model-explorer").stdout)
    assert alone["main_graph"]["results"]["/Shape"]["value"] == "fallback ACL101 ACL201"


def flow(*arguments: object) -> dict[str, Any]:
    """What the JSON document says where a form that draws is asked for too."""
    result = accelint("check", *arguments, "-f", "json", "-f", "mermaid", "-o", "-", "-o", "/dev/null")
    found: dict[str, Any] = json.loads(result.stdout)["models"][0]["targets"][0]
    return found


def test_a_drawing_has_every_running_operator_once_and_no_cycle() -> None:
    for model, target in (("demo/encoder.onnx", QNN), ("demo/denoiser.tflite", GPU), ("onnx/qdq.onnx", QNN)):
        found = flow(FIXTURES / model, "-t", target)
        regions, edges = found["flow"]["regions"], found["flow"]["edges"]
        assert [region["kind"] for region in (regions[0], regions[-1])] == ["input", "output"]
        drawn = [region["partition"] for region in regions if "partition" in region]
        assert sorted(drawn) == list(range(len(found["partitions"])))
        assert all(edge["from"] < edge["to"] for edge in edges), "in an order of execution"
        for region in regions:
            if "partition" in region:
                assert region["operators"] >= len(found["partitions"][region["partition"]]["operators"])
        alone = sum(region["operators"] for region in regions if region["kind"] == "fallback")
        assert alone == found["fallback"]


def test_a_tflite_drawing_has_the_boundary_that_the_check_counted() -> None:
    found = flow(FIXTURES / "demo" / "denoiser.tflite", "-t", GPU)
    (number,) = [region["id"] for region in found["flow"]["regions"] if "partition" in region]
    entering = sum(edge["bytes"] for edge in found["flow"]["edges"] if edge["to"] == number)
    leaving = sum(edge["bytes"] for edge in found["flow"]["edges"] if edge["from"] == number)
    assert (entering, leaving) == (found["partitions"][0]["bytes_in"], found["partitions"][0]["bytes_out"])


def test_no_other_form_pays_for_the_drawing() -> None:
    assert (
        "flow"
        not in report("check", FIXTURES / "demo" / "encoder.onnx", "-t", QNN)["models"][0]["targets"][0]
    )


def test_mermaid_parses_what_is_drawn(twenty_thousand: Path, tmp_path: Path) -> None:
    if not (CONSUMERS / "node_modules" / "mermaid").is_dir() or shutil.which("node") is None:
        pytest.skip("Mermaid is not here: make consumers")
    (tmp_path / "hostile").mkdir()
    model = hostile(tmp_path / "h.onnx")
    written(tmp_path / "hostile", model, FIXTURES / "demo" / "encoder.onnx", "-t", QNN, forms=("mermaid",))
    files = [twenty_thousand / "report.mermaid", tmp_path / "hostile" / "report.mermaid"]
    done = subprocess.run(
        ["node", CONSUMERS / "mermaid.mjs", *files], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout.split()) == (0, ["flowchart-v2"] * 2), done.stderr


# ---- what changed ----------------------------------------------------------------------------


def test_a_comment_tells_what_changed_since_an_earlier_report(tmp_path: Path) -> None:
    model, old = FIXTURES / "demo" / "encoder.onnx", tmp_path / "old.json"
    fixed = tmp_path / "fixed.onnx"
    accelint("check", model, "-t", QNN, "-f", "json", "-o", old)
    accelint("fix", model, "-t", QNN, "--freeze", "tokens=1x16", "-o", fixed)
    words = ("check", fixed, "-t", QNN, "--baseline-report", old)
    told = accelint(*words, "-f", "markdown").stdout
    assert "was partial, +89.47 percentage points of operators" in told
    assert "findings fixed" in told
    previous = report(*words)["models"][0]["targets"][0]["previous"]
    assert (previous["verdict"], previous["partitions"], previous["new"]) == ("partial", 1, [])
    assert previous["fixed"] == len(json.loads(old.read_text())["models"][0]["targets"][0]["findings"])
    now = tmp_path / "now.json"
    accelint("check", fixed, "-t", QNN, "-f", "json", "-o", now)
    back = accelint("check", model, "-t", QNN, "--baseline-report", now, "-f", "markdown").stdout
    assert "was full, -89.47 percentage points of operators, 66 new findings" in back
    same = accelint("check", model, "-t", QNN, "--baseline-report", old, "-f", "markdown").stdout
    assert "no change" in same


def test_what_was_verified_is_in_the_forms(tmp_path: Path) -> None:
    from junitparser import JUnitXml

    junit, comment = tmp_path / "v.xml", tmp_path / "v.md"
    words = ("verify", FIXTURES / "onnx" / "conv_relu.onnx", "-t", "onnxruntime/cpu")
    result = accelint(*words, "-f", "junit", "-o", junit, "-f", "markdown", "-o", comment, "-f", "json")
    target = json.loads(result.stdout)["models"][0]["targets"][0]
    if "agreement" not in target:
        pytest.skip("onnxruntime is not here")
    cases = {case.name: case for suite in JUnitXml.fromfile(str(junit)) for case in suite}
    assert {"verdict", "prediction", "parity"} <= set(cases)
    assert all(case.is_passed for case in cases.values())
    assert f"- ✅ parity: `{target['parity']['summary']}`" in comment.read_text(encoding="utf-8")
    assert "accelint: 1 model: 1 runs" in comment.read_text(encoding="utf-8")


def test_a_failed_proof_fails_its_case() -> None:
    from accelint.analyzer.report.proofs import proofs

    target = {"agreement": {}, "contradictions": [f"main/{n} x" for n in range(7)], "parity_skipped": "why"}
    found = {proof.name: proof for proof in proofs({**target, "crash": {"signal": "SIGSEGV"}})}
    assert not any(proof.holds for proof in found.values())
    assert found["prediction"].text.endswith("main/4 x; and 2 more")
    assert found["parity"].text == "not compared: why"
    assert "SIGSEGV" in found["runtime"].text


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"schema": "accelint/report/1", "models": [{}]}',
     "\ud800".encode("utf-8", "surrogatepass"),
     '{"schema": "accelint/report/1", "models": [{"path": 1, "targets": []}, {"path": "m", "targets": [7]}]}',
     "[" * 100_000],
)  # fmt: skip
def test_what_is_no_report_is_rejected(text: str | bytes, tmp_path: Path) -> None:
    old = tmp_path / "old.json"
    old.write_bytes(text if isinstance(text, bytes) else text.encode())
    result = accelint("check", FIXTURES / "onnx" / "qdq.onnx", "-t", QNN, "--baseline-report", old)
    assert result.returncode == 2
    assert "old.json" in result.stderr


def test_causes_of_a_report_are_there() -> None:
    """The checks above would hold of a report without findings."""
    found = report("check", FIXTURES / "tflite" / "flex.tflite", "-t", GPU)
    assert len(causes_of(found)) >= 5
