"""Freezing shapes: the sizes that the user names are written into the model, and what follows from them is
worked out.

A freeze is a change of the model's contract that the user asks for, so nothing is guessed: names that the
model does not have, and sizes that contradict it or each other, are a UsageError that lists the names there
are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..analyzer.errors import UsageError
from ..analyzer.ir.graph import Dim, Graph, Shape, Tensor
from ..analyzer.names import meant
from ..rules.folders import nearest

if TYPE_CHECKING:
    from ..analyzer.ir.model import Model

OPTION = "--freeze"
"""The option of the command line that the messages speak of."""
ROUNDS = 64
"""Inference and folding feed each other; real models settle in a few rounds."""
_SIZES = re.compile(r"^(\d+|\?)([x,](\d+|\?))*$")

Infer = Callable[["Model"], None]
"""Writes every type and shape that it can tell into the model's tensors."""
Fold = Callable[[Graph], Mapping[str, int]]
"""Folds what became constant; returns the number of edits by rewrite."""


@dataclass(frozen=True, slots=True)
class Request:
    """One ``--freeze NAME=SIZES``: a symbol's or the batch's size, or an input's shape (None keeps a
    dimension).
    """

    name: str
    sizes: tuple[int | None, ...]
    text: str
    option: str = OPTION

    @property
    def shown(self) -> str:
        """The request as it was written."""
        return f"{self.option} {self.text!r}"

    @property
    def single(self) -> int | None:
        """The size, when there is exactly one."""
        return self.sizes[0] if len(self.sizes) == 1 else None


@dataclass(frozen=True)
class Frozen:
    """What a freeze did: new shapes of inputs and outputs, the symbols' values, folded operators, and what
    stays unknown.
    """

    symbols: Mapping[str, int]
    inputs: Mapping[str, Shape]
    outputs: Mapping[str, Shape]
    edits: Mapping[str, int]
    open: tuple[str, ...]

    @property
    def text(self) -> str:
        """In words, for a report."""
        parts = [f"{name}={size}" for name, size in self.symbols.items()]
        parts += [f"{name}: {shown(shape)}" for name, shape in {**self.inputs, **self.outputs}.items()]
        if self.open:
            parts.append(f"{len(self.open)} tensors keep unknown sizes, {self.open[0]!r} first")
        return ", ".join(parts)


def shown(shape: Shape) -> str:
    """A shape as a user writes it: ``1x3x224x224``."""
    if shape is None:
        return "unknown rank"
    return "x".join("?" if dim is None else str(dim) for dim in shape) or "scalar"


def parse(texts: Iterable[str], option: str = OPTION) -> list[Request]:
    """``N=1``, ``input=1x3x224x224``, ``batch=1``. Raises UsageError on anything else."""
    requests = []
    for text in texts:
        name, equals, sizes = text.rpartition("=")
        name, sizes = name.strip(), sizes.strip().lower().replace(" ", "")
        if not equals or not name or not _SIZES.match(sizes):
            raise UsageError(f"{option} {text!r} is not NAME=SIZES: write N=1, batch=1 or input=1x3x224x224")
        numbers = tuple(None if part == "?" else int(part) for part in re.split("[x,]", sizes))
        if 0 in numbers:
            raise UsageError(f"{option} {text!r} has a size of 0: sizes are at least 1")
        requests.append(Request(name, numbers, text, option))
    return requests


def chosen_sizes(graph: Graph, texts: Sequence[str], option: str) -> dict[str, int]:
    """The sizes that the user gives dynamic dimensions of inputs, the graph unchanged: by symbol, and as
    ``input[axis]`` where a dimension has no name.

    Raises UsageError as ``freeze`` does.
    """
    shapes, sizes = _decide(graph, parse(texts, option))
    for name, shape in shapes.items():
        before = graph.tensor(name).shape
        if before is None:
            raise UsageError(f"{option}: the rank of {name!r} is unknown: give --inputs with an array for it")
        for axis, (old, new) in enumerate(zip(before, shape or (), strict=True)):
            if old is None and isinstance(new, int):
                sizes[f"{name}[{axis}]"] = new
    return sizes


def freeze(model: Model, texts: Sequence[str], infer: Infer, fold: Fold) -> Frozen:
    """Write the sizes into the model, then infer shapes and fold what became constant until nothing changes.

    Raises UsageError, before anything is changed, for a name that the model does not have or a contradiction.
    """
    graph = model.graph
    shapes, symbols = _decide(graph, parse(texts))
    before = {name: graph.tensor(name).shape for name in (*graph.inputs, *graph.outputs)}
    for name, shape in shapes.items():
        graph.set_tensor(_with_shape(graph.tensor(name), shape))
    for scope in _graphs(model):
        _substitute(scope, symbols)
    edits: dict[str, int] = {}
    for _ in range(ROUNDS):
        infer(model)
        made = fold(graph)
        for id, count in made.items():
            edits[id] = edits.get(id, 0) + count
        if not made:
            break
    after = {name: graph.tensor(name).shape for name in before}
    return Frozen(
        symbols,
        {name: after[name] for name in graph.inputs if after[name] != before[name]},
        {name: after[name] for name in graph.outputs if after[name] != before[name]},
        edits,
        tuple(name for name, tensor in graph.tensors.items() if not tensor.static),
    )


# ---- deciding --------------------------------------------------------------------------------


