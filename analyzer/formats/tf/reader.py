"""TensorFlow SavedModel folders and GraphDef files, read from their protobufs; TensorFlow is not needed.

The main graph is the serving signature: the part of the stored graph that leads from the signature's inputs
to its outputs, calls inlined, variables that are only read as constants (see ``tf_graph``, ``tf_variables``).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import GraphError, ModelError
from ...ir.graph import Graph, Tensor
from ...ir.model import Model
from ..wire import WireError, outline
from .debug import DebugInfo, debug_info
from .graph import PLACEHOLDERS, Builder, Context, Draft, data_node, indexed
from .library import Library
from .ops import OpTable, dtype
from .proto import message
from .values import shape
from .variables import Checkpoint, freeze
from .wire import without_contents

SERVING = "serving_default"
_OPTIMIZER = "tf_deprecated_optimizer"
"""The optimizers that TensorFlow itself re-creates."""
_INIT = "__saved_model_init_op"
_DAMAGED = "the file is damaged: export the model again"


def read(path: Path) -> Model:
    """Read a SavedModel folder, a ``saved_model.pb`` or a (frozen) GraphDef file.

    Raises ModelError, which names the file and what to do, for everything that is wrong with it.
    """
    path = Path(path)
    file = _model_file(path)
    try:
        if file.suffix == ".pbtxt":
            return _saved_model(path, file, _parse_text(file))
        fields = outline(file) if file.stat().st_size else None
        if fields is None:
            raise ModelError(file, "no protobuf data", _DAMAGED)
        if fields.get(2) == 2 and fields.get(1, 0) == 0 and set(fields) <= {1, 2}:
            return _saved_model(path, file, _parse(file, "SavedModel"))
        return _graph_def(path, file, _parse(file, "GraphDef"))
    except GraphError as error:
        raise ModelError(file, error.message, _DAMAGED) from error
    except OSError as error:
        raise ModelError(
            file, f"cannot be read: {error.strerror}", "check the file and its permissions"
        ) from error
    except (RecursionError, MemoryError) as error:
        raise ModelError(
            file, f"nested or sized beyond reason ({type(error).__name__})", "the file is damaged or hostile"
        ) from error


def _model_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in ("saved_model.pb", "saved_model.pbtxt"):
        if (path / name).is_file():
            return path / name
    raise ModelError(path, "a folder without saved_model.pb", "give the SavedModel's own folder")


def _parse(file: Path, name: str) -> Any:
    from google.protobuf.message import DecodeError

    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return message(name).FromString(without_contents(data, name))
        except (WireError, DecodeError) as error:
            raise ModelError(file, f"a damaged {name}: {error}", _DAMAGED) from error


def _parse_text(file: Path) -> Any:
    from google.protobuf import text_format

    try:
        return text_format.Parse(
            file.read_text(encoding="utf-8"), message("SavedModel")(), allow_unknown_field=True
        )
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ModelError(file, f"a damaged text SavedModel: {error}", _DAMAGED) from error


class Functions(Mapping[str, Graph]):
    """The function library as graphs, each built when asked for."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._made: dict[str, Graph] = {}

    def __getitem__(self, name: str) -> Graph:
        if name not in self._context.library:
            raise KeyError(name)
        if name not in self._made:
            try:
                self._made[name] = Builder(self._context).function(name, name)
            except GraphError as error:
                raise ModelError(self._context.file, error.message, _DAMAGED) from error
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._context.library)

    def __len__(self) -> int:
        return len(self._context.library)


def _context(file: Path, graph: Any, ops: Sequence[Any], debug: DebugInfo) -> Context:
    table = OpTable(ops)
    return Context(Library(graph.library.function, table), table, debug, file)


# ---- SavedModel --------------------------------------------------------------------------


def _saved_model(path: Path, file: Path, saved: Any) -> Model:
    meta = _meta_graph(file, saved)
    context = _context(file, meta.graph_def, meta.meta_info_def.stripped_op_list.op, debug_info(file.parent))
    nodes = indexed(meta.graph_def.node, "the graph")
    checkpoint = Checkpoint(file.parent, meta.object_graph_def, nodes)
    graphs: dict[str, Graph] = {}
    assigned: dict[str, list[str]] = {}
    for name in sorted(meta.signature_def):
        if name == _INIT:
            continue
        draft = _signature(Builder(context), name, meta.signature_def[name], nodes)
        assigned[name] = freeze(draft, checkpoint)
        graphs[name] = _labelled(draft.graph(), meta.signature_def[name])
    if not graphs:
        graphs = _concrete_functions(context, meta.object_graph_def)
    if not graphs:
        raise ModelError(
            file,
            "no signature and no function that could be run",
            "export it with a signature: tf.saved_model.save(model, path, signatures=...)",
        )
    main = _main(graphs)
    graphs = {name: _same_or(graph, graphs[main]) for name, graph in graphs.items()}
    metadata = {
        "producer": f"tensorflow {meta.meta_info_def.tensorflow_version}".strip(),
        "tags": tuple(meta.meta_info_def.tags),
        "signature": main,
        "signatures": {
            name: _interface(meta.signature_def[name]) for name in graphs if name in meta.signature_def
        },
        "assigned_variables": {name: names for name, names in assigned.items() if names},
    }
    if problem := _unloadable(meta.object_graph_def):
        metadata["unloadable"] = problem
    return Model(path, "savedmodel", graphs[main], graphs, Functions(context), metadata)


