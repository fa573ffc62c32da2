"""In a process of its own: a SavedModel or GraphDef to Core ML with coremltools.

coremltools takes one function without variables, so the chosen signature is frozen first (a Keras 3
SavedModel given as it is fails with "Only a single concrete function is supported"). The signature's output
names are put back.
"""

from __future__ import annotations

from typing import Any

from .tf_to_tflite import _call, _function, _spec


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Convert; answers with ``refused`` (type, node, message) or with ``done``.

    The request is that of ``tensorflow.run``'s items, with ``deployment`` (``iOS18``) and ``precision``
    besides.
    """
    import coremltools as ct
    import tensorflow as tf

    versions = {"tensorflow": tf.__version__, "coremltools": ct.__version__}
    owner, frozen, outputs = _frozen(tf, request)
    unknown = _unknown(frozen)
    if unknown:
        return {"refused": unknown, **versions}
    try:
        model = ct.convert(
            [frozen],
            source="tensorflow",
            convert_to="mlprogram",
            minimum_deployment_target=getattr(ct.target, request["deployment"]),
            compute_precision=ct.precision.FLOAT16
            if request["precision"] == "float16"
            else ct.precision.FLOAT32,
        )
    except Exception as error:
        return {
            "refused": [{"type": "", "node": "", "message": f"{type(error).__name__}: {str(error)[:4000]}"}],
            **versions,
        }
    finally:
        del owner
    _renamed(ct, model, outputs).save(request["output"])
    return {"done": True, **versions}


def _frozen(tf: Any, request: dict[str, Any]) -> tuple[Any, Any, list[str]]:
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    owner, function, names = _function(tf, request)
    specs = [_spec(tf, name, spec, request["inputs"].get(name)) for name, spec in names.items()]
    concrete = tf.function(lambda *values: _call(function, names, values)).get_concrete_function(*specs)
    return (
        owner,
        convert_variables_to_constants_v2(concrete, lower_control_flow=False),
        sorted(concrete.structured_outputs),
    )


def _unknown(frozen: Any) -> list[dict[str, str]]:
    """Every node of a type that coremltools has no conversion for; it would itself stop at the first."""
    from coremltools.converters.mil.frontend.tensorflow.tf_op_registry import _TF_OPS_REGISTRY

    graph = frozen.graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    passing = {"Placeholder", "NoOp", "Const", "PartitionedCall", "StatefulPartitionedCall"}
    return [
        {"type": node.op, "node": node.name, "message": f"Conversion for TF op '{node.op}' not implemented."}
        for node in nodes
        if node.op not in _TF_OPS_REGISTRY and node.op not in passing
    ]


def _renamed(ct: Any, model: Any, outputs: list[str]) -> Any:
    spec = model.get_spec()
    for feature, name in zip(list(spec.description.output), outputs, strict=True):
        ct.utils.rename_feature(spec, feature.name, name, rename_inputs=False)
    return ct.models.MLModel(spec, weights_dir=model.weights_dir, skip_model_load=True)
