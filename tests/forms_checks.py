"""Each report form checked as the place that reads it does: by its published schema, and by a consumer.

``tools/dev/forms.py`` runs them over every fixture, ``tests/test_forms.py`` over some.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import shutil
import subprocess
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from cli import accelint, schema

SCHEMAS = Path(__file__).parent / "schemas"
CONSUMERS = Path(__file__).parent / "consumers"
FORMS = (
    "json", "jsonl", "sarif", "github", "gitlab", "junit", "rdjson", "markdown", "csv", "mermaid", "dot",
    "model-explorer", "text", "html",
)  # fmt: skip


def written(
    folder: Path, *arguments: object, forms: tuple[str, ...] = FORMS, cwd: Path | None = None
) -> None:
    """One check, and a file ``report.FORM`` for each form."""
    outputs = [word for form in forms for word in ("-f", form, "-o", folder / f"report.{form}")]
    result = accelint("check", *arguments, *outputs, cwd=cwd)
    assert result.returncode in (0, 1, 3), (result.returncode, result.stderr)


def validate(folder: Path, forms: tuple[str, ...] = FORMS) -> None:
    """Check what is there of each form; the JSON document says what the others must hold."""
    document = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    for form in forms:
        check = globals()[f"check_{form.replace('-', '_')}"]
        check(folder / f"report.{form}", document)


@cache
def _schema(name: str) -> Any:
    """A compiled schema: thousands of rules that must differ take seconds otherwise."""
    import jsonschema_rs

    text = json.dumps(schema()) if name == "report" else (SCHEMAS / name).read_text(encoding="utf-8")
    loaded = json.loads(text)
    jsonschema_rs.meta.validate(loaded)
    return jsonschema_rs.validator_for(loaded)


def _json(path: Path, name: str) -> Any:
    found = json.loads(path.read_text(encoding="utf-8"))
    _schema(name).validate(found)
    return found


def _targets(document: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [(model, target) for model in document["models"] for target in model.get("targets", ())]


def causes_of(document: dict[str, Any]) -> set[tuple[str, str, str]]:
    """(target, code, rule) of every finding."""
    return {
        (target["target"], finding["code"], finding["rule"])
        for _, target in _targets(document)
        for finding in target["findings"]
    }


# ---- each form -------------------------------------------------------------------------------


def check_json(path: Path, document: dict[str, Any]) -> None:
    _schema("report").validate(document)


def check_jsonl(path: Path, document: dict[str, Any]) -> None:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["path"] for line in lines] == [model["path"] for model in document["models"]]


def check_sarif(path: Path, document: dict[str, Any]) -> None:
    from sarif import loader

    log = _json(path, "sarif-2.1.0.json")
    assert len(gzip.compress(path.read_bytes())) < 10_000_000
    (run,) = log["runs"]
    rules, results = run["tool"]["driver"]["rules"], run["results"]
    assert len(results) <= 5000
    assert len(rules) <= 25_000
    assert len({rule["id"] for rule in rules}) == len(rules)
    for rule in rules:
        assert len(rule["properties"]["tags"]) <= 10
        assert rule["help"]["text"]
    keys = [(row["ruleId"], _place(row), row["partialFingerprints"]["accelint/v1"]) for row in results]
    assert len(set(keys)) == len(keys), "GitHub takes results of one rule, file and fingerprint for the same"
    for row in results:
        assert rules[row["ruleIndex"]]["id"] == row["ruleId"]
        assert 1 <= len(row["locations"]) <= 100
        assert not re.search(r"(?<!\{)\{\d+\}(?!\})", row["message"]["text"]), "read as a placeholder"
    found = {(row["properties"]["target"], *row["ruleId"].split("/", 1)) for row in results}
    assert found == causes_of(document)
    unreadable = any("error" in model for model in document["models"])
    assert run["invocations"][0]["executionSuccessful"] is not unreadable
    known = loader.load_sarif_file(str(path)).get_report()
    assert sum(known.get_issue_count_for_severity(level) for level in ("error", "warning", "note")) == len(
        results
    )


def _place(result: dict[str, Any]) -> str:
    uri: str = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert re.fullmatch(r"(file://)?[A-Za-z0-9._~%/!$&'()*+,;=@:-]+", uri), uri
    return uri


def annotations(text: str) -> list[tuple[str, dict[str, str], str]]:
    """Workflow commands as GitHub's runner reads them: command, properties, message."""
    found = []
    for line in text.splitlines():
        match = re.fullmatch(r"::([a-z]+) ([^:]*)::(.*)", line)
        assert match, line
        pairs = dict(pair.split("=", 1) for pair in match[2].split(","))
        found.append(
            (match[1], {key: _unescaped(value) for key, value in pairs.items()}, _unescaped(match[3]))
        )
    return found


def _unescaped(text: str) -> str:
    for escaped, char in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(escaped, char)
    return text


def check_github(path: Path, document: dict[str, Any]) -> None:
    found = annotations(path.read_text(encoding="utf-8"))
    levels = [command for command, _, _ in found]
    assert set(levels) <= {"error", "warning", "notice"}
    assert all(levels.count(level) <= 10 for level in levels)
    for _, properties, message in found:
        assert set(properties) <= {"file", "line", "title"}
        assert message
    unreadable = any("error" in model for model in document["models"])
    assert bool(found) is (bool(causes_of(document)) or unreadable)


