"""`make conform`: every pack whose runtime is here, or whose answers are recorded, held against it.

    python benchmarks/conform.py [TARGET ...] [--limit N] [--models DIR]

Writes docs/conformance/<target>.json and .md. Whole models lie in a folder for each dialect under --models
(``onnx/``, ``tflite/``); benchmarks/whole_models.py makes them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
OUT = ROOT / "docs" / "conformance"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--models", type=Path, default=ROOT / ".work" / "models")
    options = parser.parse_args()
    failed = []
    for target in options.targets or here():
        name = target.replace("/", "_").replace(":", "_").replace("-", "_")
        command = [sys.executable, "-m", "accelint", "conform", target]
        command += ["--output", str(OUT / f"{name}.json"), "--page", str(OUT / f"{name}.md")]
        command += [part for corpus in corpora(target, options.models) for part in ("--corpus", corpus)]
        command += ["--limit", str(options.limit)] if options.limit else []
        print("$", *command[2:], flush=True)
        if subprocess.run(command, cwd=ROOT).returncode:
            failed.append(target)
    print("failed:", ", ".join(failed) or "none")
    return 1 if failed else 0


def here() -> list[str]:
    """The default variant of every target whose runtime answers on this machine."""
    from accelint.analyzer.runtimes import runtimes
    from accelint.rules.registry import load_pack, pack_folders

    ready = {item.name for item in runtimes() if item.available}
    return [load_pack(name).chosen().target for name in pack_folders() if name in ready]


def corpora(target: str, models: Path) -> list[str]:
    from accelint.analyzer.conform.corpora import GENERATED
    from accelint.rules.registry import choose

    dialect = choose(target).pack.dialect
    whole = models / dialect
    return [*GENERATED.get(dialect, ()), *([str(whole)] if whole.is_dir() else [])]


if __name__ == "__main__":
    sys.exit(main())
