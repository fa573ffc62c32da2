"""The numbers of a constant, read without numpy, are those that numpy reads."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from accelint.analyzer.errors import GraphError
from accelint.analyzer.ir.dtypes import BITS
from accelint.analyzer.ir.graph import Constant
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(deadline=None)
@given(st.sampled_from(sorted(BITS)), st.integers(0, 9), st.data())
def test_numbers_are_those_of_the_array(dtype: str, count: int, data: st.DataObject) -> None:
    size = (count * BITS[dtype] + 7) // 8
    raw = data.draw(st.binary(min_size=size, max_size=size))
    if dtype == "bool":
        raw = bytes(byte & 1 for byte in raw)
    constant = Constant(dtype, (count,), inline=raw)
    most = data.draw(st.none() | st.integers(0, 12))
    expected = constant.read().reshape(-1)[:most].tolist()
    found = constant.numbers(most)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert type(one) is type(other)
        assert one == other or (one != one and other != other), (one, other)


def test_bytes_that_do_not_fit_and_strings_are_rejected() -> None:
    with pytest.raises(GraphError, match="needs 8 bytes, 4 are stored"):
        Constant("int64", (1,), inline=bytes(4)).numbers()
    with pytest.raises(GraphError, match="no plain numbers"):
        Constant("string", (1,), inline=b"a").numbers()


def test_a_number_of_no_dimension() -> None:
    assert Constant("float32", (), inline=b"\0\0\x80\x3f").numbers() == [1.0]
    assert math.isinf(Constant("float16", (), inline=b"\x00\x7c").numbers()[0])


def test_reading_numbers_imports_no_numpy() -> None:
    code = (
        "import sys; from accelint.analyzer.ir.graph import Constant\n"
        "assert Constant('int64', (2,), inline=bytes(16)).numbers() == [0, 0]\n"
        "assert Constant('int4', (3,), inline=b'\\x21\\x0f').numbers() == [1, 2, -1]\n"
        "assert 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
