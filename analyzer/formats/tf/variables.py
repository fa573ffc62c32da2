"""Variables: which checkpoint entry holds each, and constants in the place of those that are only read.

Every converter freezes a variable that the exported function never assigns, so an accelerator sees a
constant there. ``freeze`` gives that view; a variable that is assigned keeps its operators.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ...errors import GraphError, ModelError
from ...ir.graph import Constant, Operator, Tensor
from .bundle import Bundle
from .ops import dtype
from .values import shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from .graph import Draft

READS = ("ReadVariableOp", "_ReadVariablesOp")
_HARMLESS = (
    *READS,
    "ResourceGather",
    "ResourceGatherNd",
    "VariableShape",
    "VarIsInitializedOp",
    "IsVariableInitialized",
    "DisableCopyOnRead",
)
_WRITES = (
    "Assign",
    "Scatter",
    "Apply",
    "SparseApply",
    "CountUpTo",
    "ResourceScatter",
    "ResourceApply",
    "ResourceSparseApply",
    "ResourceCountUpTo",
)


@dataclass
class Checkpoint:
    """The variables of one SavedModel.

    Attributes:
        folder: the SavedModel.
        objects: its SavedObjectGraph.
        nodes: the top-level nodes, whose calls tell which object a variable node is.
    """

    folder: Path
    objects: Any
    nodes: Mapping[str, Any]

    def constant(self, node: Any) -> Constant:
        """The stored value of a variable node. Raises ModelError when the checkpoint lacks or contradicts
        it.
        """
        kind, dims = _declared(node)
        key = self._keys.get(node.name) or _shared_name(node)
        entry = self._bundle.entries.get(key) or self._bundle.entries.get(node.name)
        if entry is None:
            return Constant(
                kind, dims, loader=_unknown(f"{self._bundle.file}: no entry for the variable {node.name!r}")
            )
        stored = shape(entry.shape)
        if dtype(entry.dtype) != kind or (dims and stored != dims):
            raise ModelError(
                self._bundle.file,
                f"the variable {node.name!r} is {kind}{list(dims)}, the checkpoint holds "
                f"{dtype(entry.dtype)}{list(stored or ())}",
                "export the model again",
            )
        file = self._bundle.shard(entry)
        if not file.is_file():
            raise ModelError(
                file, "the checkpoint's data file is missing", "copy the whole SavedModel folder"
            )
        return Constant(kind, dims, file=file, offset=entry.offset, length=entry.size)

    @cached_property
    def _bundle(self) -> Bundle:
        return Bundle(self.folder / "variables" / "variables")

    @cached_property
    def _keys(self) -> dict[str, str]:
        """Checkpoint key by variable node, along the object graph."""
        graph = self._bundle.object_graph()
        if graph is None:
            return {}
        keys = _object_keys(self.objects, graph)
        return {name: keys[number] for name, number in self._object_numbers().items() if number in keys}

    def _object_numbers(self) -> dict[str, int]:
        """Object number by variable node: the captures that a call passes stand in the order of
        ``bound_inputs``.
        """
        found: dict[str, int] = {}
        for node in self.nodes.values():
            if "f" not in node.attr:
                continue
            name = node.attr["f"].func.name
            if name not in self.objects.concrete_functions:
                continue
            bound = self.objects.concrete_functions[name].bound_inputs
            given = [reference for reference in node.input if not reference.startswith("^")]
            if len(bound) <= len(given):
                found.update(
                    zip(
                        (reference.split(":")[0] for reference in given[len(given) - len(bound) :]),
                        bound,
                        strict=True,
                    )
                )
        return found


def _object_keys(saved: Any, stored: Any) -> dict[int, str]:
    """Checkpoint key by number in the SavedObjectGraph: both graphs are walked by the children's names."""
    found: dict[int, str] = {}
    todo, seen = [(0, 0)], {0}
    while todo:
        ours, theirs = todo.pop()
        if ours >= len(saved.nodes) or theirs >= len(stored.nodes):
            continue
        values = [
            attribute.checkpoint_key
            for attribute in stored.nodes[theirs].attributes
            if attribute.name == "VARIABLE_VALUE"
        ]
        if values:
            found[ours] = values[0]
        below = {child.local_name: child.node_id for child in stored.nodes[theirs].children}
        for child in saved.nodes[ours].children:
            if child.local_name in below and child.node_id not in seen and child.node_id >= 0:
                seen.add(child.node_id)
                todo.append((child.node_id, below[child.local_name]))
    return found


