"""The graph that ONNX Runtime's first optimization level leaves, written by ONNX Runtime itself.

The passes of that level run once, for all providers, before any is asked for its nodes; so the session is
one of the CPU provider, which compiles nothing and whose graph can be written. What that provider adds
afterwards is taken out again: casts around nodes of float16 that it has no kernel for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..answers import Answer
from .onnx_fused import names_in

if TYPE_CHECKING:
    from pathlib import Path

    from .onnx_names import Marked

CPU = "CPUExecutionProvider"
_INSERTED = "InsertedPrecisionFreeCast_"
_WEIGHTS = "weights.bin"


def write(ort: Any, model: Path, marked: Marked, folder: Path) -> Answer:
    """``notes["file"]`` is the graph, its weights beside it, and ``notes["places"]`` by the name of each of
    its nodes place and first result of the file's node that it was; nodes that the passes made have none.
    """
    import onnx

    folder.mkdir()
    file = folder / "optimized.onnx"
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(file)
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    for key, value in (("file_name", _WEIGHTS), ("min_size_in_bytes", "1024")):
        options.add_session_config_entry(f"session.optimized_model_external_initializers_{key}", value)
    if isinstance(marked.source, bytes):
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", str(model.parent)
        )
    source = marked.source if isinstance(marked.source, bytes) else str(marked.source)
    try:
        ort.InferenceSession(source, options, providers=[CPU])
    except Exception as error:  # a class of its own for each kind of refusal
        return Answer("refused", reason=marked.readable(str(error))[:500])
    if not file.is_file():
        return Answer("failed", reason="ONNX Runtime wrote no optimized model")
    made = onnx.load(str(file), load_external_data=False)
    if _without_casts(made.graph):
        file.write_bytes(made.SerializeToString())
    found = ((name, marked.find(name)) for name in names_in(made.graph) if name)
    places = {name: (node.place, next(iter(node.outputs), "")) for name, node in found if node is not None}
    version = f"ONNX Runtime {ort.__version__}"
    return Answer("ok", notes={"file": str(file), "places": places, "version": version})


def _without_casts(graph: Any) -> bool:
    """Take out the casts that the CPU provider needs; whether there were any."""
    inserted = [node for node in graph.node if node.op_type == "Cast" and _INSERTED in node.name]
    inner = [
        _without_casts(attribute.g)
        for node in graph.node
        for attribute in node.attribute
        if attribute.HasField("g")
    ]
    if not inserted:
        return any(inner)
    outputs = {item.name for item in graph.output}
    own = {name for node in graph.node for name in node.output}
    names: dict[str, str] = {}
    for node in inserted:
        source, result = node.input[0], node.output[0]
        old, new = (source, result) if result in outputs and source in own else (result, source)
        names[old] = new
    for node in inserted:
        graph.node.remove(node)
    for node in graph.node:
        for list_ in (node.input, node.output):
            list_[:] = [_end(names, name) for name in list_]
    # casts to float32 and back stand between nodes whose results were of that type then
    del graph.value_info[:]
    return True


def _end(names: dict[str, str], name: str) -> str:
    seen: set[str] = set()
    while name in names and name not in seen:
        seen.add(name)
        name = names[name]
    return name
