"""What a conversion has to keep: names, order, dtypes and shapes of inputs and outputs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..ir.graph import Graph, Operator, Tensor
    from ..ir.model import Model

SAME = {
    ("int64", "int32"), ("float64", "float32"), ("float32", "float16"), ("bool", "float32"),
    ("bool", "int32"), ("float16", "float32"),
}  # fmt: skip
"""dtypes that a format does not have, and those that stand for them there."""


def hold(source: Model, made: Model) -> list[str]:
    """What a converted model's interface breaks, in words; empty where it is kept."""
    broken = []
    for what in ("inputs", "outputs"):
        before, after = _named(source, what), _named(made, what)
        missing = [name for name in before if name not in after]
        if len(before) != len(after):
            broken.append(f"{len(before)} {what} became {len(after)}")
        elif missing:
            broken.append(
                f"the {what[:-1]} {missing[0]!r} is called {next(iter(after.keys() - before.keys()), '?')!r}"
            )
        elif list(before) != list(after) and made.format == "tflite":
            broken.append(f"the {what} come in another order: {', '.join(after)}")
        broken += [
            problem
            for name, tensor in before.items()
            if name in after and (problem := _changed(what[:-1], name, tensor, after[name]))
        ]
    return broken


def restore(source: Model, made: Model) -> bool:
    """Give a TFLite model the names and the order that the source's inputs and outputs have, by its
    signature; whether anything was changed.
    """
    signature: Mapping[str, Any] = next(iter(made.metadata.get("signatures", {}).values()), {})
    graph, changed = made.graph, False
    wanted: dict[str, list[str]] = {}
    for what, names, own in (
        ("inputs", _named(source, "inputs"), graph.inputs),
        ("outputs", _named(source, "outputs"), graph.outputs),
    ):
        keys: dict[str, str] = signature.get(what, {})
        if sorted(keys) != sorted(names) or sorted(keys.values()) != sorted(own):
            return False
        wanted[what] = [keys[name] for name in names]
        changed = changed or wanted[what] != list(own) or wanted[what] != list(names)
    graph.set_interface(wanted["inputs"], wanted["outputs"])
    for what in wanted:
        for key, name in signature[what].items():
            signature[what][key] = _renamed(graph, name, key)
    graph.prune()
    return changed


def _renamed(graph: Graph, old: str, new: str) -> str:
    """The name that a tensor has then: the new one, where nothing else has it and no body reads it."""
    readers = graph.consumers(old)
    if old == new or graph.find(new) is not None or any(op.graphs for op in readers):
        return old
    inputs, outputs, writer = graph.inputs, graph.outputs, graph.producer(old)
    kept = [[name for name in names if name != old] for names in (inputs, outputs)]
    graph.set_interface(*kept)
    tensor = replace(graph.tensor(old), name=new)
    if writer is None:
        graph.add_tensor(tensor)
        graph.rewire(old, new)
    else:
        touched = (writer, *(op for op in readers if op is not writer))
        graph.replace(touched, [_reading(op, old, new) for op in touched], (tensor,))
    swap = {old: new}
    graph.set_interface([swap.get(name, name) for name in inputs], [swap.get(name, name) for name in outputs])
    return new


def _reading(op: Operator, old: str, new: str) -> Operator:
    swap = {old: new}
    inputs = tuple(None if name is None else swap.get(name, name) for name in op.inputs)
    return replace(
        op,
        inputs=inputs,
        outputs=tuple(None if name is None else swap.get(name, name) for name in op.outputs),
    )


def _keys(model: Model, what: str) -> tuple[str, ...]:
    """What the signature calls inputs or outputs, in the order of the graph."""
    graph = model.graph
    names = graph.inputs if what == "inputs" else graph.outputs
    signature: Mapping[str, Any] = next(iter(model.metadata.get("signatures", {}).values()), {})
    told = (
        {tensor: key for key, tensor in signature.get(what, {}).items()} if model.format == "tflite" else {}
    )
    return tuple(told.get(name, name) for name in names)


def _named(model: Model, what: str) -> dict[str, Tensor]:
    graph = model.graph
    names = graph.inputs if what == "inputs" else graph.outputs
    keys = graph.attrs.get(f"signature_{what}") or _keys(model, what)
    fed = zip(keys, names, strict=True)
    return {
        key: graph.tensor(name) for key, name in fed if graph.tensor(name).const is None or what == "outputs"
    }


def _changed(what: str, name: str, before: Tensor, after: Tensor) -> str:
    if before.dtype != after.dtype and (before.dtype, after.dtype) not in SAME:
        return f"the {what} {name!r} changed from {before.dtype} to {after.dtype}"
    if before.shape is None or after.shape is None:
        return ""
    fixed = [
        (left, right)
        for left, right in zip(before.shape, after.shape, strict=False)
        if isinstance(left, int) and isinstance(right, int)
    ]
    scalar = {len(before.shape), len(after.shape)} == {0, 1}
    if not scalar and (len(before.shape) != len(after.shape) or any(left != right for left, right in fixed)):
        return f"the {what} {name!r} changed from shape {list(before.shape)} to {list(after.shape)}"
    return ""
