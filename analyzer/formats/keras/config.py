"""What a Keras v3 configuration would make Keras import or run, judged before Keras sees it.

Keras resolves the ``module`` and ``class_name`` of every object in ``config.json``. Its own safe mode has
been passed by more than once (CVE-2025-1550: any module; CVE-2025-8747: helpers of Keras itself;
CVE-2025-12058: vocabularies read from local files), so accelint lets through only what belongs to Keras's own
layers, operators and their settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_SAVED = "export a SavedModel with model.export(path), and give that"

# The parts of Keras whose objects are settings and computation, not helpers with side effects.
_PARTS = {
    "activations",
    "constraints",
    "dtype_policies",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "quantizers",
    "random",
    "regularizers",
    "Sequential",
    "Model",
    "applications",
}
_ROOT_CLASSES = {
    "DTypePolicy",
    "FloatDTypePolicy",
    "QuantizedDTypePolicy",
    "Functional",
    "Model",
    "Sequential",
    "KerasTensor",
    "Variable",
}
_VALUES = {
    "__keras_tensor__",
    "__tensor__",
    "__numpy__",
    "__bytes__",
    "__ellipsis__",
    "__slice__",
    "__typespec__",
}
_FOREIGN = {
    "TFSMLayer": "runs another SavedModel from a path on this machine",
    "TorchModuleWrapper": "holds a pickled PyTorch module",
    "JaxLayer": "holds a Python function",
    "FlaxLayer": "holds a Python function",
}


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a configuration is not loaded, and what to do instead."""

    problem: str
    advice: str


def objection(config: Any) -> Objection | None:
    """The first thing in a parsed ``config.json`` that stands for code, a custom class or a local file; None
    when all is Keras's own.

    Losses, metrics and optimizers (``compile_config``) are not looked at: the model is loaded without them.
    """
    if not isinstance(config, dict) or "class_name" not in config:
        return Objection("config.json describes no model", "save it again with model.save('name.keras')")
    for owner, item in _objects(config):
        found = _judge(owner, item)
        if found is not None:
            return found
    return None


def _objects(config: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every dictionary, with the name of the layer around it."""
    todo: list[tuple[str, Any]] = [
        ("", {key: value for key, value in config.items() if key != "compile_config"})
    ]
    while todo:
        owner, item = todo.pop()
        if isinstance(item, dict):
            inner = item.get("config")
            name = inner.get("name") if isinstance(inner, dict) else None
            owner = name if isinstance(name, str) else owner
            yield owner, item
            todo += [(owner, value) for value in item.values() if isinstance(value, (dict, list))]
        elif isinstance(item, list):
            todo += [(owner, value) for value in item if isinstance(value, (dict, list))]


def _judge(owner: str, item: dict[str, Any]) -> Objection | None:
    if isinstance(item.get("vocabulary"), str):
        return Objection(
            f"layer {owner!r} reads its vocabulary from the file {item['vocabulary']!r}",
            "save it with the vocabulary as a list",
        )
    name = item.get("class_name")
    if name is None:
        return None
    if not isinstance(name, str):
        return Objection(
            f"layer {owner!r} has a class name that is no text", "the file is damaged: save it again"
        )
    module, registered = item.get("module"), item.get("registered_name")
    if name in ("__lambda__", "Lambda"):
        problem = f"layer {owner!r} is a Lambda: Python code stored in the model, which accelint never runs"
        return Objection(problem, f"write it with keras.ops or as a layer class, or {_SAVED}")
    if name in _FOREIGN:
        return Objection(f"layer {owner!r} ({name}) {_FOREIGN[name]}, which accelint never runs", _SAVED)
    if name in _VALUES:
        return _typespec(owner, item) if name == "__typespec__" else None
    if (
        name == "function"
        or not _is_keras(module, name)
        or (isinstance(registered, str) and ">" in registered)
    ):
        called = item.get("config") if name == "function" and isinstance(item.get("config"), str) else name
        what = "the custom function" if name == "function" else "the custom class"
        where = f" of module {module!r}" if isinstance(module, str) and module != "builtins" else ""
        return Objection(
            f"layer {owner!r} needs {what} {called!r}{where}, whose code is not in the file "
            f"and is never imported",
            _SAVED,
        )
    return None


def _is_keras(module: Any, name: str) -> bool:
    if not isinstance(module, str):
        return False
    parts = module.split(".")
    if parts[0] != "keras":
        return False
    below = parts[2:] if parts[1:2] == ["src"] else parts[1:]
    return below[0] in _PARTS if below else name in _ROOT_CLASSES


def _typespec(owner: str, item: dict[str, Any]) -> Objection | None:
    if str(item.get("module", "")).split(".")[0] == "tensorflow":
        return None
    return Objection(
        f"layer {owner!r} names a type of the module {item.get('module')!r}, which is not imported", _SAVED
    )
