"""accelint.rules: the packs of constraints, their loader and the vocabulary they are written in."""
