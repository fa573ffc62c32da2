"""Carrying the edits of a graph into a MIL block.

Operations that the graph left alone stay as they were stored; changed ones get new bindings, new ones are
built, and ``const`` operations go when their last reader does. A changed parameter becomes a ``const``
operation of its own.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...errors import UsageError
from ...ir.graph import Constant, Graph, Operator, Tensor
from .mil import CODES, walk_blocks
from .schema import DTYPES, message, operators
from .weights import NEW, NewWeights

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_NUMBERS = {name: number for number, name in DTYPES.items()}
_FIELDS = {
    "float32": ("floats", "f"), "float64": ("doubles", "d"), "int32": ("ints", "i"), "int16": ("ints", "h"),
    "uint16": ("ints", "H"), "int64": ("longInts", "q"), "uint64": ("longInts", "Q"), "bool": ("bools", "?"),
}  # fmt: skip
"""Where TensorValue keeps each dtype, with its struct code; the others are bytes."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A graph as it was read: what an edited one is compared with."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    tensors: Mapping[str, Tensor]
    ops: Mapping[str, Operator]
    bodies: Mapping[str, Mapping[str, Snapshot]]


def snapshot(graph: Graph) -> Snapshot:
    """Remember a graph and the bodies in it."""
    ops = {op.id: op for op in graph.ops()}
    bodies = {
        op.id: {key: snapshot(body) for key, body in op.graphs.items()} for op in ops.values() if op.graphs
    }
    return Snapshot(graph.inputs, graph.outputs, dict(graph.tensors), ops, bodies)


def same(graph: Graph, original: Snapshot) -> bool:
    """True when nothing of the graph was edited since it was read."""
    ops = graph.ops()
    if (graph.inputs, graph.outputs) != (original.inputs, original.outputs) or len(ops) != len(original.ops):
        return False
    if any(original.tensors.get(name) is not tensor for name, tensor in graph.tensors.items()):
        return False
    return all(_same_op(op, original, id) for op, id in zip(ops, original.ops, strict=True))


def _same_op(op: Operator, original: Snapshot, id: str) -> bool:
    before = original.ops[id]
    if op is not before and _fields(op) != _fields(before):
        return False
    bodies = original.bodies.get(id, {})
    return op.graphs.keys() == bodies.keys() and all(
        same(body, bodies[key]) for key, body in op.graphs.items()
    )


def _fields(op: Operator) -> tuple[Any, ...]:
    return op.id, op.type, op.inputs, op.outputs, op.attrs, op.name


@dataclass(slots=True)
class _Edit:
    """One block being rewritten."""

    graph: Graph
    original: Snapshot
    consts: dict[str, Any]
    names: set[str]
    weights: NewWeights | None = None
    written: dict[str, str] = field(default_factory=dict)
    """What new values are called where the block has a constant of that name, which no graph shows: one
    that is a configuration.
    """
    emitted: list[Any] = field(default_factory=list)
    present: set[str] = field(default_factory=set)

    def emit(self, operation: Any) -> None:
        """Append an operation, after the constants of this block that it reads."""
        for name in sorted(references([operation])):
            self.need(name)
        self.emitted.append(operation)

    def need(self, name: str) -> None:
        """Append the ``const`` operation of that name, stored or new, unless it is there or is no constant of
        this block.
        """
        if name in self.present:
            return
        operation = self.consts.get(name)
        own = next((own for own, alias in self.written.items() if alias == name), name)
        tensor = None if name in self.written else self.graph.tensors.get(own)
        stored = self.original.tensors.get(own)
        if (
            tensor is not None
            and tensor.const is not None
            and (operation is None or (stored is not None and tensor is not stored))
        ):
            operation = const_operation(name, tensor.const, self.weights)
        if operation is not None:
            self.present.add(name)
            self.emitted.append(operation)

    def fresh(self, stem: str) -> str:
        """A name that nothing in the block has."""
        name, count = stem, 0
        while name in self.names:
            count += 1
            name = f"{stem}_{count}"
        self.names.add(name)
        return name


def edit_block(block: Any, graph: Graph, original: Snapshot, weights: NewWeights | None = None) -> None:
    """Rewrite ``block``, from which ``original`` was read, to say what ``graph`` says; new large values go to
    ``weights`` where there is a file for them. Raises UsageError where it cannot.
    """
    stored = list(block.operations)
    consts = {op.outputs[0].name: op for op in stored if op.type == "const"}
    names = {value.name for inner in walk_blocks(block) for op in inner.operations for value in op.outputs}
    edit = _Edit(graph, original, consts, names | set(graph.tensors) | set(original.tensors), weights)
    hidden = names - set(original.tensors)
    edit.written = {name: edit.fresh(name) for name in graph.tensors if name in hidden}
    read_before = references(stored) | set(block.outputs)
    position = 0
    for op in graph.ops():
        index = int(op.id.rpartition("/")[2]) if op.id in original.ops else None
        if index is not None:
            _constants_until(edit, stored[position:index])
            position = max(position, index)
        edit.emit(_changed(edit, op, stored[index]) if index is not None else _built(edit, op))
    _constants_until(edit, stored[position:])
    outputs = [edit.written.get(name, name) for name in graph.outputs]
    for name in outputs:
        edit.need(name)
    read = references(edit.emitted) | set(outputs)
    kept = [
        op
        for op in edit.emitted
        if op.type != "const" or op.outputs[0].name in read or op.outputs[0].name not in read_before
    ]
    copies = [_copy(operation) for operation in kept]
    del block.operations[:]
    block.operations.extend(copies)
    block.outputs[:] = outputs


