"""New operators and tensors of one edit, collected before anything changes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..analyzer.ir.graph import Constant, Graph, Operator, Quantization, Shape, Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

LOWEST_VERSIONS = {"BROADCAST_TO": 2}
"""The lowest registered version of TFLite operators whose version 1 no kernel takes. Source: LiteRT,
tflite/core/kernels/register.cc.
"""
SECOND_FOR_INT8 = ("TRANSPOSE", "SLICE", "STRIDED_SLICE", "GATHER", "CONCATENATION", "SPLIT", "TILE")
"""TFLite operators whose int8 form is version 2. Source: LiteRT,
tflite/converter/tools/versioning/op_version.cc.
"""


def constant_of(array: NDArray[Any] | np.generic, dtype: str | None = None) -> Constant:
    """The array as a constant that holds its own bytes."""
    import numpy as np

    from ..analyzer.ir.arrays import to_bytes

    values = np.asarray(array)
    name = dtype or str(values.dtype)
    return Constant(name, tuple(values.shape), inline=to_bytes(values, name), length=values.nbytes)


class Draft:
    """Collects the replacement for some operators; ``commit`` puts it in, in one edit.

    New operators take their source and the stem of their names from ``like``, the operator that they replace.
    """

    def __init__(self, graph: Graph, like: Operator) -> None:
        self.graph = graph
        self.like = like
        self.ops: list[Operator] = []
        self.tensors: dict[str, Tensor] = {}

    def find(self, name: str) -> Tensor:
        """A tensor of the draft or of the graph."""
        found = self.tensors.get(name)
        return self.graph.tensor(name) if found is None else found

    def tensor(self, dtype: str, shape: Shape, quant: Quantization | None = None, stem: str = "") -> str:
        """A new tensor's name."""
        name = self.graph.fresh(f"{self.like.label}/{stem or 'value'}")
        self.tensors[name] = Tensor(name, dtype, shape, quant=quant)
        return name

    def constant(
        self, array: NDArray[Any] | np.generic, dtype: str | None = None, stem: str = "const"
    ) -> str:
        """A new constant's name."""
        const = constant_of(array, dtype)
        name = self.graph.fresh(f"{self.like.label}/{stem}")
        self.tensors[name] = Tensor(name, const.dtype, const.shape, const)
        return name

    def op(
        self,
        type: str,
        inputs: Sequence[str | None],
        outputs: Sequence[str | None],
        attrs: Mapping[str, Any] | None = None,
        *,
        domain: str = "",
        version: int | None = None,
    ) -> Operator:
        """A new operator that writes the named tensors; the attributes that its dialect always stores are
        filled in.
        """
        op = Operator(
            id=self.graph.fresh_id(),
            type=type,
            inputs=tuple(inputs),
            outputs=tuple(outputs),
            attrs=self._attributes(type, attrs or {}),
            name=self._name(type),
            domain=domain,
            version=version if version is not None else self._version(type, domain),
            source=self.like.source,
        )
        self.ops.append(op)
        return op

    def value(
        self,
        type: str,
        inputs: Sequence[str | None],
        dtype: str,
        shape: Shape,
        attrs: Mapping[str, Any] | None = None,
        *,
        quant: Quantization | None = None,
        version: int | None = None,
        to: str | None = None,
    ) -> str:
        """A new operator with one result, whose name is given back; ``to`` writes an existing tensor instead
        of a new one.
        """
        name = to or self.tensor(dtype, shape, quant, type.lower())
        if version is None and self.graph.dialect == "tflite" and dtype == "int8" and type in SECOND_FOR_INT8:
            version = 2
        self.op(type, inputs, (name,), attrs, version=version)
        return name

    def keep(self, op: Operator, **changes: Any) -> Operator:
        """An operator of the graph with changes, its id included in the replacement."""
        kept = replace(op, **changes)
        self.ops.append(kept)
        return kept

    def finish(self, name: str, to: str) -> None:
        """Let the value ``name`` be written as ``to``, a tensor of the graph; an input or constant is copied
        by an Identity (ONNX).
        """
        made = next((index for index, op in enumerate(self.ops) if name in op.outputs), None)
        if made is None or to in self.tensors:
            self.op("Identity", (name,), (to,))
            return
        self.ops = [
            replace(op, inputs=_renamed(op.inputs, name, to), outputs=_renamed(op.outputs, name, to))
            for op in self.ops
        ]
        self.tensors.pop(name, None)

    def commit(self, old: Iterable[Operator]) -> None:
        """Replace the operators by what was collected. Raises GraphError, and changes nothing, when that
        breaks the graph.
        """
        self.graph.replace(old, self.ops, self.tensors.values())

    def _name(self, type: str) -> str:
        """Given once, as that of a tensor: ONNX Runtime loads no file with two nodes of one name."""
        count = f"_{len(self.ops)}" if self.ops else ""
        return self.graph.fresh(f"{self.like.label}/{type}{count}")

    def _version(self, type: str, domain: str) -> int:
        return (
            self.graph.opsets.get(domain, 1) if self.graph.dialect == "onnx" else LOWEST_VERSIONS.get(type, 1)
        )

    def _attributes(self, type: str, attrs: Mapping[str, Any]) -> dict[str, Any]:
        if self.graph.dialect != "tflite":
            return dict(attrs)
        from ..analyzer.formats.tflite.schema import schema

        return {**schema().option_defaults(type), **attrs}


def _renamed(names: Sequence[str | None], old: str, new: str) -> tuple[str | None, ...]:
    return tuple(new if name == old else name for name in names)
