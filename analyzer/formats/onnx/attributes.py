"""ONNX attributes as plain Python values, and back.

int, float, str (bytes where they are not UTF-8), tuples of these; tensors are Constants, types are
strings like ``sequence(float32)``, a parameter of the enclosing function is a ``Parameter``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import index
from typing import TYPE_CHECKING, Any

from ...errors import GraphError
from ...ir.graph import Constant
from .attribute_kinds import KINDS
from .proto import text
from .types import store_type, type_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from .tensors import Values

FLOAT, INT, STRING, TENSOR, GRAPH, FLOATS, INTS, STRINGS, TENSORS, GRAPHS, SPARSE, SPARSES, TYPE, TYPES = (
    range(1, 15)
)
"""``AttributeProto.AttributeType``, in the order of the enum."""
_WORDS = dict(zip(range(1, 15), (
    "float", "int", "string", "tensor", "graph", "floats", "ints", "strings", "tensors", "graphs",
    "sparse_tensor", "sparse_tensors", "type_proto", "type_protos",
), strict=True))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parameter:
    """The value is that of a parameter of the local function that the operator stands in."""

    name: str
    kind: int


def _text(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


@dataclass(slots=True)
class Attributes:
    """Reads the attributes of the nodes of one model.

    Attributes:
        wrong: what is of another type than ONNX says and was left out, by the operator's id.
    """

    values: Values
    wrong: dict[str, str] = field(default_factory=dict)

    def read(self, node: Any, op_id: str, ir_version: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """The attributes of a node, and the GraphProtos of its bodies, each by name. Raises ModelError."""
        attrs: dict[str, Any] = {}
        bodies: dict[str, Any] = {}
        standard = node.domain in ("", "ai.onnx")
        for proto in node.attribute:
            name, kind = text(proto.name), proto.type
            if not name or name in attrs or name in bodies:
                problem = f"two attributes {name!r}" if name else "an attribute without a name"
                raise self.values.error(f"operator {op_id} ({node.op_type}) has {problem}")
            if kind == 0:
                kind = _guess(proto) if ir_version < 2 else 0
            if kind and standard and KINDS.get(name, kind) != kind:
                self.wrong[op_id] = f"{node.op_type}: the attribute {name!r} is no {_WORDS[KINDS[name]]}"
                continue  # no rule or rewrite meets a text where a number stands
            if proto.ref_attr_name:
                attrs[name] = Parameter(text(proto.ref_attr_name), kind)
            elif kind == INT:
                attrs[name] = proto.i
            elif kind == INTS:
                attrs[name] = tuple(proto.ints)
            elif kind == GRAPH:
                bodies[name] = proto.g
            elif kind == GRAPHS:
                bodies.update((f"{name}/{index}", graph) for index, graph in enumerate(proto.graphs))
            elif kind == 0:
                raise self.values.error(
                    f"attribute {name!r} of operator {op_id} ({node.op_type}) has no type that ONNX defines"
                )
            else:
                attrs[name] = self._other(proto, kind)
        return attrs, bodies

    def bodies(self, node: Any) -> dict[str, Any]:
        """The GraphProtos of a node's bodies, named as ``read`` names them."""
        found: dict[str, Any] = {}
        for proto in node.attribute:
            if proto.type == GRAPH:
                found[proto.name] = proto.g
            elif proto.type == GRAPHS:
                found.update((f"{proto.name}/{index}", graph) for index, graph in enumerate(proto.graphs))
        return found

    def _other(self, proto: Any, kind: int) -> Any:
        values = self.values
        if kind == FLOAT:
            return proto.f
        if kind == STRING:
            return _text(proto.s)
        if kind == FLOATS:
            return tuple(proto.floats)
        if kind == STRINGS:
            return tuple(_text(item) for item in proto.strings)
        if kind == TENSOR:
            return values.constant(proto.t)
        if kind == TENSORS:
            return tuple(values.constant(item) for item in proto.tensors)
        if kind == SPARSE:
            return values.sparse(proto.sparse_tensor)
        if kind == SPARSES:
            return tuple(values.sparse(item) for item in proto.sparse_tensors)
        if kind == TYPE:
            return type_of(proto.tp, values.error)[0]
        return tuple(type_of(item, values.error)[0] for item in proto.type_protos)


_FIELDS = (
    ("f", FLOAT),
    ("i", INT),
    ("s", STRING),
    ("t", TENSOR),
    ("g", GRAPH),
    ("sparse_tensor", SPARSE),
    ("tp", TYPE),
)
_LISTS = (("floats", FLOATS), ("ints", INTS), ("strings", STRINGS), ("tensors", TENSORS), ("graphs", GRAPHS))


def _guess(proto: Any) -> int:
    """The type of an attribute of a model older than IR version 2, which did not store it; 0 when it holds
    nothing.
    """
    for name, kind in _FIELDS:
        if proto.HasField(name):
            return kind
    return next((kind for name, kind in _LISTS if len(getattr(proto, name))), 0)


def name_types(graph: Any) -> None:
    """Store the types of attributes that a model older than IR version 2 left out, bodies included."""
    for node in graph.node:
        for proto in node.attribute:
            proto.type = proto.type or _guess(proto)
            for body in (proto.g, *proto.graphs) if proto.type in (GRAPH, GRAPHS) else ():
                name_types(body)


# ---- values to attributes --------------------------------------------------------------------


def kind_of(value: Any) -> int:
    """The attribute type that a plain value suggests, where no schema tells. Raises GraphError."""
    if isinstance(value, Parameter):
        return value.kind
    if isinstance(value, tuple | list):
        kinds = {_kind_of_one(item) for item in value} or {INT}
        return FLOATS if kinds == {INT, FLOAT} else _LIST_OF[max(kinds)]
    return _kind_of_one(value)


def _kind_of_one(value: Any) -> int:
    if isinstance(value, int):
        return INT
    if isinstance(value, float):
        return FLOAT
    if isinstance(value, str | bytes):
        return STRING
    if isinstance(value, Constant):
        return TENSOR
    raise GraphError(f"an attribute of {type(value).__name__} cannot be stored in ONNX")


_LIST_OF = {INT: INTS, FLOAT: FLOATS, STRING: STRINGS, TENSOR: TENSORS}


def fill_attribute(proto: Any, value: Any, kind: int, tensor: Callable[[str, Constant], Any]) -> None:
    """Store a value in an AttributeProto as ``kind``; ``tensor`` makes TensorProtos. Raises GraphError when
    it does not fit.
    """
    proto.type = kind
    if isinstance(value, Parameter):
        proto.ref_attr_name = value.name
        return
    try:
        _store(proto, value, kind, tensor)
    except (TypeError, ValueError, AttributeError) as error:
        raise GraphError(f"attribute {proto.name!r} cannot hold {value!r}: {error}") from error


def _store(proto: Any, value: Any, kind: int, tensor: Callable[[str, Constant], Any]) -> None:
    if kind == FLOAT:
        proto.f = value
    elif kind == INT:
        proto.i = index(value)
    elif kind == STRING:
        proto.s = _data(value)
    elif kind == TENSOR:
        proto.t.CopyFrom(tensor("", value))
    elif kind == FLOATS:
        proto.floats.extend(value)
    elif kind == INTS:
        proto.ints.extend(map(index, value))
    elif kind == STRINGS:
        proto.strings.extend(_data(item) for item in value)
    elif kind == TENSORS:
        proto.tensors.extend(tensor("", item) for item in value)
    elif kind == TYPE and isinstance(value, str):
        store_type(proto.tp, value, None)
    else:
        raise ValueError(f"attributes of type {kind} are only carried over from the stored model")


def _data(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
