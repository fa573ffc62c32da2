"""ML Programs: functions, nested blocks and constants of MIL as graphs.

Operators keep MIL's parameters apart: tensors and weights are ``inputs`` in the order in which MIL declares
them (``attrs["input_names"]`` says which is which; a list such as concat's ``values`` repeats its name),
configuration that MIL wants constant becomes attributes. ``const`` operations are no operators: their values
become constant tensors when an operator reads them, or attributes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...errors import GraphError, ModelError
from ...ir.dtypes import BITS
from ...ir.graph import Constant, Graph, Operator, Shape, Source, Tensor
from .schema import DTYPES, OPSETS, Parameters, operators

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from .package import Blobs

_MAX_DIM = 1 << 40
CODES = {
    "float16": "e",
    "float32": "f",
    "float64": "d",
    "int8": "b",
    "uint8": "B",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "bool": "?",
}
"""struct codes of the dtypes that an attribute's value can have."""
_UNPACKED = {"floats": "f", "doubles": "d", "ints": "i", "longInts": "q", "bools": "?"}
_BODIES = {"cond": ("true", "false"), "while_loop": ("condition", "body")}
_INLINE = 4096
"""Values up to this many bytes are decoded for attributes; larger ones stay constants."""
_UNKNOWN = Parameters((), frozenset())


@dataclass(frozen=True, slots=True)
class Place:
    """What a conversion needs to know about the file: path to name in errors, specification file and its
    weights.
    """

    path: Path
    file: Path
    blobs: Blobs


@dataclass(slots=True)
class Scope:
    """Constants of a block that no operator has read yet, and the scope around it."""

    graph: Graph
    consts: dict[str, Any] = field(default_factory=dict)
    outer: Scope | None = None

    def const(self, name: str) -> tuple[Scope, Any] | None:
        """The value of the constant of that name and where it is defined."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.consts:
                return scope, scope.consts[name]
            if name in scope.graph.tensors:
                return None
            scope = scope.outer
        return None


def function_graph(name: str, function: Any, description: Any, place: Place) -> Graph:
    """A function of a program as a graph. Raises ModelError or GraphError when it is not whole."""
    block = specialization(name, function, place)
    graph = Graph(name, "mil", {"ios": OPSETS.get(function.opset, 0)})
    graph.attrs["opset"] = function.opset
    flexible = {item.name: flexibility(item.type) for item in (*description.input, *description.state)}
    for value in function.inputs:
        graph.add_tensor(_tensor(value, place, flexible.get(value.name)))
    _fill(Scope(graph), block, place)
    graph.set_interface([value.name for value in function.inputs], block.outputs)
    return graph


def specialization(name: str, function: Any, place: Place) -> Any:
    """The block of a function for the opset it was written for, or its only one. Raises ModelError."""
    key = specialization_name(function)
    if key in function.block_specializations:
        return function.block_specializations[key]
    problem = f"function {name!r} has no block for its opset {function.opset!r}"
    raise ModelError(place.path, problem, "export it again")


def specialization_name(function: Any) -> str:
    """The opset whose block stands for the function: its own, or that of its only block."""
    blocks = function.block_specializations
    return next(iter(blocks)) if len(blocks) == 1 else str(function.opset)


def _fill(scope: Scope, block: Any, place: Place) -> None:
    """Add the operations of a block to the scope's graph."""
    for index, operation in enumerate(block.operations):
        if operation.type == "const":
            _remember(scope, operation, place)
        else:
            _operation(scope, index, operation, place)
    for name in block.outputs:
        _materialize(scope, name, place)


def _remember(scope: Scope, operation: Any, place: Place) -> None:
    if len(operation.outputs) != 1 or "val" not in operation.attributes:
        raise ModelError(
            place.path, f"a const operation in {scope.graph.name!r} without a value", "export it again"
        )
    name = operation.outputs[0].name
    if name in scope.consts or name in scope.graph.tensors:
        raise ModelError(place.path, f"{scope.graph.name!r} defines {name!r} twice", "export it again")
    scope.consts[name] = operation.attributes["val"]


