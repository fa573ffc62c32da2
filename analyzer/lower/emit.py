"""ONNX nodes and constants of one program while it is being written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import NotCoveredError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

ONNX_TYPES = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "uint16": 4,
    "int16": 5,
    "int32": 6,
    "int64": 7,
    "string": 8,
    "bool": 9,
    "float16": 10,
    "float64": 11,
    "uint32": 12,
    "uint64": 13,
    "bfloat16": 16,
}
NARROW = ("int8", "uint8", "int16", "uint16", "uint32", "int4", "uint4")
"""Integers that few ONNX kernels have; computed in int32."""
LAST = np.iinfo(np.int64).max


def onnx_type(dtype: str) -> int:
    """The number of a dtype in ONNX. Raises NotCoveredError."""
    found = ONNX_TYPES.get(dtype)
    if found is None:
        raise NotCoveredError(f"values of {dtype}")
    return found


@dataclass(slots=True)
class Value:
    """What is known of a value that is being written: its dtype, and its sizes where they are known."""

    dtype: str
    shape: tuple[int | None, ...] | None


@dataclass
class Emitter:
    """Collects nodes; ``nodes`` is the list of the graph or body being written, constants are the model's."""

    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    shared: dict[tuple[Any, ...], str] = field(default_factory=dict)

    def fresh(self, stem: str) -> str:
        """A name that nothing has."""
        name, count = stem or "value", 0
        while name in self.used:
            count += 1
            name = f"{stem}__{count}"
        self.used.add(name)
        return name

    def op(self, type: str, *inputs: str | None, to: str | None = None, **attributes: Any) -> str:
        """A node with one result; its name."""
        return self.ops(type, inputs, (to or self.fresh(type.lower()),), **attributes)[0]

    def ops(
        self, type: str, inputs: Sequence[str | None], outputs: Sequence[str], **attributes: Any
    ) -> tuple[str, ...]:
        """A node with these results."""
        from onnx import helper

        given = {key: value for key, value in attributes.items() if value is not None}
        names = [name or "" for name in inputs]
        while names and not names[-1]:
            names.pop()
        self.nodes.append(helper.make_node(type, names, list(outputs), **given))
        return tuple(outputs)

    def constant(self, array: NDArray[Any] | np.generic, stem: str = "const") -> str:
        """A constant's name; small equal ones are one."""
        values = np.ascontiguousarray(array).reshape(np.shape(array))
        key = (str(values.dtype), values.shape, values.tobytes()) if values.size <= 16 else None
        if key is not None and key in self.shared:
            return self.shared[key]
        name = self.fresh(stem)
        self.constants[name] = values
        if key is not None:
            self.shared[key] = name
        return name

    def ints(self, values: Sequence[int]) -> str:
        """An int64 list."""
        return self.constant(np.array(list(values), np.int64))

    def scalar(self, value: float, dtype: str) -> str:
        """A number of that dtype."""
        return self.constant(np.array(value, np.dtype(dtype)))

    def cast(self, name: str, dtype: str, to: str | None = None) -> str:
        """The value in another dtype."""
        return self.ops("Cast", (name,), (to or self.fresh("cast"),), to=onnx_type(dtype))[0]

    def reshape(self, name: str, shape: Sequence[int], to: str | None = None) -> str:
        """The value in another shape; -1 and 0 as in ONNX."""
        return self.op("Reshape", name, self.ints(shape), to=to)

    def slice(
        self,
        name: str,
        starts: Sequence[int],
        ends: Sequence[int],
        axes: Sequence[int],
        steps: Sequence[int] | None = None,
        to: str | None = None,
    ) -> str:
        """A box out of a value."""
        given = (name, self.ints(starts), self.ints(ends), self.ints(axes))
        return self.op("Slice", *given, None if steps is None else self.ints(steps), to=to)

    def unsqueeze(self, name: str, axes: Sequence[int], to: str | None = None) -> str:
        """With new dimensions of 1."""
        return self.op("Unsqueeze", name, self.ints(axes), to=to)

    def squeeze(self, name: str, axes: Sequence[int], to: str | None = None) -> str:
        """Without these dimensions."""
        return self.op("Squeeze", name, self.ints(axes), to=to)
