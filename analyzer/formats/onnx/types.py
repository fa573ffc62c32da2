"""ONNX types: TypeProto to dtype and shape."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ...errors import AccelintError, GraphError, ModelError
from ...ir.graph import Dim, Shape
from .proto import DTYPES, NUMBERS, text

if TYPE_CHECKING:
    from .tensors import Values

Type = tuple[str, Shape]
Fail = Callable[[str], AccelintError]
INVENTED = "unk__"
"""What the symbols start with that onnx invents while it infers.

In a stored type they stay symbols: exporters number them (``unk__616``), so equal ones are one dimension.
"""
NO_SYMBOLS = frozenset(("", "?", "-1", "none"))
"""Texts that exporters write where a dimension is unknown. Read as a symbol, each would say that all the
dimensions that it stands for are equal.
"""


def symbol(name: str) -> str | None:
    """A dimension's name, None where the text says only that its size is unknown."""
    return None if name.strip().lower() in NO_SYMBOLS else name


class Types:
    """Reads the types of one model's tensors; equal types are read once."""

    def __init__(self, values: Values) -> None:
        self.values = values
        self._stored: dict[bytes, Type] = {}
        self._inferred: dict[bytes, Type | None] = {}

    def of_graph(self, proto: Any, inferred: Any) -> dict[str, Type]:
        """dtype and shape by name, from everything in a graph that has a type, completed from its inferred
        twin.
        """
        types = self.stored(proto.value_info) | self.stored(proto.output) | self.stored(proto.input)
        if inferred is not proto:
            self._complete(types, inferred)
        return types

    def stored(self, infos: Any) -> dict[str, Type]:
        """dtype and shape by name. Raises ModelError on a type that cannot be."""
        types: dict[str, Type] = {}
        for info in infos:
            data = info.type.SerializeToString()
            found = self._stored.get(data)
            if found is None:
                found = self._stored[data] = self._read(info.name, info.type)
            types[info.name] = found
        return types

    def _read(self, name: str, proto: Any) -> Type:
        dtype, shape = type_of(proto, partial(self._error, name))
        self.values.nbytes(name, dtype, (dim for dim in shape or () if isinstance(dim, int)))
        return dtype, shape

    def _error(self, name: str, problem: str) -> ModelError:
        return self.values.error(f"tensor {name!r} has {problem}")

    def _complete(self, types: dict[str, Type], proto: Any) -> None:
        """Take inferred types where the stored ones leave something open; of inputs, which only a body may
        leave without a type, where there is none.
        """
        untyped = [info for info in proto.input if types.get(info.name, ("unknown",))[0] == "unknown"]
        for info in (*untyped, *proto.value_info, *proto.output):
            data = info.type.SerializeToString()
            if data in self._inferred:
                found = self._inferred[data]
            else:
                found = self._inferred[data] = self._infer(info.name, info.type)
            dtype, before = types.get(info.name, ("unknown", None))
            if found is None or (found[1] is None and dtype != "unknown"):
                continue
            if before is None or not all(isinstance(dim, int) for dim in before):
                types[info.name] = found

    def _infer(self, name: str, proto: Any) -> Type | None:
        """An inferred type; symbols that onnx invented are unknown dimensions, a type that cannot be is
        none.
        """
        try:
            dtype, shape = self._read(name, proto)
        except ModelError:
            return None
        if shape is not None:
            shape = tuple(
                [None if isinstance(dim, str) and dim.startswith(INVENTED) else dim for dim in shape]
            )
        return dtype, shape


def type_of(proto: Any, fail: Fail) -> tuple[str, Shape]:
    """dtype and shape of a TypeProto; other kinds have a dtype like ``sequence(float32)`` and no shape."""
    kind = proto.WhichOneof("value")
    if kind == "tensor_type":
        return _tensor_type(proto.tensor_type, fail)
    if kind is None:
        return "unknown", None
    return _wrapped(proto, kind, fail, 0), None


def _tensor_type(tensor: Any, fail: Fail) -> tuple[str, Shape]:
    dtype = _dtype(tensor.elem_type, fail)
    if not tensor.HasField("shape"):
        return dtype, None
    return dtype, tuple([_dim(dim, fail) for dim in tensor.shape.dim])


def _dtype(number: int, fail: Fail) -> str:
    if number == 0:
        return "unknown"
    dtype = DTYPES.get(number)
    if dtype is None:
        raise fail(f"the data type {number}, which ONNX does not define")
    return dtype


def _dim(dim: Any, fail: Fail) -> Dim:
    size: int = dim.dim_value
    if size > 0:
        return size
    if size < -1:
        raise fail(f"the negative dimension {size}")
    if size == 0 and dim.HasField("dim_value"):
        return 0
    return symbol(text(dim.dim_param))  # -1 is how some exporters write "unknown", as ONNX Runtime reads it


def _wrapped(proto: Any, kind: str, fail: Fail, depth: int) -> str:
    inner = getattr(proto, kind)
    if kind == "sparse_tensor_type":
        return f"sparse_tensor({_dtype(inner.elem_type, fail)})"
    if kind == "map_type":
        return f"map({_dtype(inner.key_type, fail)},{_element(inner.value_type, fail, depth)})"
    if kind == "opaque_type":
        return f"opaque({text(inner.domain)},{text(inner.name)})"
    return f"{kind.removesuffix('_type')}({_element(inner.elem_type, fail, depth)})"


def _element(proto: Any, fail: Fail, depth: int) -> str:
    kind = proto.WhichOneof("value")
    if kind is None:
        return "unknown"
    if kind == "tensor_type":
        return _dtype(proto.tensor_type.elem_type, fail)
    return _wrapped(proto, kind, fail, depth + 1)


# ---- back ------------------------------------------------------------------------------------


def store_type(proto: Any, dtype: str, shape: Shape) -> None:
    """Set a TypeProto; an unknown dtype leaves it as it is, what a stored dimension is called stays."""
    if dtype in NUMBERS:
        _store_tensor(proto.tensor_type, dtype, shape)
    elif dtype != type_of(proto, GraphError)[0]:
        _store_wrapped(proto, dtype)


def _store_tensor(proto: Any, dtype: str, shape: Shape) -> None:
    proto.elem_type = NUMBERS[dtype]
    if shape is None:
        proto.ClearField("shape")
        return
    proto.shape.SetInParent()
    if len(proto.shape.dim) != len(shape):
        del proto.shape.dim[:]
        for _ in shape:
            proto.shape.dim.add()
    for dim, size in zip(proto.shape.dim, shape, strict=True):
        if isinstance(size, int):
            dim.dim_value = size
        elif size is not None:
            dim.dim_param = size
        else:
            dim.ClearField("dim_value")
            if symbol(text(dim.dim_param)) is not None:
                dim.ClearField("dim_param")


def _store_wrapped(proto: Any, dtype: str) -> None:
    """Set a TypeProto from text such as ``sequence(float32)`` or ``map(int64,float32)``."""
    kind, _, rest = dtype.partition("(")
    inside = rest.removesuffix(")")
    if kind in ("sequence", "optional"):
        inner = getattr(proto, f"{kind}_type").elem_type
    elif kind == "map":
        key, _, inside = inside.partition(",")
        proto.map_type.key_type = NUMBERS.get(key, 0)
        inner = proto.map_type.value_type
    elif kind == "sparse_tensor":
        proto.sparse_tensor_type.elem_type = NUMBERS.get(inside, 0)
        return
    else:
        return
    if inside in NUMBERS:
        inner.tensor_type.elem_type = NUMBERS[inside]
    else:
        _store_wrapped(inner, inside)
