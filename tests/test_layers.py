"""The architecture holds: each layer imports only what is below it, and nothing heavy is imported before it
is needed.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

LAYERS = [
    {
        "analyzer/errors",
        "analyzer/extensions",
        "analyzer/ir",
        "analyzer/processes",
        "analyzer/files",
        "analyzer/inert",
        "analyzer/words",
        "analyzer/names",
        "analyzer/partitioners",
    },
    {"analyzer/formats", "rules"},
    {"analyzer/policies", "analyzer/check"},
    {"rewrites"},
    {
        "analyzer/convert",
        "analyzer/runtimes",
        "analyzer/proof",
    },
    {"analyzer/flows"},
    {"analyzer/report"},
    {"analyzer/conform"},
    {"analyzer/cli"},
]
"""Ground up. Modules of one layer may import each other."""
HEAVY = {"tensorflow", "coremltools", "onnxruntime", "ai_edge_litert", "keras", "torch", "ethosu", "openvino"}


def sources() -> list[Path]:
    return [
        file for folder in ("analyzer", "rules", "rewrites") for file in sorted((ROOT / folder).rglob("*.py"))
    ]


def layer_of(path: Path) -> int | None:
    name = path.relative_to(ROOT).with_suffix("").as_posix()
    for index, layer in enumerate(LAYERS):
        if any(name == unit or name.startswith(unit + "/") for unit in layer):
            return index
    return None


def imported(path: Path) -> list[tuple[Path, bool]]:
    """Files of ours that a file imports, and whether for types only."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node)
        for guard in ast.walk(tree)
        if isinstance(guard, ast.If) and ast.unparse(guard.test) == "TYPE_CHECKING"
        for node in ast.walk(guard)
    }
    found: list[tuple[Path, bool]] = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or node.level == 0:
            continue
        base = path.parent
        for _ in range(node.level - 1):
            base = base.parent
        target = base.joinpath(*(node.module or "").split(".")) if node.module else base
        candidates = [target / alias.name for alias in node.names] + [target]
        hits = [
            item
            for item in candidates
            if item.with_suffix(".py").is_file() or (item / "__init__.py").is_file()
        ]
        found += [(hit, id(node) in typing_only) for hit in hits[:-1] or hits]
    return found


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_go_down_only(path: Path) -> None:
    here = layer_of(path)
    if path.relative_to(ROOT).as_posix() == "analyzer/__init__.py":
        return
    assert here is not None, f"{path} belongs to no layer: name it in LAYERS"
    for target, typing_only in imported(path):
        there = layer_of(target)
        if there is not None and not typing_only:
            assert there <= here, (
                f"{path.relative_to(ROOT)} imports {target.relative_to(ROOT)}, which is above it"
            )


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_heavy_packages_are_not_imported_at_module_level(path: Path) -> None:
    for node in ast.parse(path.read_text()).body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
        assert not {name.split(".")[0] for name in names} & HEAVY, (
            f"{path.relative_to(ROOT)} imports {names} at module level"
        )


def loaded_after(code: str) -> set[str]:
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            f"{code}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(result.stdout.split())


def test_importing_accelint_imports_nothing() -> None:
    assert not loaded_after("import accelint") & (
        HEAVY | {"networkx", "numpy", "onnx", "google", "typer", "rich"}
    )


def test_the_command_line_starts_without_the_graph() -> None:
    assert not loaded_after("import accelint.analyzer.cli") & (
        HEAVY | {"networkx", "numpy", "onnx", "google", "rich"}
    )