def _constants_until(edit: _Edit, operations: Sequence[Any]) -> None:
    for operation in operations:
        if operation.type == "const":
            edit.need(operation.outputs[0].name)


def _copy(operation: Any) -> Any:
    twin = message("MILSpec.Operation")()
    twin.CopyFrom(operation)
    return twin


def references(operations: Iterable[Any]) -> set[str]:
    """Names that operations read, those of the blocks in them included."""
    found: set[str] = set()
    waiting = list(operations)
    while waiting:
        operation = waiting.pop()
        for key in operation.inputs:
            found.update(
                binding.name
                for binding in operation.inputs[key].arguments
                if binding.WhichOneof("binding") == "name"
            )
        for block in operation.blocks:
            found.update(block.outputs)
            waiting.extend(block.operations)
    return found


def _changed(edit: _Edit, op: Operator, stored: Any) -> Any:
    """The stored operation with what the graph changed in it."""
    original = edit.original.ops[op.id]
    if op.type != original.type:
        return _built(edit, op)
    if op.name != original.name:
        stored.attributes.pop("name", None)
        _text(stored.attributes["name"], op.name)
    _bind_inputs(edit, op, original, stored)
    for key in sorted({*op.attrs, *original.attrs} - {"input_names"}):
        if op.attrs.get(key) != original.attrs.get(key):
            _bind_attribute(edit, op, key, stored)
    _set_outputs(edit, op, stored)
    bodies = edit.original.bodies.get(op.id, {})
    for key, block in zip(bodies, stored.blocks, strict=True):
        if not same(op.graphs[key], bodies[key]):
            edit_block(block, op.graphs[key], bodies[key], edit.weights)
    return stored


def _arguments(op: Operator) -> dict[str, tuple[str, ...]]:
    """Inputs by parameter."""
    found: dict[str, tuple[str, ...]] = {}
    for key, name in zip(_input_names(op), op.inputs, strict=True):
        if name is not None:
            found[key] = (*found.get(key, ()), name)
    return found


def _input_names(op: Operator) -> tuple[str, ...]:
    names = tuple(op.attrs.get("input_names", ()))
    if len(names) != len(op.inputs):
        raise UsageError(
            f"operator {op.label!r} ({op.type}) has {len(op.inputs)} inputs and {len(names)} "
            f"input_names: name every input"
        )
    return names


def _bind_inputs(edit: _Edit, op: Operator, original: Operator, stored: Any) -> None:
    now, before = _arguments(op), _arguments(original)
    for key in before.keys() - now.keys():
        stored.inputs.pop(key, None)
        stored.attributes.pop(key, None)
    for key, names in now.items():
        if names != before.get(key):
            stored.attributes.pop(key, None)
            _bind(stored, key, [edit.written.get(name, name) for name in names])


def _bind(operation: Any, key: str, names: Iterable[str]) -> None:
    argument = operation.inputs[key]
    del argument.arguments[:]
    for name in names:
        argument.arguments.add(name=name)


def _bind_attribute(edit: _Edit, op: Operator, key: str, operation: Any) -> None:
    """Give a parameter a value of its own, or drop it."""
    operation.inputs.pop(key, None)
    operation.attributes.pop(key, None)
    value = op.attrs.get(key)
    if value is None:
        return
    name = edit.fresh(f"{op.label}_{key}")
    constant = value if isinstance(value, Constant) else attribute_constant(edit.graph, op, key, value)
    edit.consts[name] = const_operation(name, constant, edit.weights)
    _bind(operation, key, (name,))


def _set_outputs(edit: _Edit, op: Operator, operation: Any) -> None:
    for index, name in enumerate(op.outputs):
        tensor = edit.graph.tensor(name or "")
        stored = operation.outputs[index].name if index < len(operation.outputs) else ""
        if stored == tensor.name and edit.original.tensors.get(tensor.name) is tensor:
            continue  # a value that another operator made before is no value of this one yet
        value = operation.outputs[index] if index < len(operation.outputs) else operation.outputs.add()
        value.name = edit.written.get(tensor.name, tensor.name)
        set_type(value.type, tensor)