def _operation(scope: Scope, index: int, operation: Any, place: Place) -> None:
    graph, id = scope.graph, f"{scope.graph.name}/{index}"
    outputs = [_tensor(value, place) for value in operation.outputs]
    for tensor in outputs:
        if tensor.name in scope.consts:
            raise ModelError(place.path, f"{graph.name!r} defines {tensor.name!r} twice", "export it again")
    names, inputs, attrs = _arguments(scope, operation, id, place)
    for tensor in outputs:
        graph.add_tensor(tensor)
    bodies = _bodies(scope, id, operation, place)
    label = operation.attributes.get("name", None)
    graph.add_op(
        Operator(
            id=id,
            type=operation.type,
            inputs=inputs,
            outputs=tuple(tensor.name for tensor in outputs),
            attrs={**attrs, "input_names": names},
            name=_text(label, place),
            version=graph.opsets["ios"],
            graphs=bodies,
            source=Source(str(place.path)),
        )
    )


def _text(value: Any, place: Place) -> str:
    decoded = "" if value is None else decode(value, place)
    return decoded if isinstance(decoded, str) else ""


Bindings = list[tuple[str | None, Any]]
"""The values of one parameter: the name of a tensor, or None and the immediate value."""


def _parameters(operation: Any) -> dict[str, Bindings]:
    """Arguments and, for compressed weights before iOS 18, attributes, by parameter name."""
    found: dict[str, Bindings] = {}
    for key in sorted(operation.inputs):
        bindings = operation.inputs[key].arguments
        found[key] = [
            (b.name, None) if b.WhichOneof("binding") == "name" else (None, b.value) for b in bindings
        ]
    for key in sorted(operation.attributes):
        if key != "name" and key not in found:
            found[key] = [(None, operation.attributes[key])]
    return found


def _arguments(
    scope: Scope, operation: Any, id: str, place: Place
) -> tuple[tuple[str, ...], tuple[str | None, ...], dict[str, Any]]:
    """Names of the inputs, the inputs, and the attributes."""
    declared = operators().get(operation.type, _UNKNOWN)
    given = _parameters(operation)
    attrs: dict[str, Any] = {}
    for key in [key for key in given if key in declared.attrs]:
        value = _configuration(scope, given[key], place)
        if value is not None:
            attrs[key] = value
            del given[key]
    names: list[str] = []
    inputs: list[str | None] = []
    for key in (*declared.inputs, *sorted(set(given) - set(declared.inputs))):
        for position, binding in enumerate(given.get(key, [(None, None)])):
            names.append(key)
            inputs.append(
                _input(
                    scope,
                    binding,
                    f"{_stem(operation, id)}/{key}" + (f"/{position}" if position else ""),
                    place,
                )
            )
    while inputs and inputs[-1] is None:
        inputs.pop()
        names.pop()
    return tuple(names), tuple(inputs), attrs


def _stem(operation: Any, id: str) -> str:
    return operation.outputs[0].name if operation.outputs else id


def _configuration(scope: Scope, bindings: Bindings, place: Place) -> Any:
    """The attribute that constant bindings make, None when one of them is computed at run time."""
    values = []
    for name, value in bindings:
        found = (scope, value) if name is None else scope.const(name)
        if found is None:
            return None
        values.append(decode(found[1], place))
    return values[0] if len(values) == 1 else tuple(values)


def _input(scope: Scope, binding: tuple[str | None, Any], stem: str, place: Place) -> str | None:
    name, value = binding
    if name is not None:
        _materialize(scope, name, place)
        return name
    if value is None:
        return None
    name = stem
    while name in scope.graph.tensors or name in scope.consts:
        name += "_"
    scope.graph.add_tensor(const_tensor(name, value, place))
    return name


def _materialize(scope: Scope, name: str, place: Place) -> None:
    """Make a constant tensor of a ``const`` that is read for the first time; other names must be there
    already.
    """
    found = scope.const(name)
    if found is not None:
        owner, value = found
        owner.graph.add_tensor(const_tensor(name, value, place))
        del owner.consts[name]
    elif scope.graph.find(name) is None:
        raise GraphError(f"graph {scope.graph.name!r} reads {name!r} before it is defined")


def _bodies(scope: Scope, id: str, operation: Any, place: Place) -> dict[str, Graph]:
    keys = _BODIES.get(operation.type, ())
    bodies: dict[str, Graph] = {}
    for index, block in enumerate(operation.blocks):
        key = keys[index] if index < len(keys) else f"block{index}"
        body = Graph(f"{id}/{key}", "mil", scope.graph.opsets, outer=scope.graph)
        for value in block.inputs:
            body.add_tensor(_tensor(value, place))
        _fill(Scope(body, outer=scope), block, place)
        body.set_interface([value.name for value in block.inputs], block.outputs)
        bodies[key] = body
    return bodies


