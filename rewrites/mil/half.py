"""float32 becomes float16, which is all that the Neural Engine computes in; the interface stays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from ...analyzer.formats.coreml.schema import operators
from ...analyzer.ir.graph import Constant, Graph, Operator
from ..draft import constant_of
from ..engine import Miss, Promise, Rewrite
from .operands import READ_UP_TO, MilDraft, cast

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST = 65504.0
"""The largest float16."""
ENDLESS = 1e30
"""Constants beyond this stand for infinity: the lowest float32 in a mask."""
SMALLEST = 2.0**-24
EXCEPT = (
    "cast", "const", "cond", "while_loop", "make_list", "list_read", "list_write", "list_gather",
    "list_scatter", "list_length", "read_state", "write_state", "coreml_update_state", "custom_layer",
    "classify", "quantize", "random_bernoulli", "random_categorical", "random_normal", "random_uniform",
)  # fmt: skip
"""Operators with bodies, lists or states, and those whose dtypes belong to something else."""

OWN = {"fill": ("value",), "fill_like": ("value",), "one_hot": ("on_value", "off_value")}
"""Configurations whose dtype is that of the result, whatever the inputs are."""


@dataclass(frozen=True, slots=True)
class Single:
    """An operator that computes in float32."""

    op: Operator


class ToHalf(Rewrite[Single]):
    """An operator in float32 computes in float16 between casts, which go where two such operators meet."""

    id: ClassVar[str] = "float32-to-float16"
    title: ClassVar[str] = (
        "float32 operators compute in float16, as coremltools converts; inputs and outputs keep their dtypes"
    )
    dialect: ClassVar[str] = "mil"
    root: ClassVar[tuple[str, ...]] = tuple(name for name in operators() if name not in EXCEPT)
    parity: ClassVar[Promise] = Promise.ROUNDING
    answers: ClassVar[tuple[str, ...]] = ("float32-tensor",)

    def match(self, graph: Graph, op: Operator) -> Single | Miss:
        """float32 values, and constants that float16 has."""
        tensors = [
            tensor for tensor in (*graph.input_tensors(op), *graph.output_tensors(op)) if tensor is not None
        ]
        if not any(tensor.dtype == "float32" for tensor in tensors):
            return Miss("it does not compute in float32")
        if op.graphs or any(tensor.attrs.get("kind") or tensor.attrs.get("state") for tensor in tensors):
            return Miss("it has bodies, lists or states")
        for tensor in tensors:
            if tensor.dtype == "float32" and tensor.const is not None and tensor.const.elements <= READ_UP_TO:
                worst = _beyond(tensor.const.read())
                if worst:
                    return Miss(f"the constant {tensor.name!r} holds {worst:g}, which float16 does not have")
        return Single(op)

    def apply(self, graph: Graph, found: Single) -> None:
        """Casts before and behind, constants in float16."""
        import numpy as np

        op, draft = found.op, MilDraft(graph, found.op)
        inputs = [None if name is None else _half(graph, draft, name) for name in op.inputs]
        results = []
        after = []
        for name in op.outputs:
            tensor = None if name is None else graph.tensor(name)
            if tensor is None or name is None or tensor.dtype != "float32":
                results.append(name)
                continue
            made = draft.tensor("float16", tensor.shape, stem="half")
            results.append(made)
            after.append((made, name))
        attrs = {key: _bounded(key, value) for key, value in op.attrs.items()}
        for key in OWN.get(op.type, ()):
            if isinstance(attrs.get(key), float):
                attrs[key] = constant_of(np.array(attrs[key], np.float16))
        draft.ops.append(
            replace(op, id=graph.fresh_id(), inputs=tuple(inputs), outputs=tuple(results), attrs=attrs)
        )
        for made, name in after:
            cast(draft, made, "float32", to=name)
        draft.commit((op,))


def _half(graph: Graph, draft: MilDraft, name: str) -> str:
    tensor = graph.tensor(name)
    if tensor.dtype != "float32":
        return name
    if tensor.const is None:
        return cast(draft, name, "float16")
    source = tensor.const
    if source.elements <= READ_UP_TO:
        return draft.constant(_rounded(source.read()), "float16", "half")
    const = Constant(
        "float16", source.shape, length=source.elements * 2, loader=lambda: _rounded(source.read()).tobytes()
    )
    return draft.stored(const, "half")


def _beyond(values: NDArray[Any]) -> float:
    """The largest magnitude between what float16 has and what stands for infinity; 0 when there is none."""
    import numpy as np

    size = np.abs(values)
    found = size[(size > LARGEST) & (size < ENDLESS)]
    return float(found.max()) if found.size else 0.0


def _rounded(values: NDArray[Any]) -> NDArray[Any]:
    """As float16; what stands for infinity becomes the largest, so that 0 times it is 0."""
    import numpy as np

    finite = np.isfinite(values)
    return np.where(finite, np.clip(values, -LARGEST, LARGEST), values).astype(np.float16)


def _bounded(key: str, value: Any) -> Any:
    """A number of the configuration that float16 has; an epsilon does not become nothing."""
    if not isinstance(value, float):
        return value
    if key == "epsilon" and 0 < value < SMALLEST:
        return SMALLEST
    return max(-LARGEST, min(LARGEST, value)) if abs(value) != float("inf") else value


REWRITES = (ToHalf(),)
