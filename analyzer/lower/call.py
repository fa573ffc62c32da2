"""One operator of an ML Program as the code that writes it sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import NotCoveredError
from ..ir.graph import Constant, Graph, Operator, Tensor
from .emit import NARROW, Emitter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from .program import Writer

Lowering = "Callable[[Call], None]"


@dataclass
class Call:
    """An operator, the graph that it is in, and where its ONNX nodes go.

    ``call["x"]`` is the ONNX name of a parameter's value, ``call.value("shape")`` its value where it is
    constant, ``call.attr`` a configuration, ``call.done`` names the result.
    """

    writer: Writer
    graph: Graph
    op: Operator
    names: Mapping[str, str]
    """ONNX names of the values that are computed in this scope."""
    _given: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, name in zip(self.op.attrs.get("input_names", ()), self.op.inputs, strict=True):
            if name is not None:
                self._given.setdefault(key, []).append(name)

    @property
    def emit(self) -> Emitter:
        """Where nodes go."""
        return self.writer.emitter

    @property
    def type(self) -> str:
        """The MIL operator."""
        return self.op.type

    # ---- inputs --------------------------------------------------------------------------

    def has(self, key: str) -> bool:
        """Whether the parameter is given by a value."""
        return key in self._given

    def __getitem__(self, key: str) -> str:
        """The ONNX name of a parameter's value. Raises NotCoveredError when it is not given."""
        return self.all(key)[0]

    def all(self, key: str) -> list[str]:
        """The ONNX names of a parameter that is a list."""
        if key not in self._given:
            raise NotCoveredError(f"{self.type} without {key}")
        return [self.writer.name_of(self.graph, name, self.names) for name in self._given[key]]

    def optional(self, key: str) -> str | None:
        """The ONNX name of a parameter's value, None when it is not given."""
        return self[key] if key in self._given else None

    def tensor(self, key: str) -> Tensor:
        """The tensor of a parameter. Raises NotCoveredError when it is not given."""
        if key not in self._given:
            raise NotCoveredError(f"{self.type} without {key}")
        return self.graph.tensor(self._given[key][0])

    def tensors(self, key: str) -> list[Tensor]:
        """The tensors of a parameter that is a list."""
        return [self.graph.tensor(name) for name in self._given.get(key, [])]

    def dtype(self, key: str = "x") -> str:
        """A parameter's dtype."""
        return self.tensor(key).dtype

    def rank(self, key: str = "x") -> int:
        """A parameter's rank. Raises NotCoveredError when it is not known."""
        shape = self.tensor(key).shape
        if shape is None:
            raise NotCoveredError(f"{self.type} of a value of unknown rank")
        return len(shape)

    def shape(self, key: str = "x") -> tuple[int, ...]:
        """A parameter's sizes. Raises NotCoveredError when one is not known."""
        tensor = self.tensor(key)
        if not tensor.static or tensor.shape is None:
            raise NotCoveredError(f"{self.type} of a value of unknown size")
        return tuple(dim for dim in tensor.shape if isinstance(dim, int))

    def dims(self, key: str = "x") -> tuple[int | None, ...]:
        """A parameter's sizes, None where one is not known."""
        return tuple(dim if isinstance(dim, int) else None for dim in self.tensor(key).shape or ())

    def value(self, key: str) -> NDArray[Any] | None:
        """A parameter's constant value, None when it is computed or not given."""
        if key in self.op.attrs:
            return array_of(self.op.attrs[key])
        if key not in self._given:
            return None
        return self.writer.constant(self.graph, self._given[key][0])

    def fixed(self, key: str) -> NDArray[Any]:
        """A parameter's constant value. Raises NotCoveredError when it is computed."""
        found = self.value(key)
        if found is None:
            raise NotCoveredError(f"{self.type} with a computed {key}")
        return found

    def whole(self, key: str) -> list[int]:
        """The integers of a constant parameter."""
        return [int(item) for item in self.fixed(key).reshape(-1)]

    def attr(self, key: str, default: Any = None) -> Any:
        """A configuration. Raises NotCoveredError when it is computed at run time."""
        if key in self.op.attrs:
            found = self.op.attrs[key]
            return found.read() if isinstance(found, Constant) else found
        if key in self._given:
            value = self.value(key)
            if value is None:
                raise NotCoveredError(f"{self.type} with a computed {key}")
            return value.item() if value.ndim == 0 else tuple(value.tolist())
        return default

    def numbers(self, key: str, default: Sequence[int] = ()) -> list[int]:
        """A list of integers of the configuration."""
        found = self.attr(key)
        if found is None:
            return list(default)
        return [int(item) for item in np.asarray(found).reshape(-1)]

    # ---- results -------------------------------------------------------------------------

    def out(self, index: int = 0) -> str:
        """The ONNX name that the result has to be written as."""
        return self.writer.result_name(self.op, index)

    def result(self, index: int = 0) -> Tensor:
        """The tensor of a result."""
        return self.graph.tensor(self.op.outputs[index] or "")

    def done(self, type: str, *inputs: str | None, **attributes: Any) -> None:
        """The node that writes the result."""
        self.emit.op(type, *inputs, to=self.out(), **attributes)

    def give(self, name: str, index: int = 0) -> None:
        """A value that was computed is the result."""
        self.emit.op("Identity", name, to=self.out(index))

    # ---- computing -----------------------------------------------------------------------

    def number(self, value: float, key: str = "x") -> str:
        """A number of the parameter's dtype."""
        return self.emit.scalar(value, self.dtype(key))

    def wide(self, key: str = "x") -> str:
        """The value in float32, in which kernels sum and normalize float16."""
        return self.widen(self[key], self.dtype(key))

    def widen(self, name: str, dtype: str) -> str:
        """A value in float32, or int32 where it is a narrow integer."""
        if dtype == "float16":
            return self.emit.cast(name, "float32")
        return self.emit.cast(name, "int32") if dtype in NARROW else name

    def narrow(self, name: str, dtype: str) -> None:
        """The result, from a value that ``widen`` made wide."""
        if dtype == "float16" or dtype in NARROW:
            self.emit.cast(name, dtype, to=self.out())
        else:
            self.give(name)

    def indices(self, key: str) -> str:
        """A value as int64, which ONNX has indices and shapes in."""
        return self.emit.cast(self[key], "int64")


def array_of(value: Any) -> NDArray[Any]:
    """An attribute as an array."""
    return value.read() if isinstance(value, Constant) else np.asarray(value)
