"""Conversion between formats by the vendors' own converters, each in a process of its own."""
