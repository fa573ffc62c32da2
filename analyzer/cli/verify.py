"""``accelint verify``, ``accelint conform`` and ``accelint runtimes``."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
