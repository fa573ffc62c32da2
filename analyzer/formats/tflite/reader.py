"""TFLite files to graphs, without TensorFlow: structure is decoded, weights stay in the file.

Dialect ``tflite``. An operator's type is its builtin name (``CONV_2D``), or its custom code with the domain
``custom``. Its attributes are all fields of its options table by schema name, enums as their names, and where
the file has them ``custom_options`` (bytes, a ``Constant`` when large), ``intermediates`` (tensor names) and
``mutating_variable_inputs``. Where the options table is absent or another operator's, ``options`` holds None
or its name. Operators that call subgraphs hold them in ``graphs`` by the option's name without
``_subgraph_index``. A tensor that is written more than once is one tensor for each value, the later ones with
the attribute ``again``.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import GraphError, ModelError
from ...ir.graph import Constant, Graph, Operator, Quantization, Source, Tensor
from ...ir.model import Model
from .flat import Broken, Buffer, Flat, Row
from .schema import CUSTOM_DOMAIN, DTYPES, schema
from .sparse import dense_constant

if TYPE_CHECKING:
    from collections.abc import Mapping

DAMAGED = "the file is damaged, or newer than this accelint: export it again"
LARGE = 1 << 20
"""Custom options of more bytes stay in the file."""
MAX_DEPTH = 64
MAX_EXPANDED = 10_000_000
"""Limits on the nesting of subgraphs and on the operators that calling them repeatedly amounts to."""

BODIES: Mapping[str, tuple[str, ...]] = {
    "CALL": ("subgraph",),
    "CALL_ONCE": ("init_subgraph_index",),
    "IF": ("then_subgraph_index", "else_subgraph_index"),
    "WHILE": ("cond_subgraph_index", "body_subgraph_index"),
    "STABLEHLO_WHILE": ("cond_subgraph_index", "body_subgraph_index"),
    "STABLEHLO_REDUCE": ("body_subgraph_index",),
    "STABLEHLO_REDUCE_WINDOW": ("body_subgraph_index",),
    "STABLEHLO_SORT": ("comparator_subgraph_index",),
    "STABLEHLO_SCATTER": ("update_computation_subgraph_index",),
    "STABLEHLO_COMPOSITE": ("decomposition_subgraph_index",),
    "STABLEHLO_CASE": ("branch_subgraph_indices",),
    "STABLEHLO_CUSTOM_CALL": ("called_computations",),
}
"""The options that hold the index of a subgraph (or several)."""


@dataclass
class Stored:
    """What the writer carries over: every subgraph in order, and what no graph holds."""

    graphs: tuple[Graph, ...]
    version: int
    codes: tuple[tuple[str, str, int], ...]
    spans: tuple[tuple[int, int] | None, ...]
    """Offset and length of each buffer."""
    metadata: tuple[tuple[str, int], ...]
    """Name and buffer of each metadata entry."""
    metadata_buffer: tuple[int, ...] | None
    external_groups: tuple[Row, ...]
    external: tuple[Row, ...]
    tensors: tuple[Mapping[str, Tensor], ...]
    """The tensors of each subgraph as they were read."""
    called: frozenset[int]
    """Subgraphs that an operator calls."""
    ranked: bool
    """Whether the exporter knew the field ``has_rank``."""
    apart: bool
    """Whether buffers have their content outside of the FlatBuffer."""


def read(path: str | Path) -> Model:
    """The model in a TFLite file; its weights are not read. Raises ModelError for everything that is wrong
    with it.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _model(data, path, in_file=True)
    except (OSError, ValueError) as error:
        if isinstance(error, Broken):
            raise ModelError(path, f"not a valid TFLite file: {error}", DAMAGED) from error
        raise ModelError(path, f"cannot be read: {error}", "check that it is a file with content") from error


def from_bytes(data: bytes, path: str | Path = "<bytes>") -> Model:
    """The model in these bytes; ``path`` only names it in errors. Constants keep ``data`` alive."""
    try:
        return _model(data, Path(path), in_file=False)
    except Broken as error:
        raise ModelError(path, f"not a valid TFLite file: {error}", DAMAGED) from error


def _model(data: Buffer, path: Path, *, in_file: bool) -> Model:
    flat = Flat(data)
    try:
        return _Reader(flat, path, in_file).model()
    except GraphError as error:
        raise Broken(error.message) from error


