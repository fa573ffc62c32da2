"""The architecture holds: each layer imports only what is below it, and nothing heavy is imported before it
is needed.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).parent.parent

UNIT = re.compile(r"^\| `(?P<unit>[a-z/_]+)` \|[^|]*\|(?P<may>[^|]*)\|$", re.MULTILINE)


def units() -> dict[str, set[str]]:
    """The table of docs/architecture.md: a unit, ground up, and the units that it may import."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    found: dict[str, set[str]] = {}
    for row in UNIT.finditer(page):
        words = row["may"].split()
        named = {word if word in ("rules", "rewrites") else f"analyzer/{word}" for word in words}
        assert named <= found.keys() or words == ["every"], f"{row['unit']}: not above it: {named}"
        found[row["unit"]] = set(found) if words == ["every"] else named
    return found


UNITS = units()
HEAVY = {"tensorflow", "coremltools", "onnxruntime", "ai_edge_litert", "keras", "torch", "ethosu", "openvino"}


def sources() -> list[Path]:
    return [
        file for folder in ("analyzer", "rules", "rewrites") for file in sorted((ROOT / folder).rglob("*.py"))
    ]


def unit_of(path: Path) -> str:
    """The folder below ``analyzer``, the module directly in it, or the top folder."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return "/".join(parts[:2]) if parts[0] == "analyzer" else parts[0]


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
def test_a_unit_imports_what_its_row_names(path: Path) -> None:
    if path.relative_to(ROOT).as_posix() == "analyzer/__init__.py":
        return
    here = unit_of(path)
    assert here in UNITS, f"{path} belongs to no unit of docs/architecture.md"
    for target, typing_only in imported(path):
        there = unit_of(target)
        if there != here and not typing_only:
            assert there in UNITS[here], f"{path.relative_to(ROOT)}: {there} is not in its row"


def test_every_row_is_a_unit() -> None:
    for name in UNITS:
        assert (ROOT / name).is_dir() or (ROOT / f"{name}.py").is_file(), name


def test_no_modules_import_each_other_in_a_cycle() -> None:
    graph: nx.DiGraph = nx.DiGraph()
    for path in sources():
        for target, typing_only in imported(path):
            module = target.with_suffix(".py")
            module = module if module.is_file() else target / "__init__.py"
            if not typing_only and module != path:
                graph.add_edge(path, module)
    cycles = [
        sorted(item.name for item in part)
        for part in nx.strongly_connected_components(graph)
        if len(part) > 1
    ]
    assert not cycles, cycles


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
