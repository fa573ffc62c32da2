"""Every package folder is in the wheel, and ``accelint`` is the only installed name."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def package_folders() -> dict[str, Path]:
    found = {"accelint": ROOT / "accelint"}
    for top in ("analyzer", "rules", "rewrites"):
        for init in sorted((ROOT / top).rglob("__init__.py")):
            folder = init.parent
            found["accelint." + folder.relative_to(ROOT).as_posix().replace("/", ".")] = folder
    return found


def test_no_folder_with_modules_lacks_an_init() -> None:
    for top in ("analyzer", "rules", "rewrites"):
        for module in (ROOT / top).rglob("*.py"):
            assert (module.parent / "__init__.py").is_file(), module.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    source = tmp_path_factory.mktemp("source")
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    for name in filter(None, files):
        if name.startswith(("accelint/", "analyzer/", "rules/", "rewrites/")) or name in (
            "pyproject.toml",
            "setup.py",
            "README.md",
            "LICENSE",
        ):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "--disable-pip-version-check",
            "-w",
            str(out),
            str(source),
        ],
        check=True,
        capture_output=True,
    )
    return next(out.glob("*.whl"))


def test_the_wheel_installs_one_name_and_carries_the_data(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"accelint"}
    for name, folder in package_folders().items():
        for item in folder.iterdir():
            if item.is_file() and item.suffix in (".py", ".json", ".tsv", ".toml", ".binpb"):
                assert f"{name.replace('.', '/')}/{item.name}" in names
    data = {
        f"accelint/{file.relative_to(ROOT).as_posix()}"
        for top in ("analyzer", "rules", "rewrites")
        for suffix in ("json", "tsv", "toml", "binpb", "js", "css", "html")
        for file in (ROOT / top).rglob(f"*.{suffix}")
        if "__pycache__" not in file.parts
    }
    assert data <= names, "folders without modules too: runtimes/declared, report/web, rules/packs"
