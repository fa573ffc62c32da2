"""What was found out about a graph beside what its file says, each part by the one who found it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from .payloads import Shape

ShapePair = tuple[Shape, Shape]


@dataclass(frozen=True, slots=True)
class Facts:
    """Handed on from a graph to its copies and views; a part that nobody looked for is empty.

    Attributes:
        plain_shapes: tensor -> (its shape, the one that ONNX Runtime knows when it asks its providers), where
            the two differ (``formats.onnx.carried``).
        inlined: the model's local functions stand in place of their calls.
        folded: tensors whose values a simplifier computes ahead of time.
        dequantized: tensors that are constants to a converter and none to the simplifier before it.
        measured: tensors of which a simplifier reads the shape only.
        unfolded: operators that stand for a function whose parts the runtime offers in a later round.
        faults: what an operator's schema does not allow, by the operator's id (``formats.onnx.faults``).
        ir_version: of the file that the graph was read from; 0 where the format has none.
    """

    plain_shapes: Mapping[str, ShapePair] = field(default_factory=lambda: MappingProxyType({}))
    inlined: bool = False
    folded: frozenset[str] = frozenset()
    dequantized: frozenset[str] = frozenset()
    measured: frozenset[str] = frozenset()
    unfolded: frozenset[str] = frozenset()
    faults: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    ir_version: int = 0


NO_FACTS = Facts()