class _Reader:
    """Decoded tables to graphs."""

    def __init__(self, flat: Flat, path: Path, in_file: bool) -> None:
        self.flat, self.data, self.path, self.in_file = flat, flat.data, path, in_file
        self.root = root = flat.root("Model", b"TFL3")
        self.rows: tuple[Row, ...] = root["subgraphs"] or ()
        self.buffers = [self._buffer(index, row) for index, row in enumerate(root["buffers"] or ())]
        self.codes = [_code(row) for row in root["operator_codes"] or ()]
        self.external = {row["id"]: row for row in root["external_buffers"] or ()}
        self.ranked = any(tensor["has_rank"] for row in self.rows for tensor in row["tensors"] or ())
        self.graphs: list[Graph] = []
        self.names: list[list[str]] = []
        self.final: list[list[str]] = []
        self.called: set[int] = set()

    def model(self) -> Model:
        if not self.rows:
            raise Broken("no subgraph in the model")
        order = self._order()
        for index, name in enumerate(self._graph_names()):
            self.graphs.append(Graph(name, "tflite"))
            self.names.append(self._tensors(index))
            self.final.append(list(self.names[-1]))
        for index in order:
            self._operators(index)
        for graph in self.graphs:
            graph.ops()
        signatures = [self._signature(row) for row in self.root["signature_defs"] or ()]
        entries = {self.graphs[0].name: self.graphs[0]}
        entries.update(
            (graph.name, graph) for graph in (self.graphs[item["subgraph_index"]] for item in signatures)
        )
        return Model(
            self.path,
            "tflite",
            self.graphs[0],
            entries,
            metadata=self._metadata(signatures),
            stored=self._stored(),
        )

    # ---- the file ------------------------------------------------------------------------

    def _buffer(self, index: int, row: Row) -> tuple[int, int] | None:
        """Offset and length of a buffer's content, None when it has none; a content of no bytes is one."""
        if row["data"] is not None and not (row["offset"] > 1 and row["size"]):
            return row["data"][0], row["data"][1]
        if row["offset"] > 1 and row["size"]:
            if row["offset"] + row["size"] > len(self.data):
                raise Broken(
                    f"buffer {index} has {row['size']} bytes at byte {row['offset']} of {len(self.data)}"
                )
            return row["offset"], row["size"]
        return None

    def _constant(self, span: tuple[int, int], dtype: str, shape: tuple[int, ...]) -> Constant:
        offset, length = span
        if self.in_file:
            return Constant(dtype, shape, self.path, offset, length)
        data = self.data
        return Constant(
            dtype, shape, offset=offset, length=length, loader=lambda: bytes(data[offset : offset + length])
        )

    def _outside(self, id: int, dtype: str, shape: tuple[int, ...]) -> Constant:
        """A constant in a file of its own beside the model."""
        row = self.external.get(id)
        groups = self.root["external_buffer_groups"] or ()
        if row is None or row["group"] >= len(groups):
            raise Broken(f"external buffer {id} is not in the model's list")
        name = groups[row["group"]]["name"] or ""
        file = (self.path.parent / name).resolve()
        if not name or not file.is_relative_to(self.path.parent.resolve()):
            raise ModelError(
                self.path, f"its weights are in {name!r}, outside its folder", "put the file beside the model"
            )
        if not file.is_file():
            raise ModelError(
                self.path, f"its weights file {name!r} is missing", "put the file beside the model"
            )
        if row["offset"] + row["length"] > file.stat().st_size:
            raise ModelError(
                self.path, f"its weights file {name!r} is too short for external buffer {id}", "copy it again"
            )
        return Constant(dtype, shape, file, row["offset"], row["length"])

    def _metadata(self, signatures: list[Row]) -> dict[str, Any]:
        values: dict[str, Constant] = {}
        for row in self.root["metadata"] or ():
            span = self.buffers[_within(row["buffer"], self.buffers, "buffer of the metadata")]
            values[row["name"] or ""] = (
                self._constant(span, "uint8", (span[1],)) if span else Constant("uint8", (0,), inline=b"")
            )
        named = {
            item["key"]: {
                "graph": self.graphs[item["subgraph_index"]].name,
                "inputs": item["inputs"],
                "outputs": item["outputs"],
            }
            for item in signatures
        }
        return {
            "version": self.root["version"],
            "description": self.root["description"] or "",
            "signatures": named,
            "metadata": values,
        }

    def _signature(self, row: Row) -> Row:
        index = _within(row["subgraph_index"], self.rows, "subgraph of a signature")
        sides = {
            side: {
                item["name"] or "": names[_within(item["tensor_index"], names, "tensor of a signature")]
                for item in row[side] or ()
            }
            for side, names in (("inputs", self.names[index]), ("outputs", self.final[index]))
        }
        return {"key": row["signature_key"] or "", "subgraph_index": index, **sides}

    def _stored(self) -> Stored:
        return Stored(
            graphs=tuple(self.graphs),
            version=self.root["version"],
            codes=tuple(self.codes),
            spans=tuple(self.buffers),
            metadata=tuple((row["name"] or "", row["buffer"]) for row in self.root["metadata"] or ()),
            metadata_buffer=self.root["metadata_buffer"],
            external_groups=self.root["external_buffer_groups"] or (),
            external=self.root["external_buffers"] or (),
            tensors=tuple(dict(graph.tensors) for graph in self.graphs),
            called=frozenset(self.called),
            ranked=self.ranked,
            apart=any(row["offset"] > 1 for row in self.root["buffers"] or ()),
        )

    # ---- subgraphs -----------------------------------------------------------------------

    def _graph_names(self) -> list[str]:
        names = ["main"]
        for index, row in enumerate(self.rows[1:], 1):
            name = row["name"] or ""
            names.append(name if name and name not in names and "/" not in name else f"sg{index}")
        return names

    def _calls(self, row: Row) -> list[int]:
        """The subgraphs that an operator calls."""
        type_, domain, _ = self.codes[_within(row["opcode_index"], self.codes, "operator code")]
        fields = () if domain else BODIES.get(type_, ())
        options = _options(row)
        found: list[int] = []
        for name in fields:
            value = options.get(name, 0)
            found += value if isinstance(value, tuple) else [] if value is None else [value]
        return [_within(index, self.rows, f"subgraph of {type_}") for index in found]

    def _order(self) -> list[int]:
        """Subgraphs, called ones before their callers; raises when they call each other in a circle or too
        deep.
        """
        calls = [[index for op in row["operators"] or () for index in self._calls(op)] for row in self.rows]
        self.called.update(index for row in calls for index in row)
        state = [0] * len(self.rows)
        depth, size = [1] * len(self.rows), [len(row["operators"] or ()) for row in self.rows]
        order: list[int] = []
        for start in range(len(self.rows)):
            stack = [] if state[start] else [(start, iter(set(calls[start])))]
            while stack:
                index, rest = stack[-1]
                state[index] = 1
                below = next(rest, None)
                if below is not None:
                    if state[below] == 1:
                        raise Broken(f"subgraph {below} calls itself")
                    if state[below] == 0:
                        stack.append((below, iter(set(calls[below]))))
                    continue
                stack.pop()
                state[index] = 2
                order.append(index)
                depth[index] += max((depth[item] for item in calls[index]), default=0)
                size[index] += sum(size[item] for item in calls[index])
                if depth[index] > MAX_DEPTH or size[index] > MAX_EXPANDED:
                    raise Broken("subgraphs nested beyond reason")
        return order

    def _tensors(self, index: int) -> list[str]:
        """Add a subgraph's tensors and interface; returns their names in the graph."""
        row, graph = self.rows[index], self.graphs[index]
        rows: tuple[Row, ...] = row["tensors"] or ()
        names = _unique_names(rows)
        graph.attrs.update(index=index, name=row["name"] or "")
        written = self._written(row)
        for position, tensor in enumerate(rows):
            graph.add_tensor(self._tensor(position, names, tensor, written=position in written))
        sides = [
            [names[_within(item, names, f"tensor of subgraph {index}")] for item in row[side] or ()]
            for side in ("inputs", "outputs")
        ]
        graph.set_interface(*sides)
        return names

    def _written(self, row: Row) -> set[int]:
        """Positions of the tensors that get their values in a run, where a buffer has no bytes."""
        if all(span is None or span[1] for span in self.buffers):
            return set()
        return {
            *(row["inputs"] or ()),
            *(item for op in row["operators"] or () for item in op["outputs"] or ()),
        }

    def _tensor(self, position: int, names: list[str], row: Row, *, written: bool) -> Tensor:
        name = names[position]
        dtype = DTYPES[row["type"]]
        stored: tuple[int, ...] = row["shape"] or ()
        attrs: dict[str, Any] = {"index": position}
        if (row["name"] or "") != name:
            attrs["name"] = row["name"] or ""
        if row["buffer"]:
            attrs["buffer"] = row["buffer"]
        if row["has_rank"]:
            attrs["has_rank"] = True
        if row["is_variable"]:
            attrs["is_variable"] = True
        if row["variant_tensors"]:
            attrs["variant_tensors"] = row["variant_tensors"]
        if row["shape_signature"] is not None:
            attrs["shape_signature"] = row["shape_signature"]
        span = (
            self.buffers[_within(row["buffer"], self.buffers, f"buffer of tensor {position}")]
            if row["buffer"] or self.buffers
            else None
        )
        const = None
        if row["external_buffer"]:
            attrs["external_buffer"] = row["external_buffer"]
            const = self._outside(row["external_buffer"], dtype, stored)
        elif span is not None and (span[1] or (0 in stored and not written and not row["is_variable"])):
            const = self._constant(span, dtype, stored)
        if row["sparsity"] is not None:
            attrs["sparsity"] = row["sparsity"]
            if const is not None:
                attrs["sparse_data"] = const
                const = dense_constant(const, row["sparsity"])
        quant = None if row["quantization"] is None else _quantization(row["quantization"], attrs, names)
        return Tensor(name, dtype, self._shape(row, stored, attrs, const), const, quant, attrs)

    def _shape(
        self, row: Row, stored: tuple[int, ...], attrs: dict[str, Any], const: Constant | None
    ) -> tuple[int | None, ...] | None:
        """The shape with unknown dimensions as None; None for an unknown rank.

        ``has_rank`` tells a scalar from an unknown rank, but only in files whose exporter knew that field.
        """
        if not stored and self.ranked and not row["has_rank"] and const is None:
            return None
        signature = row["shape_signature"]
        if signature is not None and len(signature) == len(stored) and min(signature, default=0) < 0:
            attrs["stored_shape"] = stored
            return tuple(
                [None if sign < 0 or dim < 0 else dim for sign, dim in zip(signature, stored, strict=True)]
            )
        if stored and min(stored) < 0:
            attrs["stored_shape"] = stored
            return tuple([None if dim < 0 else dim for dim in stored])
        return stored

    # ---- operators -----------------------------------------------------------------------

    def _operators(self, index: int) -> None:
        graph, names = self.graphs[index], self.names[index]
        source = Source(str(self.path))
        prefix, last = graph.name, len(names)
        current, written = self.final[index], set(graph.inputs)
        for position, row in enumerate(self.rows[index]["operators"] or ()):
            type_, domain, version = self.codes[row["opcode_index"]]
            sides = []
            for side in ("inputs", "outputs"):
                chosen: list[str | None] = []
                for item in row[side] or ():
                    if item < -1 or item >= last:
                        raise Broken(f"operator {position} of subgraph {index} names tensor {item} of {last}")
                    if item >= 0 and side == "outputs" and current[item] in written:
                        current[item] = self._again(graph, names[item], position)
                    chosen.append(None if item < 0 else current[item])
                sides.append(tuple(chosen))
            written.update(name for name in sides[1] if name)
            attrs = self._attributes(row, type_, domain, names)
            bodies = self._bodies(attrs, type_) if not domain and type_ in BODIES else {}
            op = Operator(
                f"{prefix}/{position}", type_, sides[0], sides[1], attrs, "", domain, version, bodies, source
            )
            graph.add_op(op)
        if current != names:
            graph.set_interface(graph.inputs, [current[item] for item in self.rows[index]["outputs"] or ()])

    def _again(self, graph: Graph, name: str, position: int) -> str:
        """A new name for a tensor that an operator overwrites (memory that is shared on purpose): each value
        has one writer.
        """
        tensor = graph.tensor(name)
        fresh = f"{name}@{position}"
        while fresh in graph.tensors:
            fresh += "'"
        graph.add_tensor(replace(tensor, name=fresh, attrs={**tensor.attrs, "again": name}))
        return fresh

    def _attributes(self, row: Row, type_: str, domain: str, names: list[str]) -> dict[str, Any]:
        union = row["builtin_options"] or row["builtin_options_2"]
        if union is None:
            attrs = {} if domain else schema().option_defaults(type_)
            if attrs or schema().options.get(type_):
                attrs["options"] = None
        else:
            attrs = union[1]
            if union[0] != schema().options.get(type_):
                attrs["options"] = union[0]
        if row["custom_options"] is not None:
            span = row["custom_options"]
            attrs["custom_options"] = (
                self.flat.take(span) if span[1] <= LARGE else self._constant(span, "uint8", (span[1],))
            )
        if row["large_custom_options_offset"] > 1:
            span = row["large_custom_options_offset"], row["large_custom_options_size"]
            if sum(span) > len(self.data):
                raise Broken(f"custom options of {span[1]} bytes at byte {span[0]} of {len(self.data)}")
            attrs["large_custom_options"] = self._constant(span, "uint8", (span[1],))
        if row["intermediates"]:
            chosen = (
                None if item < 0 else names[_within(item, names, "intermediate tensor")]
                for item in row["intermediates"]
            )
            attrs["intermediates"] = tuple(chosen)
        if row["mutating_variable_inputs"]:
            attrs["mutating_variable_inputs"] = row["mutating_variable_inputs"]
        return attrs

    def _bodies(self, attrs: Mapping[str, Any], type_: str) -> dict[str, Graph]:
        bodies: dict[str, Graph] = {}
        for name in BODIES[type_]:
            value = attrs.get(name)
            stem = body_key(name)
            if isinstance(value, tuple):
                bodies.update((f"{stem}_{number}", self.graphs[index]) for number, index in enumerate(value))
            elif value is not None:
                bodies[stem] = self.graphs[value]
        return bodies