def _decide(graph: Graph, requests: Sequence[Request]) -> tuple[dict[str, Shape], dict[str, int]]:
    """The new shapes of inputs and the values of symbols that the requests amount to."""
    known = free_symbols(graph)
    symbols: dict[str, tuple[int, str]] = {}
    shapes: dict[str, Shape] = {name: graph.tensor(name).shape for name in graph.inputs}
    for request in requests:
        named = meant(request.name, graph.inputs)
        if request.single is not None and request.name in known:
            _bind(symbols, request.name, request.single, request.text)
        elif request.name == "batch" and request.name not in named:
            for name in _batched(graph, request):
                shape = shapes[name] or ()
                shapes[name] = _merge(
                    name, shape, replace(request, sizes=(request.single, *[None] * (len(shape) - 1))), symbols
                )
        elif len(named) == 1:
            shapes[named[0]] = _merge(named[0], shapes[named[0]], request, symbols)
        elif named:
            raise UsageError(
                f"{request.shown}: {request.name} is short for several inputs: {', '.join(named)}: "
                f"write more of the name"
            )
        else:
            raise UsageError(
                f"{request.shown}: the model has no symbolic dimension or input of that name: "
                f"{_names(graph, known, request.name)}"
            )
    values = {name: value for name, (value, _) in symbols.items()}
    frozen = {name: _filled(shape, values) for name, shape in shapes.items()}
    return {name: shape for name, shape in frozen.items() if shape != graph.tensor(name).shape}, values


def free_symbols(graph: Graph) -> list[str]:
    """Names of the symbolic dimensions of the graph's inputs, in order. Others depend on these, or on
    data.
    """
    shapes = [graph.tensor(name).shape or () for name in graph.inputs]
    return list(dict.fromkeys(dim for shape in shapes for dim in shape if isinstance(dim, str)))


def _names(graph: Graph, symbols: Sequence[str], word: str) -> str:
    inputs = [name for name in graph.inputs if not graph.tensor(name).static]
    names = [*(name for name in symbols if name.isidentifier()), *inputs]
    return nearest(word, names) if names else "all of its shapes are static"


def _bind(symbols: dict[str, tuple[int, str]], name: str, value: int, text: str) -> None:
    before = symbols.setdefault(name, (value, text))
    if before[0] != value:
        raise UsageError(
            f"--freeze {text!r} says {name}={value}, and {before[1]!r} says "
            f"{name}={before[0]}: give it one size"
        )


def _merge(name: str, shape: Shape, request: Request, symbols: dict[str, tuple[int, str]]) -> Shape:
    if shape is None:
        if None in request.sizes:
            raise UsageError(f"{request.shown}: the rank of {name!r} is unknown, so every size must be given")
        return request.sizes
    if len(request.sizes) != len(shape):
        raise UsageError(f"{request.shown} has {len(request.sizes)} sizes, but {name!r} is {shown(shape)}")
    return tuple(_size(name, shape, axis, size, request, symbols) for axis, size in enumerate(request.sizes))


def _size(
    name: str,
    shape: tuple[Dim, ...],
    axis: int,
    size: int | None,
    request: Request,
    symbols: dict[str, tuple[int, str]],
) -> Dim:
    dim = shape[axis]
    if size is None or dim == size:
        return dim
    if isinstance(dim, int):
        raise UsageError(
            f"{request.shown}: {name!r} is {shown(shape)}, its size at axis {axis} "
            f"is {dim} and cannot become {size}"
        )
    if isinstance(dim, str):
        _bind(symbols, dim, size, request.text)
    return size


def _batched(graph: Graph, request: Request) -> list[str]:
    """Inputs with an unknown leading dimension."""
    if request.single is None:
        raise UsageError(f"{request.shown}: the batch is one size, as in batch=1")
    shapes = {name: graph.tensor(name).shape for name in graph.inputs}
    found = [name for name, shape in shapes.items() if shape and not isinstance(shape[0], int)]
    if not found:
        inputs = ", ".join(f"{name} {shown(shape)}" for name, shape in shapes.items())
        raise UsageError(f"{request.shown}: no input has an unknown leading dimension: {inputs}")
    return found


# ---- writing ---------------------------------------------------------------------------------


def _filled(shape: Shape, symbols: Mapping[str, int]) -> Shape:
    return (
        None
        if shape is None
        else tuple(symbols.get(dim, dim) if isinstance(dim, str) else dim for dim in shape)
    )


def _graphs(model: Model) -> list[Graph]:
    found = dict.fromkeys([model.graph])
    found.update(dict.fromkeys(body for _, op in model.graph.walk() for body in op.graphs.values()))
    return list(found)


def _substitute(graph: Graph, symbols: Mapping[str, int]) -> None:
    for tensor in list(graph.tensors.values()):
        shape = _filled(tensor.shape, symbols)
        if shape != tensor.shape:
            graph.set_tensor(_with_shape(tensor, shape))


def _with_shape(tensor: Tensor, shape: Shape) -> Tensor:
    """The tensor in a shape; what the format stored about the unknown one is dropped."""
    attrs = {
        key: value for key, value in tensor.attrs.items() if key not in ("shape_signature", "stored_shape")
    }
    return replace(tensor, shape=shape, attrs=attrs)


def learn(graph: Graph, name: str, dtype: str, shape: Shape) -> bool:
    """Take over what inference found out about a tensor; known sizes stay. Returns whether anything is
    new.
    """
    tensor = graph.tensors.get(name)
    if tensor is None or tensor.const is not None:
        return False
    merged = _more(tensor.shape, shape)
    kind = dtype if tensor.dtype == "unknown" else tensor.dtype
    if merged == tensor.shape and kind == tensor.dtype:
        return False
    graph.set_tensor(replace(_with_shape(tensor, merged), dtype=kind))
    return True


def _more(old: Shape, new: Shape) -> Shape:
    if new is None or old is None:
        return old if new is None else new
    if len(old) != len(new):
        return old if old else new
    return tuple(
        mine if isinstance(mine, int) or theirs is None else theirs
        for mine, theirs in zip(old, new, strict=True)
    )