def _unloadable(objects: Any) -> str:
    """Why TensorFlow fails to load the objects; empty where nothing is known to stop it.

    ``Loader._load_nodes`` re-creates an optimizer's slots with ``add_slot`` of the object that holds them,
    which only its own class has: Keras no longer registers one (tensorflow/python/saved_model/load.py, 2.21).
    """
    for node in objects.nodes:
        identifier = node.user_object.identifier
        if node.slot_variables and identifier != _OPTIMIZER:
            slots = ", ".join(dict.fromkeys(str(slot.slot_name) for slot in node.slot_variables))[:80]
            return (
                f"the model was saved with the state of its optimizer ({slots}), which TensorFlow re-creates "
                f"only where the class of {str(identifier)!r} is registered"
            )
    return ""


def _meta_graph(file: Path, saved: Any) -> Any:
    metas = [meta for meta in saved.meta_graphs if "serve" in meta.meta_info_def.tags] or list(
        saved.meta_graphs
    )
    if not metas:
        raise ModelError(file, "a SavedModel without a graph", "export it again")
    return metas[0]


def _signature(builder: Builder, name: str, signature: Any, nodes: Mapping[str, Any]) -> Draft:
    inputs = [
        _fed(key, signature.inputs[key]) for key in sorted(signature.inputs) if signature.inputs[key].name
    ]
    outputs = [
        signature.outputs[key].name for key in sorted(signature.outputs) if signature.outputs[key].name
    ]
    for tensor in inputs:
        if data_node(tensor.name) not in nodes:
            raise GraphError(f"the signature {name!r} feeds {tensor.name!r}, which does not exist")
    return builder.entry(name, nodes, _distinct(inputs), outputs)


def _fed(key: str, info: Any) -> Tensor:
    name = info.name if ":" in info.name else f"{info.name}:0"
    return Tensor(name, dtype(info.dtype), shape(info.tensor_shape), attrs={"signature_key": key})


def _distinct(tensors: Sequence[Tensor]) -> list[Tensor]:
    return list({tensor.name: tensor for tensor in tensors}.values())


def _labelled(graph: Graph, signature: Any) -> Graph:
    """Keep the signature's own names beside the tensors'."""
    graph.attrs["signature_outputs"] = tuple(
        key for key in sorted(signature.outputs) if signature.outputs[key].name
    )
    graph.attrs["signature_inputs"] = tuple(
        graph.tensor(name).attrs.get("signature_key", name) for name in graph.inputs
    )
    return graph


def _interface(signature: Any) -> dict[str, Any]:
    return {
        "inputs": {key: signature.inputs[key].name for key in sorted(signature.inputs)},
        "outputs": {key: signature.outputs[key].name for key in sorted(signature.outputs)},
        "method": signature.method_name,
    }


def _concrete_functions(context: Context, objects: Any) -> dict[str, Graph]:
    """Without signatures: the functions of the root object's methods, first trace each."""
    found: dict[str, Graph] = {}
    if not len(objects.nodes):
        return found
    for child in objects.nodes[0].children:
        if not 0 <= child.node_id < len(objects.nodes):
            raise GraphError(f"the object graph has no node {child.node_id}")
        for name in objects.nodes[child.node_id].function.concrete_functions[:1]:
            if name in context.library:
                draft = Builder(context).function_draft(name, child.local_name)
                found[child.local_name] = draft.graph()
    return found


def _main(graphs: Mapping[str, Graph]) -> str:
    for name in (SERVING, "serve", "predict", "__call__", "call"):
        if name in graphs:
            return name
    return next(iter(graphs))


def _same_or(graph: Graph, main: Graph) -> Graph:
    """The main graph itself when this one only repeats it under another name."""
    return main if _outline(graph) == _outline(main) else graph


def _outline(graph: Graph) -> tuple[Any, ...]:
    interface = (
        graph.attrs.get("signature_inputs", graph.inputs),
        graph.attrs.get("signature_outputs", graph.outputs),
    )
    return (*interface, tuple((op.type, op.name) for op in graph.ops()))


# ---- GraphDef ----------------------------------------------------------------------------


def _graph_def(path: Path, file: Path, graph: Any) -> Model:
    if not len(graph.node):
        raise ModelError(file, "a GraphDef without nodes", "export it again")
    context = _context(file, graph, (), DebugInfo(graph.debug_info))
    nodes = indexed(graph.node, "the graph")
    builder = Builder(context)
    outputs = _unread(builder, nodes)
    inputs = [_placeholder(node) for node in nodes.values() if node.op in PLACEHOLDERS]
    draft = builder.entry("main", nodes, inputs, outputs, nodes)
    freeze(draft, None)
    made = draft.graph()
    metadata = {"producer": f"graph version {graph.versions.producer}", "frozen": not draft.variables}
    return Model(path, "savedmodel", made, {"main": made}, Functions(context), metadata)


def _placeholder(node: Any) -> Tensor:
    stored = node.attr["_output_shapes"].list.shape if "_output_shapes" in node.attr else ()
    dims = next(map(shape, stored), shape(node.attr["shape"].shape) if "shape" in node.attr else None)
    return Tensor(
        f"{node.name}:0", dtype(node.attr["dtype"].type) if "dtype" in node.attr else "unknown", dims
    )


def _unread(builder: Builder, nodes: Mapping[str, Any]) -> list[str]:
    """The outputs of a GraphDef, which names none: what no node reads, constants and inputs aside."""
    read = {data_node(reference) for node in nodes.values() for reference in node.input}
    found: list[str] = []
    for node in nodes.values():
        if node.name in read or node.op in ("Const", "NoOp", *PLACEHOLDERS):
            continue
        count = _results(builder, node)
        found += [f"{node.name}:{index}" for index in range(count)]
    return found


def _results(builder: Builder, node: Any) -> int:
    callee = builder.context.library.callee(node)
    if callee is not None:
        return len(builder.context.library[callee].signature.output_arg)
    spec = builder.context.ops.get(node.op)
    return len(spec.written(node)) if spec else 1