def _declared(node: Any) -> tuple[str, tuple[int, ...]]:
    dims = shape(node.attr["shape"].shape) if "shape" in node.attr else None
    return dtype(node.attr["dtype"].type) if "dtype" in node.attr else "unknown", tuple(
        dim if isinstance(dim, int) else 0 for dim in dims or ()
    )


def _shared_name(node: Any) -> str:
    name = node.attr["shared_name"].s if "shared_name" in node.attr else b""
    return name.decode("utf-8", "replace") or str(node.name)


def _unknown(problem: str) -> Any:
    def load() -> bytes:
        raise GraphError(problem)

    return load


def freeze(draft: Draft, checkpoint: Checkpoint | None) -> list[str]:
    """Put constants in the place of the variables that are only read; returns the names of the assigned ones.

    Without a checkpoint (a GraphDef, a library function) variables stay as they are.
    """
    assigned = _assigned(draft)
    if checkpoint is not None:
        for name, node in draft.variables.items():
            if name not in assigned and _is_static(node):
                draft.tensors[name] = _frozen(draft.tensors[name], node, checkpoint.constant(node))
        _drop_reads(draft)
    return sorted(draft.variables[name].name for name in assigned)


def _frozen(tensor: Tensor, node: Any, value: Constant) -> Tensor:
    return replace(
        tensor,
        dtype=value.dtype,
        shape=value.shape,
        const=value,
        attrs={**tensor.attrs, "variable": node.name},
    )


def _is_static(node: Any) -> bool:
    dims = shape(node.attr["shape"].shape) if "shape" in node.attr else None
    return dims is not None and all(isinstance(dim, int) for dim in dims)


def _assigned(draft: Draft) -> set[str]:
    found: set[str] = set()
    for op in draft.ops:
        touched = [name for name in op.inputs if name in draft.variables]
        if touched and not _only_reads(op, draft, touched):
            found.update(name for name in touched if name)
    return found


def _only_reads(op: Operator, draft: Draft, touched: Iterable[str | None]) -> bool:
    if op.graphs:
        return not any(_writes(inner) for body in op.graphs.values() for _, inner in body.walk())
    if all(name is not None and draft.variables[name].op == "VarHandleOp" for name in touched):
        return op.type in _HARMLESS
    return not _writes(op)


def _writes(op: Operator) -> bool:
    return op.type.startswith(_WRITES)


def _drop_reads(draft: Draft) -> None:
    """Remove frozen variables' operators; who read the result of a read reads the constant."""
    same: dict[str, str] = {}
    kept: list[Operator] = []
    for op in draft.ops:
        first = op.outputs[0] if op.outputs else None
        if first is not None and draft.tensors[first].const is not None:
            continue
        source = op.inputs[0] if op.inputs else None
        if (
            op.type in READS
            and source is not None
            and draft.tensors[source].const is not None
            and first is not None
        ):
            same[first] = source
            continue
        kept.append(op)
    draft.ops = [_reading(op, same) for op in kept]
    draft.outputs = [same.get(name, name) for name in draft.outputs]


def _reading(op: Operator, same: Mapping[str, str]) -> Operator:
    if not any(name in same for name in op.inputs):
        return op
    return replace(op, inputs=tuple(same.get(name, name) if name else name for name in op.inputs))
