"""Which TensorFlow nodes a TFLite operator came from, told by the names the converter leaves.

The converter names a tensor after the nodes that it was made from, joined by ``;`` when it fused them, and
appends a number without a separator when a name is supported (``probs/MatMul2``). A model's outputs are
renamed to the exported signature's tensors (``StatefulPartitionedCall:0``). So an operator is mapped by the
names of what it writes:

- ``name``: a written tensor carries names of nodes of the source model;
- ``output``: it writes a model output, whose node the source model's signature tells;
- ``input``: it writes nothing (an assignment), and what it reads carries the names;
- ``inserted``: quantization and initialization without names of their own stand for no node;
- else it is unmapped, and counted as such.

Nodes that no name mentions went into the operator that their result leads to (``absorbed``) or were computed
during conversion (``folded``).
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from ..ir.graph import Graph, Operator
from ..ir.model import Model

_INSERTED = ("QUANTIZE", "DEQUANTIZE", "DENSIFY", "CALL_ONCE")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one TFLite operator comes from."""

    nodes: tuple[str, ...]
    how: str
    """``name``, ``output``, ``input``, ``inserted``, ``position`` or ``unmapped``."""


@dataclass(frozen=True, slots=True)
class OpMap:
    """Both directions of the mapping; operators by id, nodes by name.

    Attributes:
        origins: every operator of the converted model.
        absorbed: unnamed nodes, with the operators that their result leads to; none when it is ``folded``.
        sources: the operator of the source model by node name.
    """

    origins: Mapping[str, Origin]
    absorbed: Mapping[str, tuple[str, ...]]
    sources: Mapping[str, Operator]

    def source(self, id: str) -> Operator | None:
        """The source operator that an operator mostly is: the first named one."""
        origin = self.origins.get(id)
        return (
            next((self.sources[node] for node in origin.nodes if node in self.sources), None)
            if origin
            else None
        )

    @property
    def unmapped(self) -> tuple[str, ...]:
        """Ids of the operators whose origin is unknown."""
        return tuple(id for id, origin in self.origins.items() if origin.how == "unmapped")

    def counts(self) -> dict[str, int]:
        """Operators by how they were mapped, nodes absorbed and folded."""
        found: dict[str, int] = {}
        for origin in self.origins.values():
            found[origin.how] = found.get(origin.how, 0) + 1
        found["absorbed"] = sum(1 for ids in self.absorbed.values() if ids)
        found["folded"] = sum(1 for ids in self.absorbed.values() if not ids)
        return found


def op_map(source: Graph, converted: Model) -> OpMap:
    """Map the operators of a converted model to the nodes of the graph that it was converted from."""
    sources = {op.name: op for _, op in source.walk()}
    known = set(sources) | {
        str(tensor.attrs["node"]) for tensor in source.tensors.values() if "node" in tensor.attrs
    }
    results = _results(source, converted)
    origins = {op.id: _origin(op, known, results) for _, op in converted.operators()}
    return OpMap(origins, _absorbed(source, origins), sources)


def spelled_map(source: Graph, converted: Model) -> OpMap:
    """Map the operators of a Core ML program to TensorFlow nodes.

    coremltools names a result after its node with every other character as ``_``, puts the calls before it
    and adds what its passes did (``_cast_fp16``, ``_0``, ``x``); what a pass inserts (``transpose_3``) is
    named after no node.
    """
    sources = {op.name: op for _, op in source.walk()}
    spelled = {_spelled(name): name for name in reversed(sources)}
    origins: dict[str, Origin] = {}
    for _, op in converted.operators():
        node = next((found for name in op.outputs if name and (found := _respelled(name, spelled))), None)
        origins[op.id] = Origin((node,), "name") if node else Origin((), "unmapped")
    return OpMap(origins, _absorbed(source, origins), sources)


def written_map(source: Graph, converted: Model) -> OpMap:
    """Map the operators of a converted model to those of an ONNX model, by the names of what these write
    and their own.

    Converters keep one or the other, spelled as their format wants it, behind the calls that they are in.
    """
    sources = {op.name: op for _, op in source.walk()}
    spelled = {_spelled(name): name for name in reversed(sources)}
    spelled |= {_spelled(out): op.name for _, op in source.walk() for out in op.outputs if out}
    origins: dict[str, Origin] = {}
    for _, op in converted.operators():
        names = [re.sub(r"__\d+(?=$|_cast)", "", name) for name in op.outputs if name]
        parts = [part for name in names for part in (*name.split(";"), *re.split("[;/]", name))]
        node = next((found for part in parts if (found := _respelled(_spelled(part), spelled))), None)
        origins[op.id] = Origin((node,), "name") if node else Origin((), "unmapped")
    _paired(source, converted, origins)
    return OpMap(origins, _absorbed(source, origins), sources)


_KINDS = {
    "Conv": ("conv", "CONV_2D", "DEPTHWISE_CONV_2D", "CONV_3D"),
    "ConvTranspose": ("conv_transpose", "TRANSPOSE_CONV"),
    "MatMul": ("matmul", "BATCH_MATMUL", "FULLY_CONNECTED"),
    "Gemm": ("linear", "FULLY_CONNECTED"),
    "Softmax": ("softmax", "SOFTMAX"),
    "MaxPool": ("max_pool", "MAX_POOL_2D"),
    "AveragePool": ("avg_pool", "AVERAGE_POOL_2D"),
    "LayerNormalization": ("layer_norm",),
    "Concat": ("concat", "CONCATENATION"),
    "Resize": (
        "resize",
        "resize_bilinear",
        "resize_nearest_neighbor",
        "RESIZE_BILINEAR",
        "RESIZE_NEAREST_NEIGHBOR",
    ),
    "Gather": ("gather", "GATHER"),
    "TopK": ("topk", "TOPK_V2"),
    "CumSum": ("cumsum", "CUMSUM"),
}
"""What an ONNX operator is in other dialects, where one becomes one."""