# ---- types -------------------------------------------------------------------------------------


def _tensor(value: Any, place: Place, extra: Mapping[str, Any] | None = None) -> Tensor:
    if not value.name:
        raise ModelError(place.path, "a value without a name", "export it again")
    dtype, shape, attrs = value_type(value.type, place)
    return Tensor(value.name, dtype, shape, attrs={**attrs, **(extra or {})})


def value_type(kind: Any, place: Place) -> tuple[str, Shape, dict[str, Any]]:
    """dtype, shape and what else a ``ValueType`` says: lists, dictionaries and tuples have no dtype."""
    form = kind.WhichOneof("type")
    if form == "tensorType":
        return DTYPES.get(kind.tensorType.dataType, "unknown"), _shape(kind.tensorType, place), {}
    if form == "stateType":
        dtype, shape, attrs = value_type(kind.stateType.wrappedType, place)
        return dtype, shape, {**attrs, "state": True, "is_variable": True}
    if form == "listType":
        dtype, shape, _ = value_type(kind.listType.type, place)
        return "unknown", None, {"kind": "list", "element": dtype, "element_shape": shape}
    return "unknown", None, {"kind": (form or "unknown").removesuffix("Type")}


def _shape(kind: Any, place: Place) -> Shape:
    dims: list[int | None] = []
    for dim in kind.dimensions:
        size = dim.constant.size
        if size or dim.WhichOneof("dimension") == "constant":
            dims.append(size if size < _MAX_DIM else _size(size, place))
        elif dim.unknown.variadic:
            return None
        else:
            dims.append(None)
    if not dims and kind.rank > 0:
        return tuple([None] * kind.rank) if kind.rank <= 64 else None
    return tuple(dims) if kind.rank in (len(dims), 0) else None


def _size(size: int, place: Place) -> int:
    if not 0 <= size < _MAX_DIM:
        raise ModelError(place.path, f"a dimension of size {size}", "the file is damaged: export it again")
    return size


def flexibility(kind: Any) -> dict[str, Any]:
    """What a model's description says about an input's shapes: the default, and those it may have."""
    form = kind.WhichOneof("Type")
    if form == "stateType":
        return {}
    if form == "imageType":
        return _image_flexibility(kind.imageType)
    if form != "multiArrayType":
        return {}
    array = kind.multiArrayType
    chosen = array.WhichOneof("ShapeFlexibility")
    if chosen is None:
        return {}
    default = {
        "flexible": "enumerated" if chosen == "enumeratedShapes" else "range",
        "default_shape": tuple(array.shape),
    }
    if chosen == "enumeratedShapes":
        return {**default, "shapes": tuple(tuple(item.shape) for item in array.enumeratedShapes.shapes)}
    return {
        **default,
        "bounds": tuple((item.lowerBound, item.upperBound) for item in array.shapeRange.sizeRanges),
    }


def _image_flexibility(image: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"image": True}
    chosen = image.WhichOneof("SizeFlexibility")
    if chosen is not None:
        found["flexible"] = "enumerated" if chosen == "enumeratedSizes" else "range"
        found["default_shape"] = (image.height, image.width)
    return found


# ---- values ------------------------------------------------------------------------------------


def const_tensor(name: str, value: Any, place: Place) -> Tensor:
    """A constant tensor with the value of a MIL ``Value``. Raises ModelError when value and type do not
    agree.
    """
    dtype, shape, attrs = value_type(value.type, place)
    form = value.WhichOneof("value")
    if "kind" in attrs or form is None:
        return Tensor(name, dtype, shape, attrs={**attrs, "constant": True})
    if shape is None or any(not isinstance(dim, int) for dim in shape):
        raise ModelError(place.path, f"constant {name!r} has no static shape", "export it again")
    fixed = tuple(dim for dim in shape if isinstance(dim, int))
    if form == "blobFileValue":
        const = place.blobs.constant(value.blobFileValue.fileName, value.blobFileValue.offset, dtype, fixed)
    else:
        const = _immediate(name, value.immediateValue, dtype, fixed, place)
    return Tensor(name, dtype, shape, const)


