"""``python -m accelint``."""

from accelint.analyzer.cli import main

main()
