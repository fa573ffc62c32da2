"""Verdicts: the rules of a target against every operator, then the partitions that the runtime makes."""
