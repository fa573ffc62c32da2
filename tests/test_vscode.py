"""The VS Code extension: bundled and packaged as it is published, and the conversation that it begins."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import jsonschema
import pytest
from cli import ROOT, accelint

HOME = ROOT / "editors" / "vscode"
PACKAGES = HOME / "node_modules"

here = pytest.mark.skipif(
    shutil.which("node") is None or not (PACKAGES / "@vscode" / "vsce").is_dir(),
    reason="Node.js or the extension's packages are not here: make consumers",
)
pytestmark = here


def extension(folder: Path) -> Path:
    """The .vsix that the scripts of package.json make, from a copy of the sources."""
    shutil.copytree(HOME, folder, ignore=shutil.ignore_patterns("node_modules", "dist"))
    (folder / "node_modules").symlink_to(PACKAGES)
    (folder / "dist").mkdir()
    (folder / "dist" / "accelint.schema.json").write_text(accelint("schema", "config").stdout)
    for script in ("bundle", "package"):
        done = subprocess.run(["npm", "run", script], cwd=folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "dist" / "accelint.vsix"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return zipfile.ZipFile(extension(tmp_path_factory.mktemp("extension") / "vscode"))


def test_the_package_has_what_the_extension_needs_and_no_more(package: zipfile.ZipFile) -> None:
    files = {name for name in package.namelist() if name.startswith("extension/")}
    manifest = json.loads(package.read("extension/package.json"))
    assert files == {
        "extension/package.json",
        "extension/readme.md",
        "extension/dist/extension.js",
        "extension/dist/accelint.schema.json",
    }
    assert f"extension/{manifest['main'].removeprefix('./')}" in files
    (validation,) = manifest["contributes"]["tomlValidation"]
    schema = json.loads(package.read(f"extension/{validation['url'].removeprefix('./')}"))
    jsonschema.validate({"models": "a.onnx", "gates": {"max-partitions": 1}}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"gates": {"max-partition": 1}}, schema)
    bundle = package.read("extension/dist/extension.js").decode()
    assert 'require("vscode")' in bundle and 'require("vscode-languageclient' not in bundle


def test_the_settings_of_the_docs_and_the_readme_exist(package: zipfile.ZipFile) -> None:
    settings = json.loads(package.read("extension/package.json"))["contributes"]["configuration"][
        "properties"
    ]
    page = (ROOT / "docs" / "editors.md").read_text()
    readme = package.read("extension/readme.md").decode()
    assert all(f"`{name}`" in readme for name in settings)
    assert '"accelint.path"' in page


def test_the_server_answers_the_extensions_own_protocol_library(tmp_path: Path) -> None:
    tool = tmp_path / "accelint"
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m accelint "$@"\n')
    tool.chmod(0o755)
    model = ROOT / "fixtures" / "traced" / "traced.onnx"
    done = subprocess.run(
        ["node", "--test", "test/"], cwd=HOME, capture_output=True, text=True, timeout=120,
        env={**os.environ, "ACCELINT": str(tool), "ACCELINT_MODEL": str(model)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# pass 3" in done.stdout or "pass 3" in done.stdout, done.stdout
