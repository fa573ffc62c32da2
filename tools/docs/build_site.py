"""The documentation as a site: ``python tools/docs/build_site.py`` builds ``.work/site/html``.

The pages are those of ``docs/`` and the README, and what ``site_pages`` makes of the packs. A link that leads
nowhere, an anchor that no page has, a page of ``docs/`` that is named and is not there: each ends the build.
"""

from __future__ import annotations

import json
import posixpath
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml
from site_pages import generated

ROOT = Path(__file__).parents[2]
PARTS = Path(__file__).parent / "site_parts"
FRAGMENTS = "docs/conformance/notes/"
"""Texts that generated pages hold already."""
OWN = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
ASSETS = ("filter.js", "site.css", "iframe-worker.js")
_SHIM = "https://unpkg.com/iframe-worker/shim"
"""What the generator's pages fetch to search when opened from a folder; the site has its own copy."""
_CODE = re.compile(r"(^```.*?^```|^~~~.*?^~~~|^(?: {4}|\t).*?$)", re.M | re.S)
_NAMED = re.compile(r"(?<!\[)`((?:docs/[\w./-]*|README\.md|CONTRIBUTING\.md|CHANGELOG\.md))`")
_LINK = re.compile(r"(?<=\]\()([^)\s:#]+\.md)(#[\w-]*)?(?=\))")


class PageError(Exception):
    """A page names another one that is not there."""


def sources() -> dict[str, str]:
    """File of the repository -> page of the site, of every page that somebody wrote."""
    found = dict(OWN)
    for path in sorted((ROOT / "docs").rglob("*.md")):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(FRAGMENTS):
            page = name.removeprefix("docs/")
            found[name] = re.sub(r"(^|/)README\.md$", r"\1index.md", page)
    return found


def pages() -> dict[str, str]:
    """Page -> its Markdown, of the whole site. Raises PageError with all names that lead nowhere."""
    written = sources()
    found = generated()
    wrong: list[str] = []
    for name, page in written.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        found[page] = _moved(text, name, written, {*written.values(), *found}, wrong)
    if wrong:
        raise PageError("\n".join(wrong))
    return found


def _moved(text: str, name: str, written: dict[str, str], known: set[str], wrong: list[str]) -> str:
    """A page's text for its place in the site: links follow the files, names of pages become links."""
    here = posixpath.dirname(written[name])

    def to(path: str, shown: str) -> str:
        page = written.get(path) or written.get(posixpath.join(path, "README.md"))
        made = path.removeprefix("docs/")
        if page is None and made in known:
            page = made
        if page is None:
            wrong.append(f"{name}: {shown} is no page")
            return shown
        return posixpath.relpath(page, here or ".")

    def named(match: re.Match[str]) -> str:
        path = posixpath.normpath(match[1])
        if (
            (ROOT / path).exists()
            and path not in written
            and posixpath.join(path, "README.md") not in written
        ):
            return match[0]  # a folder or a file that is no page
        return f"[`{match[1]}`]({to(path, match[1])})"

    def link(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(name), match[1]))
        return to(path, match[1]) + (match[2] or "")

    parts = _CODE.split(text)
    parts[::2] = [_NAMED.sub(named, _LINK.sub(link, part)) for part in parts[::2]]
    return "".join(parts)


def config(names: set[str]) -> dict[str, Any]:
    """The generator's configuration, its patterns of pages expanded."""
    found: dict[str, Any] = yaml.safe_load((PARTS / "site.yml").read_text(encoding="utf-8"))
    left = dict.fromkeys(sorted(names))
    nav = [
        {title: _matching(patterns, left)} for section in found["nav"] for title, patterns in section.items()
    ]
    if left:
        nav.append({"More": list(left)})
    return {**found, "nav": nav}


def _matching(patterns: list[str], left: dict[str, None]) -> list[str]:
    found = []
    for pattern in patterns:
        for name in [name for name in left if fnmatchcase(name, pattern)]:
            found.append(name)
            del left[name]
    return found


def stage(folder: Path) -> None:
    """Write what the generator reads."""
    shutil.rmtree(folder, ignore_errors=True)
    made = pages()
    for name, text in made.items():
        path = folder / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assets = folder / "src" / "assets"
    assets.mkdir()
    for part in ASSETS:
        shutil.copy(PARTS / part, assets / part)
    (folder / "mkdocs.yml").write_text(json.dumps(config(set(made)), indent=1), encoding="utf-8")


def unfetched(html: Path) -> None:
    """Let every page find within the site what it would fetch from elsewhere."""
    for path in html.rglob("*.html"):
        up = "../" * (len(path.relative_to(html).parts) - 1)
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(_SHIM, f"{up}assets/iframe-worker.js"), encoding="utf-8")


def build(folder: Path) -> int:
    """Make ``html`` of what ``stage`` wrote; the generator's exit code, 1 for any warning."""
    words = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "--config-file", "mkdocs.yml"]
    code = subprocess.run(words, cwd=folder, check=False).returncode
    if code == 0:
        unfetched(folder / "html")
    return code


def main(folder: Path) -> int:
    """Build the site in a folder; its pages are in ``html`` there."""
    try:
        stage(folder)
    except PageError as error:
        print(error, file=sys.stderr)
        return 1
    code = build(folder)
    print(folder / "html" / "index.html" if code == 0 else "the site was not built", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / ".work" / "site"))
