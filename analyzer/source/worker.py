"""In the user's own interpreter: import what was named, build it, and export it. Run by path: ``python
worker.py READ_FD WRITE_FD PARENT``.

It imports nothing of accelint, so that the interpreter needs only what the user's code and its exporter
need. A request is one JSON line, and so is the answer; standard output and error belong to the user's code.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import importlib.util
import json
import os
import re
import sys
import sysconfig
import traceback
from pathlib import Path
from typing import Any

_HERE = os.path.abspath(__file__)  # noqa: PTH100 (as frames have it)
_HOME = os.path.dirname(_HERE)  # noqa: PTH120
_INSTALLED = re.compile(r"[/\\](?:site|dist)-packages[/\\]|^<")
_STANDARD = tuple({sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib")})
_FRAME = re.compile(r'File "([^"\n]+)", line (\d+)')
_LONGEST = 4000


class Stopped(Exception):
    """An export that did not come about. ``stage``: what was being done; ``cause``: what was raised."""

    def __init__(
        self, stage: str, message: str = "", cause: BaseException | None = None, **told: Any
    ) -> None:
        super().__init__(message)
        self.stage, self.message, self.cause, self.told = stage, message, cause, told


# ---- the user's own lines ------------------------------------------------------------------------


def own(file: str) -> bool:
    """Whether a file is the user's: not installed, not Python's, and not one of these here."""
    if not file or os.path.dirname(file) == _HOME or _INSTALLED.search(file):  # noqa: PTH120
        return False
    return not os.path.abspath(file).startswith(_STANDARD)  # noqa: PTH100


def place_of(error: BaseException | None) -> str | None:
    """``file.py:line`` of the user's innermost line behind an exception, the first cause first.

    Exporters catch what user code raises and tell its lines in the message alone.
    """
    chain = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    for item in reversed(chain):
        if isinstance(item, SyntaxError) and item.filename and own(item.filename):
            return f"{item.filename}:{item.lineno or 1}"
        frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(item.__traceback__)]
        mine = [frame for frame in frames if own(frame[0])]
        told = f"{item}\n{_node(item)}"
        mine = mine or [frame for frame in _FRAME.findall(told) if own(frame[0])]
        if mine:
            return f"{mine[-1][0]}:{mine[-1][1]}"
    return None


def _node(error: BaseException) -> str:
    """What PyTorch recorded of the operation that it was at: a graph's node is at hand where it failed."""
    found, trace = "", error.__traceback__
    while trace is not None:
        node = trace.tb_frame.f_locals.get("node")
        found = str(getattr(node, "meta", {}).get("stack_trace") or found)
        trace = trace.tb_next
    return found


def definition(value: Any, module: Any, attribute: str) -> str | None:
    """Where the user wrote what was named: the function or class, else the assignment in the module."""
    code = getattr(getattr(value, "__wrapped__", value), "__code__", None)
    if code is not None and own(code.co_filename):
        return f"{code.co_filename}:{code.co_firstlineno}"
    file = getattr(module, "__file__", None)
    if not file:
        return None
    with contextlib.suppress(OSError, SyntaxError, ValueError):
        line = _assigned(Path(file).read_text(encoding="utf-8"), attribute.partition(".")[0])
        return f"{file}:{line}"
    return f"{file}:1"


def _assigned(text: str, name: str) -> int:
    import ast

    lines = [
        int(getattr(node, "lineno", 1))
        for node in ast.walk(ast.parse(text))
        if getattr(node, "name", "") == name
        or (isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store))
    ]
    return min(lines, default=1)


def files() -> list[str]:
    """The user's own files that are imported: what the model depends on."""
    found = {str(getattr(module, "__file__", None) or "") for module in list(sys.modules.values())}
    return sorted(file for file in found if file.endswith(".py") and own(file))


# ---- from the name to the model ------------------------------------------------------------------


