"""Corpora and comparison: rules measured against the real runtimes."""
