"""In a process of its own: a SavedModel or GraphDef to TFLite with TensorFlow's own converter.

The chosen signature is saved again, alone and with the fixed shapes, before the converter sees it. That selects it
among several, and it lets the converter freeze the variables: saved beside functions that assign them, they stay
``VAR_HANDLE`` and ``READ_VARIABLE`` operators, which no accelerator takes.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Convert; answers with ``refused`` (records for ``refusals.from_errors``) or with the size written.

    Request: ``model`` (folder or GraphDef file), ``kind`` (``savedmodel`` or ``graphdef``), ``tags``, ``signature``,
    ``inputs`` (name to shape), ``feeds`` and ``fetches`` (tensor names of a GraphDef), ``output`` and the options.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        alone = str(Path(folder) / "alone")
        kept = _save_alone(tf, request, alone)
        converter = tf.lite.TFLiteConverter.from_saved_model(alone, signature_keys=["serving_default"])
        _configure(tf, converter, request)
        try:
            data = converter.convert()
        except _converter_error() as error:
            return {"refused": [_record(item) for item in getattr(error, "errors", ())], "message": str(error)[:200_000], **_versions(tf)}
        finally:
            del kept
    Path(request["output"]).write_bytes(data)
    return {"size": len(data), **_versions(tf)}


def _versions(tf: Any) -> dict[str, str]:
    return {"tensorflow": tf.__version__}


def _converter_error() -> type[BaseException]:
    from tensorflow.lite.python.convert_phase import ConverterError

    return ConverterError  # type: ignore[no-any-return]


def _save_alone(tf: Any, request: dict[str, Any], folder: str) -> Any:
    """Save the signature by itself as ``serving_default``; returns what must stay alive meanwhile."""
    owner, function, names = _function(tf, request)
    specs = {name: _spec(tf, name, spec, request["inputs"].get(name)) for name, spec in names.items()}
    module = tf.Module()
    module.variables_used = list(function.graph.variables)
    module.call = tf.function(lambda **values: _call(function, names, values))
    concrete = module.call.get_concrete_function(**specs)
    try:
        tf.saved_model.save(module, folder, signatures={"serving_default": concrete})
    except (AssertionError, ValueError):  # it needs tables or other resources, which the loaded object tracks
        module.owner = owner
        tf.saved_model.save(module, folder, signatures={"serving_default": concrete})
    return owner, module


def _call(function: Any, names: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    if function.structured_input_signature and function.structured_input_signature[0]:
        result = function(*[values[name] for name in names])
    else:
        result = function(**values)
    if isinstance(result, dict):
        return result
    return {f"output_{index}": value for index, value in enumerate(result if isinstance(result, (list, tuple)) else [result])}


def _spec(tf: Any, name: str, spec: Any, shape: list[int | None] | None) -> Any:
    return tf.TensorSpec(spec.shape if shape is None else shape, spec.dtype, name=name)


def _function(tf: Any, request: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """The owner, the concrete function and its inputs' specs by name."""
    if request["kind"] == "graphdef":
        return _graph_function(tf, request)
    owner = tf.saved_model.load(request["model"], tags=request["tags"] or None)
    name = request["signature"]
    if name in owner.signatures:
        function = owner.signatures[name]
        return owner, function, dict(function.structured_input_signature[1])
    function = getattr(owner, name).concrete_functions[0]
    arguments, named = function.structured_input_signature
    specs = {spec.name or f"argument_{index}": spec for index, spec in enumerate(tf.nest.flatten(arguments))}
    return owner, function, {**specs, **named}


def _graph_function(tf: Any, request: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    graph_def = tf.compat.v1.GraphDef.FromString(Path(request["model"]).read_bytes())
    wrapped = tf.compat.v1.wrap_function(lambda: tf.compat.v1.import_graph_def(graph_def, name=""), [])
    feeds = {name: wrapped.graph.as_graph_element(tensor) for name, tensor in sorted(request["feeds"].items())}
    fetches = {name: wrapped.graph.as_graph_element(tensor) for name, tensor in request["fetches"].items()}
    function = wrapped.prune(list(feeds.values()), fetches)
    return (
        wrapped,
        _Keyed(function, list(feeds)),
        {name: tf.TensorSpec(tensor.shape, tensor.dtype, name=name) for name, tensor in feeds.items()},
    )


class _Keyed:
    """A pruned function, which takes its inputs by position, called by name."""

    structured_input_signature = None

    def __init__(self, function: Any, names: list[str]) -> None:
        self._function, self._names = function, names
        self.graph = function.graph

    def __call__(self, **values: Any) -> Any:
        return self._function(*[values[name] for name in self._names])


def _configure(tf: Any, converter: Any, request: dict[str, Any]) -> None:
    sets = tf.lite.OpsSet
    ops = [sets.TFLITE_BUILTINS] + ([sets.SELECT_TF_OPS] if request["select_tf_ops"] else [])
    if request["select_tf_ops"]:
        converter._experimental_lower_tensor_list_ops = request["static"]
    converter.allow_custom_ops = request["allow_custom_ops"]
    optimize = request["optimize"]
    if optimize != "none":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if optimize == "fp16":
        converter.target_spec.supported_types = [tf.float16]
    if optimize == "int8":
        ops[0] = sets.TFLITE_BUILTINS_INT8
        converter.representative_dataset = lambda: _samples(tf, request)
    converter.target_spec.supported_ops = ops


def _samples(tf: Any, request: dict[str, Any]) -> Any:
    """Calibration samples by input name: the user's, else random (normal floats, integers 0 and 1)."""
    import numpy as np

    if request["data"]:
        with np.load(request["data"], allow_pickle=False) as stored:
            for index in range(len(stored[stored.files[0]])):
                yield {name: stored[name][index] for name in stored.files}
        return
    rng = np.random.default_rng(request["seed"])
    for _ in range(request["samples"]):
        yield {name: _random(tf, rng, shape, request["dtypes"][name]) for name, shape in request["inputs"].items()}


def _random(tf: Any, rng: Any, shape: list[int | None] | None, dtype: str) -> Any:
    sizes = [1 if dim is None else dim for dim in shape or []]
    if dtype.startswith(("float", "bfloat")):
        return rng.standard_normal(sizes).astype(tf.as_dtype(dtype).as_numpy_dtype)
    return rng.integers(0, 2, sizes).astype(tf.as_dtype(dtype).as_numpy_dtype)


def _record(item: Any) -> dict[str, Any]:
    """A ConverterErrorData as plain data."""
    calls = [
        {"name": call.name, "file": call.source.filename, "line": call.source.line, "column": call.source.column}
        for call in item.location.call
    ]
    code = type(item).ErrorCode.Name(item.error_code) if item.HasField("error_code") else ""
    return {"operator": item.operator.name, "code": code, "message": item.error_message, "pass": item.subcomponent, "calls": calls}