def _immediate(name: str, immediate: Any, dtype: str, shape: tuple[int, ...], place: Place) -> Constant:
    if immediate.WhichOneof("value") != "tensor":
        raise ModelError(place.path, f"constant {name!r} of a tensor type holds no tensor", "export it again")
    tensor = immediate.tensor
    if tensor.HasField("stored"):
        return _stored(name, tensor.stored, dtype, shape, place)
    if dtype == "string":
        return Constant(dtype, shape, inline=b"\0".join(item.encode() for item in tensor.strings.values))
    data = _packed(tensor, dtype)
    bits = BITS.get(dtype)
    count = Constant(dtype, shape).elements
    if data is None or (bits is not None and len(data) != (count * bits + 7) // 8):
        held = "no value of its type" if data is None else f"{len(data)} bytes"
        raise ModelError(
            place.path,
            f"constant {name!r}: {dtype} of shape {shape} holds {held}",
            "the file is damaged: export it again",
        )
    return Constant(dtype, shape, inline=data)


def _stored(name: str, stored: Any, dtype: str, shape: tuple[int, ...], place: Place) -> Constant:
    const = Constant(dtype, shape, file=place.file, offset=stored.offset, length=stored.length)
    bits = BITS.get(dtype, 0)
    if (
        stored.length != (const.elements * bits + 7) // 8
        or stored.offset + stored.length > place.file.stat().st_size
    ):
        problem = f"constant {name!r}: {dtype} of shape {shape} holds {stored.length} bytes"
        raise ModelError(place.path, problem, "the file is damaged: export it again")
    return const


def _packed(tensor: Any, dtype: str) -> bytes | None:
    """The elements as little-endian bytes, None when they are of another kind than ``dtype``."""
    form = tensor.WhichOneof("value")
    if form is None:
        return b""
    if form == "bytes":
        return bytes(tensor.bytes.values)
    code = CODES.get(dtype)
    if code is None or form not in _UNPACKED:
        return None
    values = getattr(tensor, form).values
    try:
        return struct.pack(f"<{len(values)}{code}", *values)
    except (struct.error, OverflowError):
        return None


def decode(value: Any, place: Place) -> Any:
    """A small value as Python data: a scalar, a tuple (nested by rank); a large one as a Constant, a list as
    a tuple.
    """
    plain = _plain(value)
    if plain is not None:
        return plain
    form = value.WhichOneof("value")
    if form == "immediateValue":
        kind = value.immediateValue.WhichOneof("value")
        if kind in ("list", "tuple"):
            return tuple(decode(item, place) for item in getattr(value.immediateValue, kind).values)
        if kind == "dictionary":
            pairs = value.immediateValue.dictionary.values
            return tuple((decode(pair.key, place), decode(pair.value, place)) for pair in pairs)
    tensor = const_tensor("value", value, place)
    if tensor.const is None:
        return None
    if tensor.dtype == "string":
        strings = list(value.immediateValue.tensor.strings.values)
        return (strings[0] if strings else "") if not tensor.const.shape else tuple(strings)
    size = tensor.nbytes
    code = CODES.get(tensor.dtype)
    if code is None or size is None or size > _INLINE:
        return tensor.const
    flat = struct.unpack(f"<{tensor.const.elements}{code}", tensor.const.raw())
    return flat[0] if not tensor.const.shape else _nest(flat, tensor.const.shape)


_PLAIN = {1: "bools", 2: "strings", 11: "floats", 23: "ints"}
"""Where values that need no conversion stand, by dtype."""


def _plain(value: Any) -> Any:
    """The common case without a detour: a scalar or a list of bool, string, float32 or int32. None for
    everything else.
    """
    kind, tensor = value.type.tensorType, value.immediateValue.tensor
    name = _PLAIN.get(kind.dataType)
    if name is None or tensor.WhichOneof("value") != name:
        return None
    values, dims = getattr(tensor, name).values, kind.dimensions
    if not dims:
        return values[0] if len(values) == 1 and kind.rank == 0 else None
    if len(dims) == 1 and len(values) == dims[0].constant.size and len(values) * 4 <= _INLINE:
        return tuple(values)
    return None


def _nest(flat: Iterable[Any], shape: tuple[int, ...]) -> tuple[Any, ...]:
    """A flat run of elements as nested tuples."""
    level: list[Any] = list(flat)
    for dim in reversed(shape[1:]):
        level = [tuple(level[start : start + dim]) for start in range(0, len(level), dim)] if dim else []
    return tuple(level)


def walk_blocks(block: Any) -> Iterator[Any]:
    """The block and every block in it."""
    waiting = [block]
    while waiting:
        current = waiting.pop()
        yield current
        for operation in current.operations:
            waiting.extend(operation.blocks)
