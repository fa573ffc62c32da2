"""The documentation's site: built as `make site` builds it, complete, and read without a network."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import build_site
import pytest
import yaml
from accelint.rules.folders import pack_folders
from accelint.rules.outline import Outline, read_codes
from accelint.rules.renamed import former_names
from support_pages import file_name

BROWSER = shutil.which("chromium")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built pages."""
    folder = tmp_path_factory.mktemp("site")
    assert build_site.main(folder) == 0
    return folder / "html"


def small(folder: Path, **pages: str) -> Path:
    """A site of a few pages, as the generator gets it."""
    (folder / "src").mkdir()
    for name, text in pages.items():
        (folder / "src" / f"{name}.md").write_text(text)
    config = yaml.safe_load((build_site.PARTS / "site.yml").read_text(encoding="utf-8"))
    told = {**config, "nav": [f"{name}.md" for name in pages], "extra_css": [], "extra_javascript": []}
    (folder / "mkdocs.yml").write_text(json.dumps(told))
    return folder


@pytest.mark.parametrize("link", ["nowhere.md", "other.md#nothing", "#nothing"])
def test_a_link_that_leads_nowhere_ends_the_build(link: str, tmp_path: Path) -> None:
    bad = small(tmp_path, index=f"# A\n\nSee [it]({link}).\n", other="# B\n\n## Part\n")
    assert build_site.build(bad) != 0


def test_links_that_lead_somewhere_do_not(tmp_path: Path) -> None:
    good = small(tmp_path, index="# A\n\nSee [it](other.md#part).\n", other="# B\n\n## Part\n")
    assert build_site.build(good) == 0


def test_a_page_that_is_named_and_not_there_ends_the_build() -> None:
    wrong: list[str] = []
    written = {"docs/a.md": "a.md", "docs/ci.md": "ci.md", "docs/deep/b.md": "deep/b.md"}
    text = "`docs/gone.md`, `docs/ci.md`, [x](../ci.md#github) and\n\n    `docs/gone.md` as code\n"
    moved = build_site._moved(text, "docs/deep/b.md", written, set(written.values()), wrong)
    assert wrong == ["docs/deep/b.md: docs/gone.md is no page"]
    assert "[`docs/ci.md`](../ci.md)" in moved
    assert "[x](../ci.md#github)" in moved
    assert "    `docs/gone.md` as code" in moved


def test_every_page_is_there_and_in_the_navigation(site: Path) -> None:
    names = set(build_site.pages())
    assert set(build_site.sources().values()) <= names
    for name in names:
        assert (site / name).with_suffix(".html").is_file(), name
    listed = [
        page for section in build_site.config(names)["nav"] for pages in section.values() for page in pages
    ]
    assert sorted(listed) == sorted(names)


@pytest.fixture(scope="module")
def index(site: Path) -> list[dict[str, Any]]:
    """What a search looks through."""
    items: list[dict[str, Any]] = json.loads((site / "search.json").read_text(encoding="utf-8"))["items"]
    return items


@pytest.mark.parametrize("target", list(pack_folders()))
def test_every_rule_is_on_the_page_of_its_target(
    target: str, site: Path, index: list[dict[str, Any]]
) -> None:
    pack = Outline(target)
    text = (site / "rules" / f"{file_name(pack)}.html").read_text(encoding="utf-8")
    searched = json.dumps([item for item in index if f"rules/{file_name(pack)}.html" in item["location"]])
    for rule in pack.rules():
        assert f'id="{rule["name"]}' in text, rule["name"]
        assert rule["name"] in searched
        assert all(name in text for name in former_names(target, rule["name"]))
    assert text.count("<dt>evidence</dt>") == len(pack.rules())


def test_every_code_is_explained(site: Path) -> None:
    text = (site / "rules" / "codes.html").read_text(encoding="utf-8")
    assert all(f'id="{code.lower()}-' in text for code in read_codes())


@pytest.fixture(scope="module")
def page(site: Path) -> Iterator[Any]:
    """A page without a network that remembers what it asked for from elsewhere."""
    if BROWSER is None:
        pytest.skip("needs chromium (apt)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        found = browser.new_context(offline=True).new_page()
        found.elsewhere, found.trouble = [], []
        found.on("request", lambda asked: asked.url.startswith("file:") or found.elsewhere.append(asked.url))
        found.on("pageerror", lambda error: found.trouble.append(str(error)))
        yield found
        browser.close()


def test_a_search_leads_to_a_rule(page: Any, site: Path) -> None:
    page.goto((site / "index.html").as_uri())
    page.get_by_role("button", name="Search").first.click()
    page.keyboard.type("empty-result-crash")
    found = "a[href*='litert-gpu'][href$='#empty-result-crash']"  # what half a word finds goes again
    page.locator(found).first.click()
    page.wait_for_url("**/rules/litert-gpu.html*#empty-result-crash")
    assert (page.elsewhere, page.trouble) == ([], [])


def test_rows_of_the_support_matrix_are_found(page: Any, site: Path) -> None:
    page.goto((site / "support" / "onnx.html").as_uri() + "?q=resize")
    rows = page.locator("article tbody tr")
    every = rows.count()
    shown = page.locator("article tbody tr:visible")
    assert [row.split()[0] for row in shown.all_inner_texts()] == ["Resize", "com.microsoft:CropAndResize"]
    page.locator(".row-filter input").fill("no such operator")
    assert shown.count() == 0
    page.locator(".row-filter input").fill("")
    assert shown.count() == every > 300
    assert (page.elsewhere, page.trouble) == ([], [])
