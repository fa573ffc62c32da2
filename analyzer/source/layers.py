"""In the user's interpreter: Keras layers run at the line of the user's code that made them.

Keras traces a functional or sequential model by itself, from its own code, when it is exported: no line of
the user's is on the stack then, and none reaches TensorFlow's debug information. So each layer is noted with
the line that called it, else the one that constructed it, and when Keras calls it later that goes through a
frame of this line. What user code calls itself is on the stack anyway.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import os
import sys
from typing import Any

_FRAME = "<the layer's line>"
_WRAPPER = os.path.join("keras", "src", "utils", "traceback_utils.py")  # noqa: PTH118

_own: Any = None
_lines: dict[int, tuple[Any, str, int]] = {}
"""Layers by id, kept alive so that no id is used twice; their file and line."""
_made: dict[tuple[str, int], Any] = {}


def watch(own: Any) -> None:
    """Note layers once Keras is imported. ``own(file)``: whether a file is the user's."""
    global _own
    _own = own
    sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Finds Keras as the others do, and has it patched when it is imported."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            _patch(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _patch(keras: Any) -> None:
    operation = getattr(keras, "Operation", None)
    if operation is None:  # Keras 2
        return
    construct = operation.__new__

    @functools.wraps(construct)
    def new(kind: Any, *args: Any, **kwargs: Any) -> Any:
        made = construct(kind, *args, **kwargs)
        _note(made, _caller(sys._getframe(1)))
        return made

    operation.__new__ = staticmethod(new)
    for kind in (operation, keras.Layer):
        kind.__call__ = _calling(kind.__call__)


def _calling(call: Any) -> Any:
    @functools.wraps(call)
    def through(self: Any, *args: Any, **kwargs: Any) -> Any:
        frame = _caller(sys._getframe(1))
        if _is_own(frame):
            _note(self, frame)
            return call(self, *args, **kwargs)
        noted = _lines.get(id(self))
        if noted is None or _in_user_code(frame):
            return call(self, *args, **kwargs)
        return _at(noted[1], noted[2])(call, self, args, kwargs)

    return through


def _note(layer: Any, frame: Any) -> None:
    while frame is not None and not _is_own(frame):
        frame = frame.f_back
    if frame is not None:
        _lines[id(layer)] = (layer, frame.f_code.co_filename, frame.f_lineno)


def _caller(frame: Any) -> Any:
    """The frame that really calls: not this module's, and not what Keras wraps around every call."""
    while frame is not None and frame.f_code.co_filename.endswith((__file__, _WRAPPER)):
        frame = frame.f_back
    return frame


def _is_own(frame: Any) -> bool:
    return frame is not None and frame.f_code.co_name != _FRAME and _own(frame.f_code.co_filename)


def _in_user_code(frame: Any) -> bool:
    """Whether the user's code is on the stack inside the innermost layer that has a line."""
    while frame is not None and frame.f_code.co_name != _FRAME:
        if _own(frame.f_code.co_filename):
            return True
        frame = frame.f_back
    return False


def _at(file: str, line: int) -> Any:
    """A function of one frame, which stands at a line of a file."""
    found = _made.get((file, line))
    if found is None:
        text = "\n" * (line - 1) + "def at(call, layer, args, kwargs): return call(layer, *args, **kwargs)"
        space: dict[str, Any] = {}
        exec(compile(text, file, "exec"), space)
        found = space["at"]
        found.__code__ = found.__code__.replace(co_name=_FRAME)
        _made[file, line] = found
    return found
