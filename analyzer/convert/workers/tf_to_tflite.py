"""In a process of its own: SavedModels and GraphDefs to TFLite with TensorFlow's own converter.

The chosen signature is saved again, alone and with the fixed shapes, before the converter sees it. That
selects it among several, and it lets the converter freeze the variables: saved beside functions that assign
them, they stay ``VAR_HANDLE`` and ``READ_VARIABLE`` operators, which no accelerator takes. When the converter
then fails without naming an operator, it gets a second chance with the variables frozen beforehand
(TensorFlow 1 variables need that).
"""

from __future__ import annotations

import re
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Answer each of ``request["requests"]`` in ``answers``: converted, refused, or an error of its own."""
    return {"answers": [_answered(item) for item in request["requests"]]}


def _answered(request: dict[str, Any]) -> dict[str, Any]:
    """``size`` of what was written, or ``refused`` (records for ``blockers.from_errors``) and ``message``.

    Request: ``model`` (folder or GraphDef file), ``kind`` (``savedmodel`` or ``graphdef``), ``tags``,
    ``signature``, ``inputs`` (name to shape), ``feeds`` and ``fetches`` (tensor names of a GraphDef),
    ``output`` and the options.
    """
    import tensorflow as tf

    versions = {"tensorflow": tf.__version__}
    try:
        answer = _attempt(tf, request, frozen=False)
        if (
            "size" not in answer
            and request["kind"] == "savedmodel"
            and not any(item["calls"] for item in answer["refused"])
        ):
            with suppress(Exception):  # the first answer stands when freezing is not possible
                second = _attempt(tf, request, frozen=True)
                answer = second if "size" in second or second["refused"] else answer
    except Exception as error:
        return {"refused": [], "message": f"{type(error).__name__}: {error}"[:100_000], **versions}
    return {**answer, **versions}


def _attempt(tf: Any, request: dict[str, Any], *, frozen: bool) -> dict[str, Any]:
    from tensorflow.lite.python.convert_phase import ConverterError

    with tempfile.TemporaryDirectory() as folder:
        alone = str(Path(folder) / "alone")
        kept = _save_alone(tf, _frozen(tf, request, folder) if frozen else request, alone)
        converter = tf.lite.TFLiteConverter.from_saved_model(alone, signature_keys=["serving_default"])
        _configure(tf, converter, request)
        try:
            data = converter.convert()
        except ConverterError as error:
            return {
                "refused": [_record(item) for item in getattr(error, "errors", ())],
                "message": str(error)[:100_000],
            }
        finally:
            del kept
    Path(request["output"]).write_bytes(data)
    return {"size": len(data)}


# ---- the signature, alone ------------------------------------------------------------------


def _save_alone(tf: Any, request: dict[str, Any], folder: str) -> Any:
    """Save the signature by itself as ``serving_default``; returns what must stay alive meanwhile."""
    owner, function, names = _function(tf, request)
    specs = [_spec(tf, name, spec, request["inputs"].get(name)) for name, spec in names.items()]
    module = tf.Module()
    module.used = list(function.graph.variables)
    module.call = tf.function(lambda *values: _call(function, names, values))
    concrete = module.call.get_concrete_function(*specs)
    try:
        tf.saved_model.save(module, folder, signatures={"serving_default": concrete})
    except (AssertionError, ValueError):  # it needs tables or other resources, which the loaded object tracks
        module.owner = owner
        tf.saved_model.save(module, folder, signatures={"serving_default": concrete})
    return owner, module


def _frozen(tf: Any, request: dict[str, Any], folder: str) -> dict[str, Any]:
    """The request with the SavedModel as a GraphDef whose variables are constants."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        v1.saved_model.loader.load(session, request["tags"], request["model"])
        nodes = [tensor.split(":")[0] for tensor in request["fetches"].values()]
        constant = v1.graph_util.convert_variables_to_constants(session, session.graph_def, nodes)
    file = Path(folder) / "frozen.pb"
    file.write_bytes(constant.SerializeToString())
    return {**request, "kind": "graphdef", "model": str(file)}


def _call(function: Any, names: dict[str, Any], values: tuple[Any, ...]) -> dict[str, Any]:
    structure = function.structured_input_signature
    result = (
        function(*values)
        if structure is None or structure[0]
        else function(**dict(zip(names, values, strict=True)))
    )
    if isinstance(result, dict):
        return result
    return {
        f"output_{index}": value
        for index, value in enumerate(result if isinstance(result, (list, tuple)) else [result])
    }


def _spec(tf: Any, name: str, spec: Any, shape: list[int | None] | None) -> Any:
    return tf.TensorSpec(spec.shape if shape is None else shape, spec.dtype, name=_identifier(name))


def _identifier(name: str) -> str:
    return re.sub(r"\W", "_", name.removesuffix(":0"))


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
    feeds = {name: wrapped.graph.as_graph_element(tensor) for name, tensor in request["feeds"].items()}
    fetches = {name: wrapped.graph.as_graph_element(tensor) for name, tensor in request["fetches"].items()}
    function = wrapped.prune(list(feeds.values()), fetches)
    return (
        wrapped,
        _Positional(function),
        {name: tf.TensorSpec(tensor.shape, tensor.dtype, name=name) for name, tensor in feeds.items()},
    )


class _Positional:
    """A pruned function, which takes its inputs by position."""

    structured_input_signature = None

    def __init__(self, function: Any) -> None:
        self._function = function
        self.graph = function.graph

    def __call__(self, *values: Any) -> Any:
        return self._function(*values)


# ---- the converter -------------------------------------------------------------------------


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
    if optimize in ("int8", "int16x8"):
        int16 = sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        ops[0] = sets.TFLITE_BUILTINS_INT8 if optimize == "int8" else int16
        converter.representative_dataset = lambda: _samples(tf, request)
    converter.target_spec.supported_ops = ops


def _samples(tf: Any, request: dict[str, Any]) -> Any:
    """Calibration samples by input name: the user's, else random (normal floats, integers 0 and 1)."""
    import numpy as np

    if request["data"]:
        with np.load(request["data"], allow_pickle=False) as stored:
            for index in range(len(stored[stored.files[0]])):
                yield {_identifier(name): stored[name][index] for name in stored.files}
        return
    rng = np.random.default_rng(request["seed"])
    for _ in range(request["samples"]):
        yield {
            _identifier(name): _random(tf, rng, shape, request["dtypes"][name])
            for name, shape in request["inputs"].items()
        }


def _random(tf: Any, rng: Any, shape: list[int | None] | None, dtype: str) -> Any:
    sizes = [1 if dim is None else dim for dim in shape or []]
    if dtype.startswith(("float", "bfloat")):
        return rng.standard_normal(sizes).astype(tf.as_dtype(dtype).as_numpy_dtype)
    return rng.integers(0, 2, sizes).astype(tf.as_dtype(dtype).as_numpy_dtype)


def _record(item: Any) -> dict[str, Any]:
    """A ConverterErrorData as plain data."""
    calls = [
        {
            "name": call.name,
            "file": call.source.filename,
            "line": call.source.line,
            "column": call.source.column,
        }
        for call in item.location.call
    ]
    code = type(item).ErrorCode.Name(item.error_code) if item.HasField("error_code") else ""
    return {
        "operator": item.operator.name,
        "code": code,
        "message": item.error_message,
        "pass": item.subcomponent,
        "calls": calls,
    }