def _paired(source: Graph, converted: Model, origins: dict[str, Origin]) -> None:
    """Operators of a type of which both have as many are the same ones, in order, where names do not tell."""
    ops = [op for _, op in converted.operators()]
    for kind, others in _KINDS.items():
        mine = [op for op in source.ops() if op.type == kind]
        theirs = [op for op in ops if op.type in others]
        if len(mine) != len(theirs):
            continue
        for one, other in zip(mine, theirs, strict=True):
            if origins[other.id].how == "unmapped":
                origins[other.id] = Origin((one.name,), "position")


def _spelled(name: str) -> str:
    return re.sub(r"\W", "_", name)


def _respelled(name: str, spelled: Mapping[str, str]) -> str | None:
    """The node whose spelling is the longest that the name ends with, but for what passes add at its end."""
    ends = [name]
    while match := re.search(r"(_cast_fp16|_cast_fp32|_perm|_\d+|x|\d)$", ends[-1]):
        ends.append(ends[-1][: match.start()])
    for end in ends:
        parts = end.split("_")
        for start in range(len(parts)):
            node = spelled.get("_".join(parts[start:]))
            if node is not None:
                return node
    return None


def _results(source: Graph, converted: Model) -> dict[str, str]:
    """The source node by output tensor of the converted main graph, through the signature's output names."""
    writers = [source.producer(name) for name in source.outputs]
    unnamed = tuple(f"output_{index}" for index in range(len(writers)))
    by_key = dict(zip(source.attrs.get("signature_outputs", unnamed), writers, strict=False))
    keys = signature_outputs(converted)
    found = {tensor: by_key[key] for key, tensor in keys.items() if key in by_key}
    return {tensor: op.name for tensor, op in found.items() if op is not None}


def signature_outputs(converted: Model) -> dict[str, str]:
    """Output tensor by signature name of the converted model's main signature."""
    signatures: Mapping[str, Mapping[str, Mapping[str, str]]] = converted.metadata.get("signatures", {})
    return next((dict(signature["outputs"]) for signature in signatures.values()), {})


def _origin(op: Operator, known: set[str], results: Mapping[str, str]) -> Origin:
    names = [name for name in op.outputs if name]
    nodes = _named(names, known)
    if nodes:
        return Origin(nodes, "name")
    if op.type in _INSERTED:
        return Origin((), "inserted")
    written = dict.fromkeys(
        results[found] for name in names if (found := _numbered(name, results)) is not None
    )
    if written:
        return Origin(tuple(written), "output")
    read = () if names else _named([name for name in reversed(op.inputs) if name], known)
    return Origin(read, "input") if read else Origin((), "unmapped")


def _named(tensors: Iterable[str], known: set[str]) -> tuple[str, ...]:
    parts = [part for tensor in tensors for part in tensor.split(";")]
    return tuple(dict.fromkeys(node for part in parts if (node := _node(part, known)) is not None))


def _node(part: str, known: set[str]) -> str | None:
    """The known node that a name means, without its output index and the converter's number; the longest one
    that fits.
    """
    name = part.strip()
    stem, _, index = name.rpartition(":")
    return _numbered(stem if stem and index.isdigit() else name, known)


def _numbered(name: str, known: Container[str]) -> str | None:
    """The longest known name that is this one, or this one without digits at its end."""
    while name not in known:
        if not name or not name[-1].isdigit():
            return None
        name = name[:-1]
    return name


def _absorbed(source: Graph, origins: Mapping[str, Origin]) -> dict[str, tuple[str, ...]]:
    """Where every node that no operator names went: into the operators of the nodes that read it."""
    homes: dict[str, set[str]] = {}
    for id, origin in origins.items():
        for node in origin.nodes:
            homes.setdefault(node, set()).add(id)
    found: dict[str, tuple[str, ...]] = {}
    folded = _folded(source)
    for op in reversed(source.ops()):
        if op.name in homes:
            continue
        readers = [reader for name in op.outputs for reader in source.consumers(name)]
        below = [homes.get(reader.name, set()) for reader in readers if op.id not in folded]
        homes[op.name] = set().union(*below)
        found[op.name] = tuple(sorted(homes[op.name]))
    return found


def _folded(graph: Graph) -> set[str]:
    """Ids of the operators whose result depends on constants alone: the converter computes them once and for
    all.
    """
    ids: set[str] = set()
    known = {tensor.name for tensor in graph.tensors.values() if tensor.const is not None}
    for op in graph.ops():
        if op.inputs and op.outputs and not op.graphs and all(name in known for name in op.inputs):
            ids.add(op.id)
            known.update(name for name in op.outputs if name)
    return ids


def mapped_share(maps: Iterable[OpMap]) -> float:
    """Share of operators with a known origin, inserted ones included; 1.0 without operators."""
    total = unmapped = 0
    for found in maps:
        total += len(found.origins)
        unmapped += len(found.unmapped)
    return 1.0 if not total else 1 - unmapped / total