def _built(edit: _Edit, op: Operator) -> Any:
    """A new operation. Raises UsageError for one with bodies."""
    if op.graphs:
        raise UsageError(
            f"operator {op.label!r} ({op.type}) is new and has bodies: Core ML operators with "
            f"bodies can only be kept"
        )
    operation = message("MILSpec.Operation")(type=op.type)
    _text(operation.attributes["name"], op.label)
    for key, names in _arguments(op).items():
        _bind(operation, key, [edit.written.get(name, name) for name in names])
    for key in op.attrs:
        if key != "input_names":
            _bind_attribute(edit, op, key, operation)
    for name in op.outputs:
        tensor = edit.graph.tensor(name or "")
        value = operation.outputs.add(name=edit.written.get(tensor.name, tensor.name))
        set_type(value.type, tensor)
    return operation


def set_type(kind: Any, tensor: Tensor) -> None:
    """Write a tensor's dtype and shape into a ``ValueType``; raises UsageError for what is no tensor."""
    number = _NUMBERS.get(tensor.dtype)
    if number is None or tensor.shape is None:
        raise UsageError(
            f"tensor {tensor.name!r} ({tensor.dtype}) has no dtype or rank to be stored: give it a shape"
        )
    target = kind.stateType.wrappedType.tensorType if tensor.attrs.get("state") else kind.tensorType
    target.dataType = number
    target.rank = len(tensor.shape)
    del target.dimensions[:]
    for dim in tensor.shape:
        if isinstance(dim, int):
            target.dimensions.add().constant.size = dim
        else:
            target.dimensions.add().unknown.variadic = False


def _text(value: Any, text: str) -> None:
    value.type.tensorType.dataType = _NUMBERS["string"]
    value.immediateValue.tensor.strings.values.append(text)


def const_operation(name: str, constant: Constant, weights: NewWeights | None = None) -> Any:
    """A ``const`` operation that holds the value in the specification itself, or where a large one is among
    ``weights``.
    """
    operation = message("MILSpec.Operation")(type="const")
    _text(operation.attributes["name"], name)
    value = operation.attributes["val"]
    set_type(value.type, Tensor(name, constant.dtype, constant.shape))
    if weights is not None and weights.takes(constant):
        value.blobFileValue.fileName, value.blobFileValue.offset = NEW, weights.add(constant)
        set_type(operation.outputs.add(name=name).type, Tensor(name, constant.dtype, constant.shape))
        return operation
    tensor = value.immediateValue.tensor
    data = constant.raw()
    if constant.dtype == "string":
        tensor.strings.values.extend(data.decode().split("\0"))
    elif constant.dtype in _FIELDS:
        field_name, code = _FIELDS[constant.dtype]
        getattr(tensor, field_name).SetInParent()
        getattr(tensor, field_name).values.extend(struct.unpack(f"<{constant.elements}{code}", data))
    else:
        tensor.bytes.values = data
    set_type(operation.outputs.add(name=name).type, Tensor(name, constant.dtype, constant.shape))
    return operation


def attribute_constant(graph: Graph, op: Operator, key: str, value: Any) -> Constant:
    """An attribute's value as a constant, of the dtype that the operator declares for it.

    Where several are declared, float values take the dtype of the operator's first floating-point input.
    """
    flat, shape = _flatten(value)
    if flat and isinstance(flat[0], str):
        return Constant("string", shape, inline="\0".join(flat).encode())
    if not all(isinstance(item, (bool, int, float)) for item in flat):
        raise UsageError(
            f"operator {op.label!r} ({op.type}) has an attribute that cannot be stored: {value!r}"
        )
    declared = operators()[op.type].dtypes.get(key, ()) if op.type in operators() else ()
    inputs = [tensor.dtype for tensor in graph.input_tensors(op) if tensor is not None]
    dtype = next(
        name
        for name in _wishes(flat, inputs, declared)
        if not declared or name in declared or name == "float32"
    )
    return Constant(dtype, shape, inline=struct.pack(f"<{len(flat)}{CODES[dtype]}", *flat))


def _wishes(flat: list[Any], inputs: list[str], declared: Sequence[str]) -> list[str]:
    """The dtypes that numbers could be stored in, the most natural first; the last always does."""
    if flat and isinstance(flat[0], bool):
        return ["bool", "float32"]
    floats = [name for name in inputs if name in ("float16", "float32")][:1]
    if any(isinstance(item, float) for item in flat):
        return [*floats, "float32", "float16"]
    return ["int32", *(name for name in declared if name in CODES), *floats, "float32"]


def _flatten(value: Any) -> tuple[list[Any], tuple[int, ...]]:
    """The elements of nested tuples, and their shape."""
    level: list[Any] = [value]
    shape: list[int] = []
    while level and all(isinstance(item, (list, tuple)) for item in level):
        shape.append(len(level[0]))
        if any(len(item) != shape[-1] for item in level):
            break
        level = [inner for item in level for inner in item]
    return level, tuple(shape)