def imported(module: str, file: str | None) -> Any:
    """The module, or the file run as a module of its name."""
    if file is None:
        return importlib.import_module(module)
    path = os.path.abspath(file)  # noqa: PTH100
    if not os.path.isfile(path):  # noqa: PTH113
        raise Stopped("missing", f"there is no file {file}")
    sys.path.insert(0, os.path.dirname(path))  # noqa: PTH120
    spec = importlib.util.spec_from_file_location(module, path)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[module] = made
    spec.loader.exec_module(made)
    return made


def attribute_of(module: Any, attribute: str) -> Any:
    """What the module calls by a name."""
    value = module
    for part in attribute.split("."):
        if not hasattr(value, part):
            import difflib

            names = [name for name in vars(module) if not name.startswith("_")]
            near = difflib.get_close_matches(part, names, 3) or names[:5]
            raise Stopped("attribute", f"{module.__name__} has no {part!r}", near=near)
        value = getattr(value, part)
    return value


def built(value: Any, module: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Model, example inputs (None: none given) and options for the exporter, of what was named.

    What is no model and can be called is called, without arguments.
    """
    if not isinstance(value, tuple) and exporter(value, None) is None and callable(value):
        value = value()
    if not isinstance(value, tuple):
        return value, getattr(module, "example_inputs", None), {}
    if not 1 <= len(value) <= 3:
        raise Stopped("kind", f"a tuple of {len(value)}")
    model, inputs, options = (*value, None, None)[:3]
    return model, inputs, dict(options or {})


def arguments(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Example inputs as a call takes them: a tuple or list by position, a dict by name, else a single one."""
    if isinstance(inputs, dict):
        return (), inputs
    return (tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)), {}


def _is(value: Any, *names: str) -> bool:
    """Whether a value is of a class that some imported package names so (``torch.nn:Module``)."""
    for name in names:
        home, _, attribute = name.partition(":")
        kind = getattr(sys.modules.get(home), attribute, None)
        if isinstance(kind, type) and isinstance(value, kind):
            return True
    return False


# ---- exporters -----------------------------------------------------------------------------------


def exporter(model: Any, inputs: Any) -> Any:
    """The function here that exports such a model; None for what is none. ``inputs`` make a plain function
    one.
    """
    if isinstance(model, (str, os.PathLike)):
        return _path
    if _is(model, "onnx:ModelProto", "onnx_ir:Model", "torch.onnx:ONNXProgram"):
        return _onnx
    if _is(model, "keras:Layer") and sys.modules["keras"].backend.backend() == "tensorflow":
        return _keras
    if _is(model, "torch.nn:Module", "torch.export:ExportedProgram", "torch.jit:ScriptFunction"):
        return _torch
    if _is(model, "tensorflow:Module") or hasattr(model, "get_concrete_function") or _is_concrete(model):
        return _tensorflow
    if _is(model, "flax.linen:Module", "flax.nnx:Module", "equinox:Module") or _is_jitted(model):
        return _jax
    if inputs is None or not callable(model):
        return None
    return _jax if "jax" in sys.modules else _tensorflow if "tensorflow" in sys.modules else None


def _is_concrete(model: Any) -> bool:
    return hasattr(model, "structured_input_signature")


def _is_jitted(model: Any) -> bool:
    return type(model).__module__.partition(".")[0] in ("jax", "jaxlib") and hasattr(model, "lower")


def _path(model: Any, inputs: Any, options: dict[str, Any], output: Path) -> tuple[str, str]:
    path = os.path.abspath(os.fspath(model))  # noqa: PTH100
    if not os.path.exists(path):  # noqa: PTH110
        raise Stopped("kind", f"the path {os.fspath(model)!r}, where nothing is")
    return path, ""


def _onnx(model: Any, inputs: Any, options: dict[str, Any], output: Path) -> tuple[str, str]:
    path = str(output)
    if hasattr(model, "save"):
        model.save(path)
    elif _is(model, "onnx:ModelProto"):
        sys.modules["onnx"].save_model(model, path)
    else:
        sys.modules["onnx_ir"].save(model, path)
    return path, ""


