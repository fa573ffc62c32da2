"""Graphs to TFLite files.

What the reader kept (signatures, metadata, buffer numbers, sparsity, custom options, shape signatures) is
written back; constants are copied from the file that holds them. Operators, tensors and bodies may have been
replaced or added.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import GraphError, UsageError
from ...files import atomic
from ...ir.graph import Constant
from .emit import LIMIT, Emitter, size_of
from .reader import BODIES, Stored, body_key
from .schema import CUSTOM_DOMAIN, TENSOR_TYPES, schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...ir.graph import Graph, Operator, Tensor
    from ...ir.model import Model
    from .flat import Row

EXTRAS = {"custom_options", "large_custom_options", "intermediates", "mutating_variable_inputs", "options"}
"""Attributes of an operator that are no fields of its options."""
FALLBACK = 127
"""The byte field of operator codes that do not fit in it (``PLACEHOLDER_FOR_GREATER_OP_CODES``)."""


def write(model: Model, path: str | Path) -> None:
    """Write the model, atomically and never over the file it was read from.

    Raises GraphError when the graph is no TFLite model (an unknown operator, attribute or dtype).
    """
    path = Path(path)
    emitter = _Writer(model, path.absolute().parent).emitter()
    with atomic(path, source=model.path) as draft:
        with draft.open("wb") as stream:
            emitter.write(stream)
        _carry_archive(model.path, draft)


def _carry_archive(source: Path, draft: Path) -> None:
    """Append the zip archive that stands after the model in its file (labels, vocabularies: "associated
    files" of the metadata).
    """
    import shutil
    import zipfile
    import zlib
    from copy import copy

    unreadable = (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError)
    try:
        if not source.is_file() or not zipfile.is_zipfile(source):
            return
        with zipfile.ZipFile(source) as archive, zipfile.ZipFile(draft, "a") as carried:
            for entry in archive.infolist():  # by blocks: a small archive may unpack to a lot
                with archive.open(entry) as file, carried.open(copy(entry), "w") as place:
                    shutil.copyfileobj(file, place)
            carried.comment = archive.comment
    except (*unreadable, RuntimeError, zlib.error) as error:  # RuntimeError: it is encrypted
        raise GraphError(
            f"{source}: its associated files (a zip archive after the model) cannot be read: {error}"
        ) from error


def to_bytes(model: Model) -> bytes:
    """The model as the content of a TFLite file; files associated with it (a zip archive after it) are not in
    it.
    """
    stream = io.BytesIO()
    _Writer(model, None).emitter().write(stream)
    return stream.getvalue()


def tensors_in_order(model: Model) -> list[Tensor]:
    """The tensors of the main graph in the order in which they are written: their indices in the file."""
    return _tensors(model.graph, model.stored if isinstance(model.stored, Stored) else None)


class _Writer:
    """Graphs to the rows of the schema's tables."""

    def __init__(self, model: Model, folder: Path | None) -> None:
        if model.dialect != "tflite":
            raise UsageError(
                f"a graph of the dialect {model.dialect!r} cannot be written as TFLite: convert it"
            )
        self.model = model
        self.stored: Stored | None = model.stored if isinstance(model.stored, Stored) else None
        self.keep_external = folder is not None and folder == model.path.absolute().parent
        self.graphs = _subgraphs(model, self.stored)
        self.codes: dict[tuple[str, str, int], int] = {}
        for code in self.stored.codes if self.stored else ():
            self.codes.setdefault(code, len(self.codes))
        self.buffers: list[Constant | None] = [None] * max(1, len(self.stored.spans) if self.stored else 1)
        self.shared: dict[tuple[Any, ...], int] = {}
        self.indices: list[dict[str, int]] = []

    def emitter(self) -> Emitter:
        """The finished structure."""
        tensors = [_tensors(graph, self.stored) for graph in self.graphs]
        self.indices = [{tensor.name: index for index, tensor in enumerate(items)} for items in tensors]
        for graph, indices in zip(self.graphs, self.indices, strict=True):
            indices.update(
                {
                    name: indices[tensor.attrs["again"]]
                    for name, tensor in graph.tensors.items()
                    if name not in indices
                }
            )
        subgraphs = [self._subgraph(index, items) for index, items in enumerate(tensors)]
        metadata = self._metadata()
        row: Row = {
            "version": self.stored.version if self.stored else 3,
            "operator_codes": [_code_row(*code) for code in self.codes],
            "subgraphs": subgraphs,
            "description": self.model.metadata.get("description") or None,
            "buffers": self._buffers(),
            "metadata": metadata or None,
            "signature_defs": self._signatures() or None,
        }
        if self.stored:
            row["metadata_buffer"] = self.stored.metadata_buffer
            row["external_buffer_groups"] = (
                self.stored.external_groups or None if self.keep_external else None
            )
            row["external_buffers"] = self.stored.external or None if self.keep_external else None
        emitter = Emitter()
        emitter.root("Model", row, b"TFL3")
        return emitter

    # ---- the file ------------------------------------------------------------------------

    def _buffers(self) -> list[Row]:
        total = sum(size_of(constant) + 32 for constant in self.buffers if constant is not None)
        apart = total > LIMIT - (1 << 26) or (self.stored is not None and self.stored.apart)
        rows: list[Row] = []
        for number, constant in enumerate(self.buffers):
            if constant is None:
                rows.append({"data": Constant("uint8", (0,), inline=b"")} if self._hollow(number) else {})
            elif apart:
                rows.append({"offset": constant, "size": size_of(constant)})
            else:
                rows.append({"data": constant})
        return rows

    def _buffer(self, constant: Constant, wanted: int | None) -> int:
        """The number of the buffer for this constant: the stored one while it is the same content, else a new
        one.
        """
        key: tuple[Any, ...] = (constant.file, constant.offset, constant.length)
        if constant.file is None:
            key = (id(constant if constant.inline is None else constant.inline),)
        number = self.shared.get(key)
        if number is not None:
            return number
        if (
            wanted
            and constant.inline is None
            and self.buffers[wanted] is None
            and self._span(wanted) == (constant.offset, constant.length)
        ):
            number = wanted
            self.buffers[number] = constant
        else:
            number = len(self.buffers)
            self.buffers.append(constant)
        self.shared[key] = number
        return number

    def _span(self, number: int) -> tuple[int, int] | None:
        """Where the stored buffer of that number has its content; (0, 0) when there is no such buffer."""
        known = self.stored is not None and 0 < number < len(self.stored.spans)
        return self.stored.spans[number] if self.stored and known else (0, 0)

    def _hollow(self, number: int) -> bool:
        """Whether the stored buffer of that number has a content of no bytes: runtimes tell it from none."""
        span = self.stored.spans[number] if self.stored and number < len(self.stored.spans) else None
        return number > 0 and span is not None and not span[1]

    def _metadata(self) -> list[Row]:
        numbers = dict(self.stored.metadata) if self.stored else {}
        values: Mapping[str, Constant] = self.model.metadata.get("metadata", {})
        rows = []
        for name, constant in values.items():
            number = self._buffer(constant, numbers.get(name)) if size_of(constant) else numbers.get(name, 0)
            rows.append({"name": name, "buffer": number})
        return rows

    def _signatures(self) -> list[Row]:
        names = {graph.name: index for index, graph in enumerate(self.graphs)}
        rows = []
        for key, item in self.model.metadata.get("signatures", {}).items():
            index = names.get(item["graph"])
            if index is None:
                raise GraphError(f"signature {key!r} is of the graph {item['graph']!r}, which is gone")
            sides = {
                side: [
                    {"name": name, "tensor_index": self._index(index, tensor, f"signature {key!r}")}
                    for name, tensor in item[side].items()
                ]
                for side in ("inputs", "outputs")
            }
            rows.append({"signature_key": key, "subgraph_index": index, **sides})
        return rows

    def _index(self, graph: int, name: str, what: str) -> int:
        number = self.indices[graph].get(name)
        if number is None:
            raise GraphError(
                f"{what} names the tensor {name!r}, which graph {self.graphs[graph].name!r} does not have"
            )
        return number

    # ---- subgraphs -----------------------------------------------------------------------

    def _subgraph(self, index: int, tensors: list[Tensor]) -> Row:
        graph = self.graphs[index]
        stored_name = graph.attrs.get("name", graph.name)
        return {
            "tensors": [self._tensor(index, position, tensor) for position, tensor in enumerate(tensors)],
            "inputs": [self._index(index, name, "an input") for name in graph.inputs],
            "outputs": [self._index(index, name, "an output") for name in graph.outputs],
            "operators": [self._operator(index, op) for op in graph.ops()],
            "name": stored_name or None,
        }

    def _tensor(self, graph: int, position: int, tensor: Tensor) -> Row:
        attrs = tensor.attrs
        type_ = TENSOR_TYPES.get(tensor.dtype)
        if type_ is None:
            raise GraphError(
                f"tensor {tensor.name!r} has the dtype {tensor.dtype!r}, which TFLite does not have"
            )
        row: Row = {
            "type": type_,
            "name": _stored_name(tensor) or None,
            "is_variable": bool(attrs.get("is_variable")),
        }
        row.update(_shape(tensor, ranked=self.stored is None or self.stored.ranked))
        content = (
            attrs.get("sparse_data") if tensor.const is not None and tensor.const.loader is not None else None
        )
        row["sparsity"] = attrs.get("sparsity") if content is not None or tensor.const is None else None
        content = content or tensor.const
        if content is not None and self._still_external(tensor, content):
            row["external_buffer"] = attrs["external_buffer"]
        elif content is not None:
            row["buffer"] = self._buffer(content, attrs.get("buffer"))
        elif self._span(attrs.get("buffer", 0)) is None or self._hollow(attrs.get("buffer", 0)):
            row["buffer"] = attrs["buffer"]
        row["variant_tensors"] = attrs.get("variant_tensors")
        row["quantization"] = self._quantization(graph, tensor)
        return row

    def _still_external(self, tensor: Tensor, content: Constant) -> bool:
        return (
            self.keep_external
            and "external_buffer" in tensor.attrs
            and content.file not in (None, self.model.path)
        )

    def _quantization(self, graph: int, tensor: Tensor) -> Row | None:
        quant, attrs = tensor.quant, tensor.attrs
        row: Row = {key: attrs[key] for key in ("min", "max") if key in attrs}
        if quant is None:
            kept = attrs.get("quantization")
            return row | (kept or {}) if row or kept is not None else None
        details = attrs.get("quantization_details")
        if details is None:
            if quant.block is not None:
                raise GraphError(
                    f"tensor {tensor.name!r} is quantized in blocks without the tensors that hold its scales"
                )
            return {
                **row,
                "scale": quant.scale,
                "zero_point": quant.zero_point,
                "quantized_dimension": quant.axis or 0,
            }
        kind, named = details[0], dict(details[1])
        for key in ("scales", "zero_points"):
            if key in named:
                named[key] = (
                    -1
                    if named[key] is None
                    else self._index(graph, named[key], f"the quantization of {tensor.name!r}")
                )
        return {**row, **attrs.get("quantization", {}), "details": (kind, named)}

    # ---- operators -----------------------------------------------------------------------

    def _operator(self, graph: int, op: Operator) -> Row:
        code = (op.type, op.domain, op.version)
        if op.domain not in ("", CUSTOM_DOMAIN) or (not op.domain and op.type not in schema().options):
            advice = "custom ones have the domain 'custom'"
            raise GraphError(
                f"operator {op.label!r} has the type {op.type!r}, which is no TFLite operator ({advice})"
            )
        custom = op.attrs.get("custom_options")
        if isinstance(custom, bytes) and b"bytecode_offset" in custom:
            problem = (
                f"operator {op.label!r} ({op.type}) holds code for one chip at a fixed place of its file"
            )
            raise GraphError(f"{problem}: change the model before it is compiled")
        sides = {
            side: [
                -1 if name is None else self._index(graph, name, f"operator {op.label!r}")
                for name in getattr(op, side)
            ]
            for side in ("inputs", "outputs")
        }
        row: Row = {"opcode_index": self.codes.setdefault(code, len(self.codes)), **sides}
        row["custom_options"] = custom
        row["mutating_variable_inputs"] = op.attrs.get("mutating_variable_inputs")
        large = op.attrs.get("large_custom_options")
        if large is not None:
            row.update(large_custom_options_offset=large, large_custom_options_size=size_of(large))
        if op.attrs.get("intermediates"):
            what = f"operator {op.label!r}"
            row["intermediates"] = [
                -1 if name is None else self._index(graph, name, what) for name in op.attrs["intermediates"]
            ]
        self._add_options(row, op)
        return row

    def _add_options(self, row: Row, op: Operator) -> None:
        table = op.attrs.get("options") or (None if op.domain else schema().options[op.type])
        options = {name: value for name, value in op.attrs.items() if name not in EXTRAS}
        absent = "options" in op.attrs and op.attrs["options"] is None
        known = schema().defaults[table] if table else {}
        wrong = sorted(options.keys() - known.keys())
        if wrong:
            raise GraphError(
                f"operator {op.label!r} has the attributes {wrong}, which {op.type} does not "
                f"have (it has {sorted(known)})"
            )
        if not table or (absent and options == known):
            return
        if not op.domain:
            options.update(self._bodies(op))
        row[schema().union_of(table)[0]] = (table, options)

    def _bodies(self, op: Operator) -> dict[str, Any]:
        """The options that hold the numbers of an operator's bodies."""
        options: dict[str, Any] = {}
        for name in BODIES.get(op.type, ()):
            stem = body_key(name)
            if stem in op.graphs:
                options[name] = self._body(op.graphs[stem])
            elif f"{stem}_0" in op.graphs:
                count = sum(key.startswith(f"{stem}_") for key in op.graphs)
                options[name] = [self._body(op.graphs[f"{stem}_{number}"]) for number in range(count)]
        return options

    def _body(self, body: Graph) -> int:
        return next(index for index, graph in enumerate(self.graphs) if _same(graph, body))


def _subgraphs(model: Model, stored: Stored | None) -> list[Graph]:
    """Every subgraph once, those that were read in their order: copies that are alike are one."""
    found: list[Graph] = [model.graph]
    waiting = [graph for name, graph in model.graphs.items() if name != model.graph.name]
    pending = [model.graph]
    while pending or waiting:
        graph = (pending or waiting).pop(0)
        if graph is not model.graph:
            if any(_same(graph, other) for other in found):
                continue
            found.append(graph)
        pending += [body for op in graph.ops() for body in op.graphs.values()]
    if stored:
        have = {graph.attrs.get("index") for graph in found}
        found += [
            graph
            for index, graph in enumerate(stored.graphs)
            if index not in have and index not in stored.called and index
        ]
    head, rest = found[0], found[1:]
    return [head, *sorted(rest, key=lambda graph: graph.attrs.get("index", len(found)))]


def _same(one: Graph, other: Graph) -> bool:
    """Whether two bodies are the same subgraph, or a copy of it that was not edited."""
    if one is other:
        return True
    if one.attrs.get("index") is None or one.attrs.get("index") != other.attrs.get("index"):
        return False
    if (one.inputs, one.outputs) != (other.inputs, other.outputs) or len(one) != len(other):
        return False
    if any(one.tensors.get(name) is not tensor for name, tensor in other.tensors.items()):
        return False
    return all(_same_op(left, right) for left, right in zip(one.ops(), other.ops(), strict=True))


def _same_op(left: Operator, right: Operator) -> bool:
    if left is right:
        return True
    alike = all(
        getattr(left, name) == getattr(right, name) for name in ("id", "type", "inputs", "outputs", "version")
    )
    bodies = left.graphs.keys() == right.graphs.keys() and all(
        _same(body, right.graphs[key]) for key, body in left.graphs.items()
    )
    return alike and bodies and left.attrs is right.attrs


def _tensors(graph: Graph, stored: Stored | None) -> list[Tensor]:
    """A graph's tensors in the stored order, new ones last, with those that only attributes name."""
    last = len(graph.tensors) + (1 << 31)
    own = [tensor for tensor in graph.tensors.values() if tensor.attrs.get("again") not in graph.tensors]
    tensors = sorted(own, key=lambda tensor: tensor.attrs.get("index", last))
    index = graph.attrs.get("index")
    kept = stored.tensors[index] if stored and index is not None and index < len(stored.tensors) else {}
    named: dict[str, None] = {}
    for op in graph.ops():
        named.update((name, None) for name in op.attrs.get("intermediates") or () if name)
    for tensor in tensors:
        details = tensor.attrs.get("quantization_details")
        named.update(
            (details[1][key], None) for key in ("scales", "zero_points") if details and details[1].get(key)
        )
    return tensors + [kept[name] for name in named if name not in graph.tensors and name in kept]


def _stored_name(tensor: Tensor) -> str:
    """The name to store: the one that was read where the graph's is only there to be unique."""
    stored, index = tensor.attrs.get("name"), tensor.attrs.get("index")
    derived = (f"{stored}#{index}", f"t{index}")
    return str(stored) if stored is not None and tensor.name.rstrip("'") in derived else tensor.name


def _shape(tensor: Tensor, *, ranked: bool) -> Row:
    """The fields for a shape; unknown dimensions keep their stored size, or are 1."""
    attrs = tensor.attrs
    if tensor.shape is None:
        return {"shape": (), "has_rank": False}
    kept = attrs.get("stored_shape", ())
    if len(kept) != len(tensor.shape):
        kept = (1,) * len(tensor.shape)
    sizes = tuple(dim if isinstance(dim, int) else size for dim, size in zip(tensor.shape, kept, strict=True))
    signature = tuple(dim if isinstance(dim, int) else -1 for dim in tensor.shape)
    row: Row = {"shape": sizes, "has_rank": bool(attrs.get("has_rank", ranked and "index" not in attrs))}
    if attrs.get("shape_signature") == signature or (-1 in signature and -1 not in sizes):
        row["shape_signature"] = signature
    return row


def _code_row(type_: str, domain: str, version: int) -> Row:
    name = "CUSTOM" if domain else type_
    number = schema().numbers["BuiltinOperator"][name]
    return {
        "deprecated_builtin_code": min(number, FALLBACK),
        "builtin_code": name,
        "custom_code": type_ if domain else None,
        "version": version,
    }