def check_gitlab(path: Path, document: dict[str, Any]) -> None:
    rows = _json(path, "gitlab-code-quality.json")
    assert len({row["fingerprint"] for row in rows}) == len(rows)
    names = {row["check_name"] for row in rows} - {"accelint/unreadable"}
    assert names == {f"{code}/{rule}" for _, code, rule in causes_of(document)}


def check_rdjson(path: Path, document: dict[str, Any]) -> None:
    rows = _json(path, "rdjson.json")["diagnostics"]
    values = {row["code"]["value"] for row in rows if "code" in row}
    assert values == {f"{code}/{rule}" for _, code, rule in causes_of(document)}


def check_junit(path: Path, document: dict[str, Any]) -> None:
    from junitparser import Failure, JUnitXml
    from lxml import etree

    etree.XMLSchema(etree.parse(SCHEMAS / "junit-10.xsd")).assertValid(etree.parse(path))
    suites = JUnitXml.fromfile(str(path))
    cases = [case for suite in suites for case in suite]
    assert suites.tests == len(cases)
    failed = [case for case in cases if any(isinstance(item, Failure) for item in case.result)]
    assert suites.failures == len(failed)
    bad = {
        (target["target"], finding["code"], finding["rule"])
        for _, target in _targets(document)
        for finding in target["findings"]
        if finding["severity"] == "error"
    }
    names = {f"{code} {rule}" for _, code, rule in bad}
    assert {case.name for case in failed} - {"verdict"} == names


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.hrefs: list[str] = []
        self.comments: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.hrefs += [value or "" for name, value in attrs if name in ("href", "src")]
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_comment(self, data: str) -> None:
        self.comments.append(data.strip())


def check_markdown(path: Path, document: dict[str, Any]) -> None:
    from markdown_it import MarkdownIt

    text = path.read_text(encoding="utf-8")
    assert len(text) < 65_536
    page = _Tags()
    page.feed(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))
    assert page.comments == ["accelint"], "one marker, which nothing else can be mistaken for"
    assert set(page.tags) <= {
        "h3", "table", "thead", "tbody", "tr", "th", "td", "code", "details", "summary", "ul", "li", "strong",
        "p",
    }  # fmt: skip
    assert not page.hrefs
    rows = page.tags.count("tr")
    assert rows == (min(len(_targets(document)), 200) + 1 if _targets(document) else 0)


def check_csv(path: Path, document: dict[str, Any]) -> None:
    with path.open(newline="", encoding="utf-8") as stream:
        head, *rows = csv.reader(stream)
    assert all(len(row) == len(head) for row in rows)
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
    table = [dict(zip(head, row, strict=True)) for row in rows]
    prints = {row["fingerprint"] for row in table} - {""}
    known = {finding["fingerprint"] for _, target in _targets(document) for finding in target["findings"]}
    assert prints <= known
    listed = sum(len(op["findings"]) for _, target in _targets(document) for op in target["operators"])
    assert sum(bool(row["fingerprint"]) for row in table) == listed


def check_model_explorer(path: Path, document: dict[str, Any]) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    nodes = 0
    for graph in data.values():
        assert set(graph) == {"name", "results", "showExpandedSummaryOnGroupNode"}
        nodes += len(graph["results"])
        for result in graph["results"].values():
            assert set(result) == {"value", "bgColor", "textColor"}
            assert re.fullmatch(r"#[0-9a-f]{6}", result["bgColor"])
    ops = [target["operators"] for _, target in _targets(document)][:1]
    assert nodes == sum(map(len, ops))


def check_mermaid(path: Path, document: dict[str, Any]) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text) < 50_000, "Mermaid's maxTextSize"
    assert text.count("-->") < 500, "Mermaid's maxEdges"


def check_dot(path: Path, document: dict[str, Any]) -> None:
    if shutil.which("dot") is None:
        return
    done = subprocess.run(["dot", "-Tsvg", path], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    clusters = done.stdout.count('class="cluster"')
    assert clusters == sum("flow" in target for _, target in _targets(document))


def check_text(path: Path, document: dict[str, Any]) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.replace("\n", "").isprintable()
    assert all(target["target"] in text for _, target in _targets(document))


class _Page(HTMLParser):
    """What a page refers to, and the report that it carries."""

    def __init__(self) -> None:
        super().__init__()
        self.references: list[str] = []
        self.data = ""
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.references += [value or "" for name, value in attrs if name in ("href", "src")]
        self._open = found.get("type") == "application/json"

    def handle_data(self, data: str) -> None:
        self.data += data if self._open else ""

    def handle_endtag(self, tag: str) -> None:
        self._open = False


def check_html(path: Path, document: dict[str, Any]) -> None:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    assert page.references == ["#main"], "one file, which refers to nothing outside"
    found = json.loads(page.data)
    rows = [row for model in found["models"] for row in model.get("targets", ())]
    assert [row["target"] for row in rows] == [target["target"] for _, target in _targets(document)]
    for row, (_, target) in zip(rows, _targets(document), strict=True):
        assert len(row["operators"]) == len(target["operators"])
        causes = {(cause["code"], cause["rule"]) for cause in row["causes"]}
        assert causes == {(finding["code"], finding["rule"]) for finding in target["findings"]}