def body_key(option: str) -> str:
    """The key in ``Operator.graphs`` of an option that holds a subgraph index: ``then_subgraph_index`` is
    ``then``.
    """
    return {"branch_subgraph_indices": "branch", "called_computations": "computation"}.get(
        option, option.removesuffix("_subgraph_index")
    )


def _within(index: int, rows: Any, what: str) -> int:
    """The index, checked. Raises Broken when there is no such row."""
    if not 0 <= index < len(rows):
        raise Broken(f"{what}: index {index} of {len(rows)}")
    return index


def _options(row: Row) -> Row:
    union = row["builtin_options"] or row["builtin_options_2"]
    return union[1] if union else {}


def _code(row: Row) -> tuple[str, str, int]:
    """Type, domain and version. Old files have the code in the byte field, new ones a placeholder there."""
    number = max(row["deprecated_builtin_code"], schema().numbers["BuiltinOperator"][row["builtin_code"]])
    name = schema().enums["BuiltinOperator"].get(number)
    if name is None:
        raise Broken(
            f"the operator code {number}, which the TFLite schema of {schema().source['date']} does not have"
        )
    if name == "CUSTOM":
        return row["custom_code"] or "", CUSTOM_DOMAIN, row["version"]
    return name, "", row["version"]


def _unique_names(rows: tuple[Row, ...]) -> list[str]:
    """One name for each tensor: stored names where they are unique, ``name#12`` or ``t12`` where not."""
    used: set[str] = {row["name"] for row in rows if row["name"]}
    seen: set[str] = set()
    names = []
    for index, row in enumerate(rows):
        name = row["name"]
        if not name or name in seen:
            name = f"{name}#{index}" if name else f"t{index}"
            while name in used:
                name += "'"
            used.add(name)
        seen.add(name)
        names.append(name)
    return names


def _quantization(row: Row, attrs: dict[str, Any], names: list[str]) -> Quantization | None:
    for key in ("min", "max"):
        if row[key]:
            attrs[key] = row[key]
    scale, zero_point = row["scale"] or (), row["zero_point"] or ()
    axis = row["quantized_dimension"]
    if row["details"] is not None:
        kind, details = row["details"]
        attrs["quantization_details"] = kind, _named(details, names)
        attrs["quantization"] = {"scale": scale, "zero_point": zero_point, "quantized_dimension": axis}
        axes = details.get("quantized_dimensions")
        axis = axes[-1] if axes else axis
        return Quantization(scale, zero_point, axis, details.get("block_size") or None)
    if not scale and not zero_point:
        attrs["quantization"] = {"quantized_dimension": axis} if axis else {}
        return None
    return Quantization(scale, zero_point, axis if len(scale) > 1 or axis else None)


def _named(details: Row, names: list[str]) -> Row:
    """Quantization details with tensor indices as names."""
    named = dict(details)
    for key in ("scales", "zero_points"):
        if key in named:
            named[key] = None if named[key] < 0 else names[_within(named[key], names, f"tensor of {key}")]
    return named