def _torch(model: Any, inputs: Any, options: dict[str, Any], output: Path) -> tuple[str, str]:
    import torch

    if inputs is None and not _is(model, "torch.export:ExportedProgram"):
        raise Stopped("inputs", type(model).__name__)
    if isinstance(model, torch.nn.Module):
        model.eval()
    args, kwargs = ((), {}) if inputs is None else arguments(inputs)
    path = str(output)
    asked = {"dynamo": True, "verbose": False, **options}
    torch.onnx.export(model, args, path, kwargs=kwargs or None, **asked)
    return path, f"torch.onnx.export of PyTorch {torch.__version__}"


def _keras(model: Any, inputs: Any, options: dict[str, Any], output: Path) -> tuple[str, str]:
    import keras
    import tensorflow as tf

    args, kwargs = ((), {}) if inputs is None else arguments(inputs)
    if inputs is not None:
        model(*args, **kwargs)
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", model.__call__, _signature(keras, model, args or (kwargs and [kwargs])))
    path = str(output)
    archive.write_out(path, options=tf.saved_model.SaveOptions(save_debug_info=True), verbose=False)
    return path, f"Keras {keras.__version__} on TensorFlow {tf.__version__}"


def _signature(keras: Any, model: Any, inputs: Any) -> Any:
    """Of the example inputs, else the model's own; a batch that the model states is kept."""
    if inputs:
        return keras.tree.map_structure(
            lambda item: keras.InputSpec(
                shape=tuple(item.shape), dtype=keras.backend.standardize_dtype(item.dtype)
            ),
            list(inputs),
        )
    if not getattr(model, "inputs", None):
        raise Stopped("inputs", type(model).__name__)
    stated = {item.name: item.shape for item in keras.tree.flatten(model.inputs) if item.shape[:1] != (None,)}
    from keras.src.export.export_utils import get_input_signature

    return keras.tree.map_structure(
        lambda spec: keras.InputSpec(
            shape=stated.get(spec.name, spec.shape), dtype=spec.dtype, name=spec.name
        ),
        get_input_signature(model),
    )


def _tensorflow(model: Any, inputs: Any, options: dict[str, Any], output: Path) -> tuple[str, str]:
    import tensorflow as tf

    concrete = model
    if not _is_concrete(model):
        function = model if hasattr(model, "get_concrete_function") else model.__call__
        function = function if hasattr(function, "get_concrete_function") else tf.function(function)
        if inputs is None and getattr(function, "input_signature", None) is None:
            raise Stopped("inputs", type(model).__name__)
        args, kwargs = ((), {}) if inputs is None else arguments(inputs)
        concrete = function.get_concrete_function(*args, **kwargs)
    holder = tf.Module()
    holder.owner = model if isinstance(model, tf.Module) else None
    holder.held = list(concrete.variables)
    path = str(output)
    kept = tf.saved_model.SaveOptions(save_debug_info=True)
    tf.saved_model.save(holder, path, signatures={"serving_default": concrete}, options=kept)
    return path, f"TensorFlow {tf.__version__}"


def _jax(model: Any, inputs: Any, options: dict[str, Any], output: Path) -> tuple[str, str]:
    if inputs is None:
        raise Stopped("inputs", type(model).__name__)
    import jax
    import jax2onnx
    import onnx_ir
    from onnx_ir.passes.common import RemoveUnusedNodesPass

    args, kwargs = arguments(inputs)
    if _is(model, "flax.linen:Module"):
        module, state = model, model.init(jax.random.PRNGKey(0), *args, **kwargs)

        def model(*args: Any, **kwargs: Any) -> Any:
            return module.apply(state, *args, **kwargs)

    path = str(output)
    # With the lines of the user's code, which jax2onnx records when it is told to; it leaves what nothing
    # reads in the graph then.
    os.environ.update(JAX2ONNX_ENABLE_STACKTRACE_METADATA="1", JAX2ONNX_STACKTRACE_DETAIL="full")
    specs = [jax.ShapeDtypeStruct(item.shape, item.dtype) for item in args]
    made = jax2onnx.to_onnx(model, inputs=specs, return_mode="ir", **options)
    RemoveUnusedNodesPass()(made)
    onnx_ir.save(made, path)
    return path, f"jax2onnx of JAX {jax.__version__}"


