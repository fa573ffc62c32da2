"""Lay the packages out as they are installed, by links, so that the type checker sees ``accelint.*``."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def main(target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    package = target / "accelint"
    package.mkdir(parents=True)
    for file in (ROOT / "accelint").iterdir():
        if file.suffix == ".py" or file.name == "py.typed":
            (package / file.name).symlink_to(file)
    for folder in ("analyzer", "rules", "rewrites"):
        (package / folder).symlink_to(ROOT / folder, target_is_directory=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
