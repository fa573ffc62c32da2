"""The page in a real browser: what a person sees, presses and reads."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
from cli import ROOT, accelint
from onnx import TensorProto, helper

pytestmark = pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium (apt)")
GRU = ROOT / "fixtures" / "tflite" / "gru_while.tflite"
ENCODER = ROOT / "fixtures" / "demo" / "encoder.onnx"
EVIL = "</script><img src=x onerror=alert(1)>\u202e"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        found = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that remembers what went wrong in it, and each address that it asked for."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    found = context.new_page()
    found.trouble = []
    found.on("pageerror", lambda error: found.trouble.append(str(error)))
    found.on("console", lambda message: found.trouble.append(message.text))
    found.on("dialog", lambda dialog: (found.trouble.append(dialog.message), dialog.dismiss()))
    found.on(
        "request", lambda request: found.trouble.append(request.url) if request.url[:5] != "file:" else 0
    )
    yield found
    assert found.trouble == []
    context.close()


def opened(page: Any, path: Path) -> Any:
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready=yes]")
    return page


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("html") / "report.html"
    done = accelint("check", ENCODER, "-t", "onnxruntime/*", "-f", "html", "-o", path)
    assert done.returncode in (0, 1), done.stderr
    return path


def test_targets_stand_side_by_side_and_each_opens(page: Any, report: Path) -> None:
    opened(page, report)
    cards = page.locator(".card")
    assert cards.count() >= 6
    page.locator(".card", has_text="onnxruntime/nnapi").click()
    assert page.locator("#title").inner_text().startswith("onnxruntime/nnapi")
    causes = page.locator("#panel details")
    assert causes.count() > 1
    assert "ACL101" in causes.first.inner_text()
    assert "accelint fix" in page.locator("#panel").inner_text()


def test_partitions_are_a_graph_whose_islands_lead_to_their_operators(page: Any, report: Path) -> None:
    opened(page, report)
    page.click("#tab-graph")
    islands = page.locator(".graph g.accelerated")
    parts = int(page.locator("#tab-graph").inner_text().partition("(")[2].rstrip(")"))
    assert islands.count() == parts > 1
    assert page.locator(".graph g.fallback").count() >= 1
    assert page.locator(".graph path[marker-end]").count() >= parts
    words = islands.first.get_attribute("aria-label")
    islands.first.focus()
    page.keyboard.press("Enter")
    count = int(re.search(r": (\d+) operator", words)[1])
    assert page.locator("[role=status]").inner_text().startswith(f"{count} of ")


def test_search_finds_operators_and_causes(page: Any, report: Path) -> None:
    opened(page, report)
    page.click("#tab-operators")
    page.keyboard.press("/")
    page.keyboard.type("LayerNormalization")
    page.get_by_text(re.compile("^2 of ")).wait_for()
    page.wait_for_selector(".row:not(.head)")
    types = page.locator(".row:not(.head) span:nth-child(2)").all_inner_texts()
    assert set(types) == {"LayerNormalization"}
    page.keyboard.press("Escape")
    page.get_by_text(re.compile("^72 of ")).wait_for()


def test_keys_reach_everything(page: Any, report: Path) -> None:
    opened(page, report)
    page.keyboard.press("3")
    assert page.locator("#title").inner_text().startswith("onnxruntime/nnapi")
    page.locator("#tab-causes").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.id") == "tab-graph"
    page.keyboard.press("t")
    page.keyboard.press("t")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_targets_that_take_another_format_are_one_line_that_opens(page: Any, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    accelint("check", GRU, "-t", "litert/gpu,onnxruntime/qnn,onnxruntime/cpu", "-f", "html", "-o", out)
    opened(page, out)
    left = page.locator("#targets details")
    assert left.inner_text() == "2 targets not checked"
    left.locator("summary").click()
    assert "onnxruntime/cpu: " in left.inner_text()
    accelint("check", GRU, "-t", "litert/gpu,onnxruntime/qnn", "-f", "html", "-o", out)
    opened(page, out)
    assert "onnxruntime/qnn:sm8650: not checked: " in page.locator("#targets .left").inner_text()


def test_partitions_within_bodies_are_told_beside_the_drawing(page: Any, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    accelint("check", GRU, "-t", "litert/gpu", "-f", "html", "-o", out)
    opened(page, out)
    page.click("#tab-graph")
    inner = int(re.search(r"(\d+) partitions? within subgraphs", page.locator("#panel").inner_text())[1])
    parts = int(page.locator("#tab-graph").inner_text().partition("(")[2].rstrip(")"))
    assert page.locator(".graph g.accelerated").count() == parts - inner > 0


def test_the_bar_shows_the_share_beside_it(page: Any, report: Path) -> None:
    """Operators that never run are in neither."""
    opened(page, report)
    card = page.locator(".card", has_text="onnxruntime/cpu")
    assert "100.0%" in card.inner_text()
    assert card.locator(".bar i").count() == 1


def test_a_finding_is_found_by_its_fingerprint(page: Any, tmp_path: Path) -> None:
    """That is what SARIF, GitLab and a baseline call it."""
    out, data = tmp_path / "report.html", tmp_path / "report.json"
    accelint("check", GRU, "-t", "litert/gpu", "-f", "html", "-o", out, "-f", "json", "-o", data)
    finding = json.loads(data.read_text())["models"][0]["targets"][0]["findings"][0]
    opened(page, out)
    page.click("#tab-operators")
    page.fill("#search", finding["fingerprint"])
    page.get_by_text(re.compile("^1 of ")).wait_for()
    assert page.locator(".row:not(.head) span").first.inner_text() == finding["operator"]
    page.click("#tab-causes")
    assert page.locator("#panel details").count() == 1
    assert finding["rule"] in page.locator("#panel details").inner_text()


def test_an_operator_of_a_cause_counts_once(page: Any, report: Path) -> None:
    opened(page, report)
    page.locator(".card", has_text="onnxruntime/qnn").click()
    box = page.locator("#panel details").first
    listed = box.locator("p.mono span").all_inner_texts()
    assert len(set(listed)) == len(listed) == int(re.search(r"(\d+) operators", box.inner_text())[1])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_text_has_enough_contrast_in_both_themes(page: Any, report: Path, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    opened(page, report)
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    ratios = page.evaluate(
        """() => {
          const light = (text) => {
            const [r, g, b] = text.match(/[0-9.]+/g).map(Number).map((c) => c / 255)
              .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const paper = light(getComputedStyle(document.body).backgroundColor);
          return [...document.querySelectorAll('#targets *, #panel *')]
            .filter((node) => [...node.childNodes].some((child) => child.nodeType === 3))
            .filter((node) => node.tagName !== 'OPTION')
            .map((node) => light(getComputedStyle(node).color))
            .map((ink) => (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05));
        }"""
    )
    assert min(ratios) >= 4.5


def test_a_phone_shows_all_of_it(page: Any, report: Path) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    opened(page, report)
    for tab in ("causes", "graph", "operators"):
        page.click(f"#tab-{tab}")
        assert page.evaluate("document.documentElement.scrollWidth") == 360


def evil(path: Path) -> Path:
    nodes = [
        helper.make_node("Relu", [EVIL], ["t"], name=EVIL),
        helper.make_node("Erf", ["t"], ["@SCRIPT@"], name="${alert(1)}"),
    ]
    shape = [1, 3]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(EVIL, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("@SCRIPT@", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path


def test_names_of_strangers_are_text(page: Any, tmp_path: Path) -> None:
    folder = tmp_path / "<b>&amp;"
    folder.mkdir()
    path = evil(folder / "m'\"<i>.onnx")
    out = tmp_path / "report.html"
    accelint("check", path, "-t", "onnxruntime/nnapi,qnn", "-f", "html", "-o", out)
    opened(page, out)
    assert not {char for char in out.read_text() if char < " "} - {"\n"}
    assert page.locator("img").count() == 0
    assert "<i>.onnx" in page.locator("#about").inner_text()
    page.click("#tab-operators")
    page.wait_for_selector(".row:not(.head)")
    names = page.locator(".row:not(.head) span:last-child").all_inner_texts()
    assert names == ["</script><img src=x onerror=alert(1)>\\u202e", "${alert(1)}"]


def test_nothing_but_its_own_script_runs(browser: Any, report: Path, tmp_path: Path) -> None:
    """The policy of the page stops what was not there when it was written."""
    forged = tmp_path / "forged.html"
    added = "<script>document.title = 'owned'</script><main"
    forged.write_text(report.read_text().replace("<main", added, 1))
    page = browser.new_page()
    opened(page, forged)
    assert page.title() == "accelint report"
    page.close()


def test_what_changed_since_an_earlier_report(page: Any, tmp_path: Path) -> None:
    frozen = tmp_path / "encoder.onnx"
    model = onnx.load(ENCODER)
    onnx.save(model, frozen)
    accelint("check", frozen, "-t", "qnn:sm8650", "-f", "json", "-o", tmp_path / "old.json")
    for dim, size in zip(model.graph.input[0].type.tensor_type.shape.dim, (1, 16), strict=True):
        dim.dim_value = size
    onnx.save(model, frozen)
    out = tmp_path / "report.html"
    earlier = ("--baseline-report", tmp_path / "old.json")
    accelint("check", frozen, "-t", "qnn:sm8650", *earlier, "-f", "html", "-o", out)
    opened(page, out)
    assert "percentage points of operators" in page.locator(".card").inner_text()


def test_predicted_and_actual(page: Any, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    model = tmp_path / "two.onnx"
    evil(model)
    done = accelint("verify", model, "-t", "onnxruntime/cpu", "-f", "html", "-o", out)
    assert done.returncode == 0, done.stderr
    opened(page, out)
    assert "as predicted" in page.locator(".card").inner_text()
    page.click("#tab-runtime")
    assert "parity holds" in page.locator("#panel").inner_text()


def test_several_models_and_one_that_cannot_be_read(page: Any, tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no model")
    out = tmp_path / "report.html"
    accelint("check", bad, ENCODER, "-t", "qnn:sm8650", "-f", "html", "-o", out)
    opened(page, out)
    assert "cannot be read" in page.locator("#targets").inner_text()
    page.select_option("#model", index=1)
    assert page.locator(".card").count() == 1


def test_twenty_thousand_operators_open_in_three_seconds(page: Any, tmp_path: Path) -> None:
    kinds = ("Relu", "Sigmoid", "Erf", "Cos", "Tanh")
    nodes = [
        helper.make_node(kinds[number % 5], [f"t{number}"], [f"t{number + 1}"], name=f"/layer/{number}")
        for number in range(20_000)
    ]
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8])] for name in ("t0", "t20000")]
    graph = helper.make_graph(nodes, "g", *ends)
    path, out = tmp_path / "large.onnx", tmp_path / "report.html"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    accelint("check", path, "-t", "qnn:sm8650,onnxruntime/nnapi", "-f", "html", "-o", out)
    start = time.monotonic()
    opened(page, out)
    page.click("#tab-graph")
    page.wait_for_selector(".graph g.accelerated")
    page.click("#tab-operators")
    page.wait_for_selector(".row:not(.head)")
    spent = time.monotonic() - start
    assert page.locator(".row").count() < 200, "only rows in sight exist"
    page.locator(".table").evaluate("box => { box.scrollTop = box.scrollHeight }")
    page.get_by_text("main/19999", exact=True).wait_for()
    assert spent < 3 or spent < 6 * page.evaluate(
        "() => { const t = performance.now(); let x = 0; for (let i = 0; i < 3e8; i++) x += i % 7;"
        " return (performance.now() - t) / 1000 }"
    ), "beside a machine that is busy"
