"""accelint as its users have it: built as a wheel, installed in an environment of its own, compiled."""

from __future__ import annotations

import compileall
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
SHIPPED = ("accelint", "analyzer", "rules", "rewrites", "pyproject.toml", "setup.py", "README.md", "LICENSE")


def installed(folder: Path) -> Path:
    """The interpreter of a new environment in ``folder`` with the wheel of this checkout in it.

    What accelint needs, and the runtimes, are those of the running interpreter, whose site-packages are at
    the end of the environment's path.
    """
    wheel = built(folder)
    home = folder / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = home / "lib" / version / "site-packages"
    options = ["--no-deps", "--no-compile", "--target", str(packages)]
    _pip("install", *options, str(wheel))
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    if not compileall.compile_dir(packages, quiet=1):
        raise SystemExit("the wheel does not compile")
    return home / "bin" / "python"


def built(folder: Path) -> Path:
    """The wheel of this checkout's files, nothing of an earlier build in it."""
    source, out = folder / "source", folder / "dist"
    skipped = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in SHIPPED:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=skipped)
        else:
            shutil.copy2(path, source / name)
    _pip("wheel", "--no-deps", "--wheel-dir", str(out), str(source))
    return next(out.glob("*.whl"))


def _pip(*words: str) -> None:
    command = [sys.executable, "-m", "pip", words[0], "--quiet", "--disable-pip-version-check", *words[1:]]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-1000:]}")