# ---- one request, one answer ---------------------------------------------------------------------


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """What came of a request: the exported file, or what went wrong and at which of the user's lines."""
    told: dict[str, Any] = {"place": None}
    try:
        told.update(_exported(request, told))
    except Stopped as stopped:
        told["error"] = {"stage": stopped.stage, "message": stopped.message, **stopped.told}
        if stopped.cause is not None:
            told["error"].update(_described(stopped.cause, told))
    told["files"] = files()
    if (place := (told.get("error") or {}).get("place")) is not None:
        told["files"] = sorted({*told["files"], place.rpartition(":")[0]})
    return told


def _exported(request: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    module = _staged("import", imported, request["module"], request["file"])
    value = attribute_of(module, request["attribute"])
    told["place"] = definition(value, module, request["attribute"])
    model, inputs, options = _staged("build", built, value, module)
    export = exporter(model, inputs)
    if export is None:
        raise Stopped("kind", _shown(model))
    sys.stderr.flush()
    os.dup2(2, sys.stderr.fileno())  # what is logged from here on is the exporter's
    path, by = _staged("export", export, model, inputs, options, Path(request["output"], request["name"]))
    return {"path": path, "by": by}


def _staged(stage: str, work: Any, *given: Any) -> Any:
    try:
        return work(*given)
    except (Stopped, KeyboardInterrupt):
        raise
    except BaseException as error:  # user code may exit, too
        raise Stopped(stage, cause=error) from None


def _described(error: BaseException, told: dict[str, Any]) -> dict[str, Any]:
    """The first cause: the exporter wraps it in advice of its own."""
    place = place_of(error)
    first = error
    while first.__cause__ is not None:
        first = first.__cause__
    said = first.msg if isinstance(first, SyntaxError) else str(first)
    lines = [line.strip() for line in said.strip().splitlines() if line.strip()]
    row = {"type": type(first).__name__, "message": " ".join(lines[:3])[:_LONGEST], "place": place}
    if isinstance(error, ModuleNotFoundError) or isinstance(first, ModuleNotFoundError):
        missing = first if isinstance(first, ModuleNotFoundError) else error
        row["missing"] = getattr(missing, "name", None)
    return row


def _shown(value: Any) -> str:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return "None" if value is None else f"an object of type {name}"


def main(read_fd: int, write_fd: int, parent: int) -> None:
    """Answer the one request."""
    home = Path(_HERE).parent
    _beside(home.parent / "processes" / "worker.py").prepare(parent)
    _beside(home / "layers.py").watch(own)
    faulthandler.enable()
    for number in (read_fd, write_fd):
        os.set_inheritable(number, False)
    # What Python code writes to either stream is the user's, to standard error until the export begins;
    # the log of native code stays where it is.
    sys.stderr = open(os.dup(1), "w", encoding="utf-8", errors="replace", buffering=1)  # noqa: SIM115, PTH123
    with os.fdopen(read_fd, encoding="utf-8") as requests, os.fdopen(write_fd, "w", encoding="utf-8") as out:
        request = json.loads(requests.readline())
        os.chdir(request["folder"])
        sys.path[:] = [request["folder"], *(item for item in sys.path if item not in (_HOME, ""))]
        sys.argv[:] = [request["text"]]
        faulthandler.dump_traceback_later(max(request["seconds"] - 0.5, 0.5 * request["seconds"]), file=2)
        out.write(json.dumps(answer(request)) + "\n")
        out.flush()
        sys.stdout.flush()
        os._exit(0)  # heavy packages take seconds to tear down


def _beside(file: Path) -> Any:
    """A module of accelint that imports nothing of accelint, from its file."""
    spec = importlib.util.spec_from_file_location(f"_accelint_{file.parent.name}_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:4]))
