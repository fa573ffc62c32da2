"""Integer inputs of one element that are no data: a sample rate, a length. Any number would be of the right
type, and models reject or crash on most.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..ir.graph import Graph, Tensor

_COMPARES = {"EQUAL", "NOTEQUAL"}
_MOVES = {"CAST", "IDENTITY", "RESHAPE", "SQUEEZE", "UNSQUEEZE"}
_RATE = 16000
"""Hertz: what most models of speech are trained with."""
_RATES = {"sr", "fs", "rate", "samplerate", "samplingrate"}
_LENGTHS = {"length", "lengths", "len", "lens"}


def meant(graph: Graph, name: str) -> tuple[int, str] | None:
    """The value that an input stands for, and why; None where nothing tells.

    First of all a number that the model itself compares it with (``if sr == 16000``), then what its name
    says.
    """
    tensor = graph.tensor(name)
    if not tensor.dtype.removeprefix("u").startswith("int") or not _single(tensor):
        return None
    found = _meant(graph, name)
    most = (1 << int(re.sub(r"\D", "", tensor.dtype)) - (not tensor.dtype.startswith("u"))) - 1
    return found if found is not None and 0 <= found[0] <= most else None


def _meant(graph: Graph, name: str) -> tuple[int, str] | None:
    compared = next(_compared(graph, name), None)
    if compared is not None:
        return compared, f"the model compares it with {compared}"
    words = _words(name)
    if words & _RATES:
        return _RATE, "a sample rate"
    size = _shortest(graph, name) if words & _LENGTHS else None
    return None if size is None else (size, "a length")


_MASKS = {"mask", "masks", "attentionmask"}


def is_mask(graph: Graph, name: str) -> bool:
    """Whether integers of an input say which positions count, by its name: ones and zeros alone mean
    something.
    """
    dtype = graph.tensor(name).dtype
    integers = dtype in ("int32", "int64", "bool", "uint8", "int8")
    return integers and bool(_words(name) & _MASKS)


def _single(tensor: Tensor) -> bool:
    return tensor.shape is not None and all(dim == 1 or not isinstance(dim, int) for dim in tensor.shape)


def _words(name: str) -> set[str]:
    """The words of a name: ``sampling_rate`` gives ``sampling``, ``rate`` and ``samplingrate``."""
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
    return {*words, "".join(words)}


def _compared(graph: Graph, name: str) -> Iterator[int]:
    """Stored numbers that the value is compared with, past operators that only move or convert it."""
    todo, seen = [name], {name}
    while todo:
        current = todo.pop(0)
        for op in graph.consumers(current):
            kind = op.type.upper().replace("_", "")
            if kind in _COMPARES:
                for other in op.inputs:
                    stored = graph.constant(other) if other != current else None
                    if stored is not None and stored.elements == 1:
                        yield int(stored.numbers()[0])
            elif kind in _MOVES and op.inputs and op.inputs[0] == current:
                fresh = [item for item in op.outputs if item and item not in seen]
                seen.update(fresh)
                todo += fresh


def _shortest(graph: Graph, name: str) -> int | None:
    """A length that the data has along every axis behind the batch; None where a size is unknown."""
    data = [
        tensor
        for other in graph.inputs
        if other != name and (tensor := graph.tensor(other)).const is None and len(tensor.shape or ()) > 1
    ]
    if not data:
        return None
    sizes = max(data, key=lambda tensor: len(tensor.shape or ())).shape or ()
    return min((dim if isinstance(dim, int) else 1 for dim in sizes[1:]), default=1)
