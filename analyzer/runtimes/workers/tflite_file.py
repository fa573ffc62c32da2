"""The structure of a TFLite file as a worker needs it: which operators there are, which are alike, and one of
them cut out alone.

Reads the flatbuffer in place with the schema that ``ai-edge-litert`` ships, so that large weights are never
unpacked.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ...partitioners.litert import SIDE_EFFECTS

if TYPE_CHECKING:
    from pathlib import Path

_BODIES = {
    "IF": ("thenSubgraphIndex", "elseSubgraphIndex"),
    "WHILE": ("condSubgraphIndex", "bodySubgraphIndex"),
    "CALL": ("subgraph",),
    "CALL_ONCE": ("initSubgraphIndex",),
}
_FIELDS = (
    *(field for fields in _BODIES.values() for field in fields),
    "decompositionSubgraphIndex",
    "comparatorSubgraphIndex",
)
_SMALL = 4096
"""Constants up to this many bytes (shapes, axes, paddings, scalars) make a difference to what a delegate
accepts; weights do not.
"""


@dataclass(frozen=True, slots=True)
class Op:
    """One operator: index in its subgraph, type as the runtime spells it, tensor indices (-1: omitted).

    ``effects``: it touches a resource or runs another graph, so it keeps its order among its like
    (``OpMightHaveSideEffect`` in LiteRT's ``tflite/core/subgraph.cc``).
    """

    index: int
    type: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    effects: bool = False


class TfliteFile:
    """One file; ``subgraph`` selects which graph its operators are taken from."""

    def __init__(self, path: Path, subgraph: int = 0) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self.schema = schema
        self.path = path
        self.subgraph = subgraph
        with path.open("rb") as stream:
            self._data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        if bytes(self._data[4:8]) != b"TFL3":
            raise ValueError(f"{path} is no TFLite file")
        self._model = schema.Model.GetRootAs(self._data, 0)
        self._graph = self._model.Subgraphs(subgraph)
        self._names = {value: key for key, value in vars(schema.BuiltinOperator).items() if key.isupper()}

    @cached_property
    def ops(self) -> tuple[Op, ...]:
        """Operators in file order, which is the order of execution."""
        result = []
        for index in range(self._graph.OperatorsLength()):
            item = self._graph.Operators(index)
            type_, reads, writes = (
                self._type(item.OpcodeIndex()),
                _ints(item.InputsAsNumpy()),
                _ints(item.OutputsAsNumpy()),
            )
            touches = any(
                self.dtype(each) == self.schema.TensorType.RESOURCE for each in (*reads, *writes) if each >= 0
            )
            result.append(Op(index, type_, reads, writes, touches or type_ in SIDE_EFFECTS))
        return tuple(result)

    @property
    def subgraphs(self) -> int:
        """Number of graphs in the file."""
        return int(self._model.SubgraphsLength())

    @cached_property
    def graph(self) -> str:
        """What the operators' ids begin with: ``main``, the subgraph's own name where that is usable, or
        ``sg2``.
        """
        names = ["main"]
        for index in range(1, self.subgraph + 1):
            name = (self._model.Subgraphs(index).Name() or b"").decode("utf-8", "replace")
            names.append(name if name and name not in names and "/" not in name else f"sg{index}")
        return names[self.subgraph]

    def called(self) -> list[TfliteFile]:
        """The other subgraphs that run when this one does (bodies of IF, WHILE, CALL and CALL_ONCE), in file
        order.
        """
        found, todo = {self.subgraph}, [self]
        while todo:
            file = todo.pop()
            for op in file.ops:
                for index in file._calls(op):
                    if index not in found and 0 <= index < self.subgraphs:
                        found.add(index)
                        todo.append(TfliteFile(self.path, index))
        return [TfliteFile(self.path, index) for index in sorted(found - {self.subgraph})]

    def _calls(self, op: Op) -> list[int]:
        fields = _BODIES.get(op.type, ())
        options = self._unpacked(self._graph.Operators(op.index)).builtinOptions if fields else None
        return [int(getattr(options, field)) for field in fields if hasattr(options, field)]

    @cached_property
    def inputs(self) -> tuple[int, ...]:
        """Tensor indices of the graph's inputs."""
        return _ints(self._graph.InputsAsNumpy())

    @cached_property
    def outputs(self) -> tuple[int, ...]:
        """Tensor indices of the graph's outputs."""
        return _ints(self._graph.OutputsAsNumpy())

    def name(self, tensor: int) -> str:
        """Stored name of a tensor."""
        raw = self._graph.Tensors(tensor).Name()
        return raw.decode("utf-8", "replace") if raw else f"tensor:{tensor}"

    def label(self, op: Op) -> str:
        """What to call an operator: its first output."""
        return next((self.name(item) for item in op.outputs if item >= 0), f"{op.type}:{op.index}")

    def constant(self, tensor: int) -> bool:
        """True when the file holds its value."""
        if tensor < 0:
            return True
        buffer = self._model.Buffers(self._graph.Tensors(tensor).Buffer())
        return bool(buffer is not None and (buffer.DataLength() or buffer.Size() > 1)) or self.external(
            tensor
        )

    def external(self, tensor: int) -> bool:
        """True when the value lies in another file."""
        found = getattr(self._graph.Tensors(tensor), "ExternalBuffer", None)
        return bool(found and found())

    def dtype(self, tensor: int) -> int:
        """The schema's ``TensorType``."""
        return int(self._graph.Tensors(tensor).Type())

    def stored_shape(self, tensor: int) -> tuple[int, ...]:
        """Sizes that the file stores; a signature may leave some of them open."""
        return _ints(self._graph.Tensors(tensor).ShapeAsNumpy())

    @cached_property
    def producers(self) -> dict[int, Op]:
        """By tensor index."""
        return {item: op for op in self.ops for item in op.outputs if item >= 0}

    def unpacks(self, op: Op) -> bool:
        """True for a DEQUANTIZE of a float16 constant: delegates read the float16 weights themselves."""
        return (
            op.type == "DEQUANTIZE"
            and bool(op.inputs)
            and self.dtype(op.inputs[0]) == self.schema.TensorType.FLOAT16
            and self.constant(op.inputs[0])
        )

    def between(self, reads: Collection[int], writes: Iterable[int]) -> set[int]:
        """Indices of the operators on the way from the tensors that a piece writes back to those that it
        reads.
        """
        todo, found = [item for item in writes if item >= 0], set()
        while todo:
            op = self.producers.get(todo.pop())
            if op is None or op.index in found:
                continue
            found.add(op.index)
            todo += [item for item in op.inputs if item >= 0 and item not in reads]
        return found

    def key(self, op: Op) -> str:
        """Equal for operators that a delegate cannot tell apart: type, version, options, and what is known of
        each tensor.
        """
        item = self._graph.Operators(op.index)
        code = self._model.OperatorCodes(item.OpcodeIndex())
        parts = [op.type, str(code.Version()), _plain(self._unpacked(item))]
        slots: dict[int, int] = {}
        for tensor in (*op.inputs, -2, *op.outputs):
            parts.append("/" if tensor == -2 else self._describe(tensor, slots))
        return hashlib.sha256("|".join(parts).encode()).hexdigest()[:24]

    def cut(self, op: Op) -> bytes:
        """A model of that operator alone, with its constants, fed by its other inputs. Float16 unpacking of
        its inputs goes along.
        """
        import flatbuffers

        unpacking = [
            self.producers[item]
            for item in op.inputs
            if item in self.producers and self.unpacks(self.producers[item])
        ]
        model, graph = self._empty_model()
        places: dict[int, int] = {}
        codes: dict[int, int] = {}
        for item in (*dict.fromkeys(unpacking), op):
            graph.operators.append(self._moved(item, model, graph, places, codes))
        made = {tensor for item in (*unpacking, op) for tensor in item.outputs}
        graph.inputs = [
            places[item]
            for item in dict.fromkeys(op.inputs)
            if item >= 0 and item not in made and not self.constant(item)
        ]
        graph.outputs = [places[item] for item in op.outputs if item >= 0]
        builder = flatbuffers.Builder(4096)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def renamed(self, names: Mapping[int, Mapping[int, str]]) -> bytes:
        """The whole model with other tensor names, by subgraph and tensor."""
        model = self._whole()
        for subgraph, given in names.items():
            for tensor, name in given.items():
                model.subgraphs[subgraph].tensors[tensor].name = name
        return self._packed(model)

    def exposing(self, names: Collection[str]) -> bytes:
        """The whole model with these computed tensors as outputs after its own; without signatures, which
        list outputs too.
        """
        model = self._whole()
        computed = {self.name(tensor): tensor for tensor in self.producers}
        extra = [computed[name] for name in names if name in computed and computed[name] not in self.outputs]
        model.subgraphs[self.subgraph].outputs = [*self.outputs, *extra]
        model.signatureDefs = []
        return self._packed(model)

    def promoted(self) -> bytes:
        """The whole model with this subgraph in the first place, where the runtime tells most, and the first
        in its.
        """
        model = self._whole()
        swap = {0: self.subgraph, self.subgraph: 0}
        model.subgraphs[0], model.subgraphs[self.subgraph] = (
            model.subgraphs[self.subgraph],
            model.subgraphs[0],
        )
        model.signatureDefs = []
        for graph in model.subgraphs:
            for op in graph.operators or ():
                for field in _FIELDS:
                    if hasattr(op.builtinOptions, field):
                        setattr(
                            op.builtinOptions,
                            field,
                            swap.get(getattr(op.builtinOptions, field), getattr(op.builtinOptions, field)),
                        )
        return self._packed(model)

    def _whole(self) -> Any:
        """Everything unpacked; weights outside the flatbuffer are taken in."""
        import numpy as np

        model = self.schema.ModelT.InitFromPackedBuf(self._data[:], 0)
        for buffer in model.buffers:
            if getattr(buffer, "size", 0) > 1 and buffer.data is None:
                buffer.data = np.frombuffer(self._data[buffer.offset : buffer.offset + buffer.size], np.uint8)
                buffer.offset = buffer.size = 0
        return model

    def _packed(self, model: Any) -> bytes:
        import flatbuffers

        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _type(self, opcode: int) -> str:
        code = self._model.OperatorCodes(opcode)
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if builtin == self.schema.BuiltinOperator.CUSTOM:
            return "CUSTOM " + (code.CustomCode() or b"").decode("utf-8", "replace")
        return str(self._names.get(builtin, f"BUILTIN_{builtin}"))

    def _empty_model(self) -> tuple[Any, Any]:
        model, graph = self.schema.ModelT(), self.schema.SubGraphT()
        model.version, model.subgraphs, model.operatorCodes = 3, [graph], []
        model.buffers = [self.schema.BufferT()]
        graph.name, graph.tensors, graph.operators = "main", [], []
        return model, graph

    def _moved(self, op: Op, model: Any, graph: Any, places: dict[int, int], codes: dict[int, int]) -> Any:
        for tensor in (*op.inputs, *op.outputs):
            if tensor >= 0 and tensor not in places:
                places[tensor] = len(graph.tensors)
                graph.tensors.append(self._tensor(tensor, model))
        stored = self._graph.Operators(op.index)
        item = self._unpacked(stored)
        opcode = stored.OpcodeIndex()
        if opcode not in codes:
            codes[opcode] = len(model.operatorCodes)
            model.operatorCodes.append(
                self.schema.OperatorCodeT.InitFromObj(self._model.OperatorCodes(opcode))
            )
        item.opcodeIndex = codes[opcode]
        item.inputs = [places.get(tensor, -1) for tensor in op.inputs]
        item.outputs = [places.get(tensor, -1) for tensor in op.outputs]
        item.intermediates = None
        return item

    def _unpacked(self, stored: Any) -> Any:
        return self.schema.OperatorT.InitFromObj(stored)

    def _tensor(self, tensor: int, model: Any) -> Any:
        item = self.schema.TensorT.InitFromObj(self._graph.Tensors(tensor))
        data = self.value(tensor)
        item.buffer = 0
        if data:
            import numpy as np

            buffer = self.schema.BufferT()
            buffer.data = np.frombuffer(data, np.uint8)
            item.buffer = len(model.buffers)
            model.buffers.append(buffer)
        return item

    def value(self, tensor: int) -> bytes:
        """The bytes of a constant, empty for others."""
        buffer = self._model.Buffers(self._graph.Tensors(tensor).Buffer())
        if buffer is None:
            return b""
        if buffer.DataLength():
            return bytes(buffer.DataAsNumpy().tobytes())
        if buffer.Size() > 1:
            return bytes(self._data[buffer.Offset() : buffer.Offset() + buffer.Size()])
        return b""

    def _describe(self, tensor: int, slots: dict[int, int]) -> str:
        if tensor < 0:
            return "-"
        if tensor in slots:
            return f"={slots[tensor]}"
        slots[tensor] = len(slots)
        stored = self._graph.Tensors(tensor)
        producer = self.producers.get(tensor)
        source = producer.inputs[0] if producer is not None and self.unpacks(producer) else tensor
        value = ""
        if self.constant(source):
            data = self.value(source)
            value = hashlib.sha256(data).hexdigest() if len(data) <= _SMALL else "weights"
        quantization = stored.Quantization()
        shapes = f"{_ints(stored.ShapeAsNumpy())}{_ints(stored.ShapeSignatureAsNumpy())}"
        quantized = (
            _plain(self.schema.QuantizationParametersT.InitFromObj(quantization))
            if quantization is not None
            else ""
        )
        flags = f"{stored.Type()} {self.dtype(source)} {stored.IsVariable()} {stored.HasRank()}"
        return f"{flags} {shapes} {value} {hashlib.sha256(quantized.encode()).hexdigest()}"


def exposed(model: Path, kept: tuple[str, ...], folder: Path) -> Path:
    """The model, or a copy that gives these intermediate tensors as outputs: what a delegate computes is not
    kept otherwise.
    """
    if not kept:
        return model
    path = folder / "exposed.tflite"
    path.write_bytes(TfliteFile(model).exposing(kept))
    return path


def pick(given: Mapping[str, object], index: int, *names: str) -> str | None:
    """Which of the given arrays an input takes, for the tensor at ``index`` that is called ``names`` here and
    there.

    Stored names may be repeated or empty; a graph that was read from the file calls such tensors ``name#3``
    and ``t3``.
    """
    options = (f"{names[0]}#{index}", *(name for name in names if name), f"t{index}")
    return next((name for name in options if name in given), None)


def uniquely_named(files: Sequence[TfliteFile], folder: Path) -> tuple[Path, list[dict[int, str]]]:
    """The file itself when its tensor names are distinct, else a copy in which they are; with the names of
    each subgraph's tensors.

    For compilers that tell of operators by the names of the tensors that they write. ``files``: the subgraphs
    of one file.
    """
    used = [
        sorted(
            {item for op in file.ops for item in (*op.inputs, *op.outputs) if item >= 0}
            | {*file.inputs, *file.outputs}
        )
        for file in files
    ]
    names = [
        {tensor: file.name(tensor) for tensor in tensors} for file, tensors in zip(files, used, strict=True)
    ]
    every = [name for given in names for name in given.values()]
    if len(set(every)) == len(every):
        return files[0].path, names
    fresh = [
        {tensor: f"acl:{file.subgraph}:{tensor}" for tensor in tensors}
        for file, tensors in zip(files, used, strict=True)
    ]
    folder.mkdir(exist_ok=True)
    path = folder / "named.tflite"
    path.write_bytes(
        files[0].renamed({file.subgraph: given for file, given in zip(files, fresh, strict=True)})
    )
    return path, fresh


def _ints(array: Any) -> tuple[int, ...]:
    """Flatbuffers gives 0 for an absent vector."""
    return () if isinstance(array, int) else tuple(int(item) for item in array)


def _plain(item: Any) -> str:
    """An unpacked flatbuffer table as text, without its tensor lists."""
    if hasattr(item, "tolist"):
        item = item.tolist()
    if isinstance(item, (list, tuple)):
        return repr([_plain(part) for part in item])
    if not hasattr(item, "__dict__"):
        return repr(item)
    skipped = ("inputs", "outputs", "opcodeIndex", "intermediates")
    return repr([(key, _plain(value)) for key, value in sorted(vars(item).items()) if key not in skipped])
