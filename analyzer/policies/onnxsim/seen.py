"""How onnxsim's passes see a graph: without operators that do nothing, which are gone by then."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from ...ir.graph import Constant, Operator
from ...ir.match import Scope


@dataclass(frozen=True)
class Seen(Scope):
    """A graph of which shape arithmetic is folded: constants may be known to be some, and not here which.

    Attributes:
        readable: dtypes of the constants whose single value the passes read.
    """

    readable: Set[str] = frozenset()

    def real(self, name: str | None) -> str | None:
        """The value behind operators that do nothing."""
        op = self.graph.producer(name)
        while op is not None and self.no_op(op):
            name = op.inputs[0]
            op = self.graph.producer(name)
        return name

    def no_op(self, op: Operator) -> bool:
        """Identity, a Cast to the type that the value has, and a Reshape to its shape."""
        if op.type == "Reshape":
            data, result = self.graph.find(op.inputs[0] or ""), self.graph.find(op.outputs[0] or "")
            return data is not None and result is not None and data.static and data.shape == result.shape
        if op.type != "Cast":
            return op.type == "Identity"
        tensors = (*self.graph.input_tensors(op), *self.graph.output_tensors(op))
        kinds = [tensor.dtype for tensor in tensors if tensor is not None]
        return len(set(kinds)) == 1 and kinds[0] != "unknown"

    def read_once(self, name: str | None) -> bool:
        """Whether there is one use of the value."""
        return self.uses(name) == 1

    def uses(self, name: str | None) -> int:
        """How often a value is read; once more for an output of the graph."""
        count = 1 if name in self.graph.outputs else 0
        for op in self.graph.consumers(name):
            count += self.uses(op.outputs[0]) if self.no_op(op) else op.inputs.count(name)
        return count

    def constant(self, name: str | None) -> Constant | None:
        """The constant behind a name; what is dequantized is none to the simplifier."""
        tensor = self.graph.find(self.real(name) or "")
        if tensor is None or tensor.name in self.graph.facts.dequantized:
            return None
        return self.graph.constant(tensor.name)

    def number(self, name: str | None) -> float | None:
        """The single element of a constant; NaN where it is known before the model runs and not here."""
        constant = self.constant(name)
        if constant is not None and constant.dtype == "unknown":
            return float("nan")
        if constant is None or constant.elements != 1 or constant.dtype not in self.readable:
            return None
        return float(constant.numbers(1)[0])
