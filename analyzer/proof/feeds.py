"""What a model is run with in a verification: random values, boundary values, the user's files; one set of
arrays a run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..ir.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray

RANDOM, BOUNDARY = "random", "boundary"


@dataclass(frozen=True)
class Feed:
    """One set of inputs: what it is called in the report and the ``.npz`` with one array an input."""

    label: str
    path: Path


def feeds(
    model: Model,
    inputs: Sequence[str],
    folder: Path,
    *,
    seed: int = 0,
    sizes: Mapping[str, int] | None = None,
) -> list[Feed]:
    """Write the arrays that were asked for.

    Args:
        inputs: each ``random``, ``boundary``, an ``.npz`` or ``.npy``, or a folder of them (a golden set);
        nothing is ``random``.
        folder: where the arrays are written.
        seed: of the random values.
        sizes: of symbolic dimensions by name; others are 1.

    Raises UsageError for a name that is no dimension, a file that is not there or does not fit the model.
    """
    from ..runtimes import tensors

    _known(model, sizes or {})
    made = (item for name in inputs or (RANDOM,) for item in _arrays(model, name, seed, sizes or {}))
    return [
        Feed(label, tensors.write(folder / f"inputs-{index}.npz", arrays))
        for index, (label, arrays) in enumerate(made)
    ]


def _arrays(
    model: Model, name: str, seed: int, sizes: Mapping[str, int]
) -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
    from ..runtimes import inputs

    if name in (RANDOM, BOUNDARY):
        label = f"random, seed {seed}" if name == RANDOM else "boundary values"
        yield label, inputs.for_graph(model.graph, seed=seed, boundary=name == BOUNDARY, sizes=sizes)
        return
    path = Path(name)
    files = (
        sorted(item for item in path.iterdir() if item.suffix in (".npz", ".npy"))
        if path.is_dir()
        else [path]
    )
    if not files:
        raise UsageError(f"{path} holds no .npz or .npy files: give a folder with one for each run")
    for file in files:
        yield str(file), inputs.load(file, model.graph)


def _known(model: Model, sizes: Mapping[str, int]) -> None:
    known = open_sizes(model)
    strange = [name for name in sizes if name not in known]
    if strange:
        raise UsageError(
            f"--size {strange[0]}: no input of {model.path} has that dimension: there are "
            f"{', '.join(known) or 'none'}"
        )


def open_sizes(model: Model) -> list[str]:
    """Names of the open dimensions of the inputs: symbols, and ``input[axis]`` for those without a name."""
    graph = model.graph
    dims = (
        f"{name}[{axis}]" if dim is None else dim
        for name in graph.inputs
        for axis, dim in enumerate(graph.tensor(name).shape or ())
    )
    return list(dict.fromkeys(dim for dim in dims if isinstance(dim, str)))


def renamed(feed: Feed, model: Model, other: Model) -> Path:
    """The same arrays under another model's input names, paired by position where the names differ.

    Raises UsageError when the models have different numbers of inputs.
    """
    from ..runtimes import tensors

    arrays: dict[str, Any] = tensors.read(feed.path)
    names = [name for name in other.graph.inputs if other.graph.tensor(name).const is None]
    if set(names) == set(arrays):
        return feed.path
    if len(names) != len(arrays):
        raise UsageError(
            f"{other.path} has {len(names)} inputs and {model.path} has {len(arrays)}: they "
            f"are not the same model"
        )
    return tensors.write(
        feed.path.with_name(f"reference-{feed.path.name}"), dict(zip(names, arrays.values(), strict=True))
    )
