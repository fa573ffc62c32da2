"""Element types: how wide each is, and how numpy holds those that it lacks."""

from __future__ import annotations

from collections.abc import Mapping

BITS: Mapping[str, int] = {
    "bool": 8, "int8": 8, "uint8": 8, "int16": 16, "uint16": 16, "int32": 32, "uint32": 32,
    "int64": 64, "uint64": 64, "float16": 16, "bfloat16": 16, "float32": 32, "float64": 64,
    "complex64": 64, "complex128": 128, "int4": 4, "uint4": 4, "int2": 2, "uint2": 2,
    "float8e4m3fn": 8, "float8e4m3fnuz": 8, "float8e5m2": 8, "float8e5m2fnuz": 8,
    "float8e8m0": 8, "float4e2m1": 4,
}  # fmt: skip
"""Bits of one element of every dtype that has a fixed size. ``string`` and ``unknown`` have none."""

STORED_AS = {
    "bfloat16": "uint16", "float8e4m3fn": "uint8", "float8e4m3fnuz": "uint8", "float8e5m2": "uint8",
    "float8e5m2fnuz": "uint8", "float8e8m0": "uint8",
}  # fmt: skip
"""dtypes that numpy lacks, kept as the unsigned integers that hold their bits."""
