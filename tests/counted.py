"""How much work a call does, told without a clock."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any


class Calls:
    """Counts the calls made within it.

    Growth is compared by calls and not by seconds: in a process that holds thousands of tests' objects the
    cyclic collector alone makes the second measurement ten times the first.
    """

    def __enter__(self) -> Calls:
        self.count = 0
        sys.setprofile(self._told)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _told(self, _frame: FrameType, event: str, _value: Any) -> None:
        self.count += event in ("call", "c_call")
