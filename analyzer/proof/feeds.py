"""What a model is run with in a verification: random values, boundary values, the user's files; one set of
arrays a run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..ir.model import Model
from .parity import fed

if TYPE_CHECKING:
    from numpy.typing import NDArray

RANDOM, BOUNDARY = "random", "boundary"


@dataclass(frozen=True)
class Feed:
    """One set of inputs: what it is called in the report, the ``.npz`` with one array an input, and the
    outputs that came with it (golden outputs), where some did.
    """

    label: str
    path: Path
    golden: Mapping[str, NDArray[Any]] | None = None
    open: tuple[str, ...] = ()
    """Symbolic dimensions whose sizes were made up."""
    kind: str = ""
    """``random`` or ``boundary`` where the values were made up."""


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
    made = ((name, item) for name in inputs or (RANDOM,) for item in _arrays(model, name, seed, sizes or {}))
    open_ = tuple(dynamic_sizes(model))
    return [
        Feed(
            label,
            tensors.write(folder / f"inputs-{index}.npz", arrays),
            golden or None,
            open_,
            name if name in (RANDOM, BOUNDARY) else "",
        )
        for index, (name, (label, arrays, golden)) in enumerate(made)
    ]


def has_nan(outputs: Mapping[str, NDArray[Any]]) -> bool:
    """Whether a result is no number."""
    import numpy as np

    return any(array.dtype.kind == "f" and bool(np.isnan(array).any()) for array in outputs.values())


def milder(feed: Feed, model: Model, seed: int, sizes: Mapping[str, int]) -> Iterator[Feed]:
    """Other values in place of those that were made up, ever milder; none in place of a user's own."""
    from ..runtimes import inputs, tensors

    for step in range(1, inputs.MILDEST + 1) if feed.kind else ():
        boundary = feed.kind == BOUNDARY
        arrays = inputs.for_graph(model.graph, seed=seed, boundary=boundary, sizes=sizes, milder=step)
        path = tensors.write(feed.path.with_name(f"milder-{step}-{feed.path.name}"), arrays)
        label = f"{feed.label}, replaced since the reference computed NaN"
        yield replace(feed, label=label, path=path)


Arrays = dict[str, Any]


def _arrays(
    model: Model, name: str, seed: int, sizes: Mapping[str, int]
) -> Iterator[tuple[str, Arrays, Arrays]]:
    from ..runtimes import inputs

    if name in (RANDOM, BOUNDARY):
        label = f"random, seed {seed}" if name == RANDOM else "boundary values"
        yield label, inputs.for_graph(model.graph, seed=seed, boundary=name == BOUNDARY, sizes=sizes), {}
        return
    path = Path(name)
    for files in _sets(path, model) if path.is_dir() else [[path]]:
        yield (str(files[0]), *inputs.load_set(files, model.graph))


def _sets(folder: Path, model: Model) -> list[list[Path]]:
    """The files of each run in a folder: one archive a run, an archive of outputs beside the archive of
    inputs that it is named after (``inputs-1.npz``, ``outputs-1.npz``), or one array a tensor (``x.npy``,
    ``y.npy``).

    Raises UsageError where nothing is there.
    """
    files = sorted(item for item in folder.iterdir() if item.suffix in (".npz", ".npy"))
    if not files:
        raise UsageError(f"{folder} holds no .npz or .npy files: give a folder with one for each run")
    single = [item for item in files if item.suffix == ".npy"]
    tensors = {*model.graph.inputs, *model.graph.outputs}
    if single and {item.stem for item in single} <= tensors:
        return [single, *([item] for item in files if item not in single)]
    names = {item.name: item for item in files}
    beside = {item: names.get(item.name.replace("input", "output")) for item in files if "input" in item.name}
    used = {item for item in beside.values() if item is not None}
    return [[item, *([other] if (other := beside.get(item)) else [])] for item in files if item not in used]


def _known(model: Model, sizes: Mapping[str, int]) -> None:
    known = dynamic_sizes(model)
    strange = [name for name in sizes if name not in known]
    if strange:
        raise UsageError(
            f"--size {strange[0]}: no input of {model.path} has that dimension: there are "
            f"{', '.join(known) or 'none'}"
        )


def dynamic_sizes(model: Model) -> list[str]:
    """Names of the open dimensions of the inputs: symbols, and ``input[axis]`` for those without a name."""
    graph = model.graph
    dims = (
        f"{name}[{axis}]" if dim is None else dim
        for name in graph.inputs
        for axis, dim in enumerate(graph.tensor(name).shape or ())
    )
    return list(dict.fromkeys(dim for dim in dims if isinstance(dim, str)))


def renamed(feed: Feed, model: Model, other: Model) -> Path:
    """The same arrays under another model's input names, paired by position where the names differ, and in
    its types where both are integers or both are floats.

    Raises UsageError when the models have different numbers of inputs.
    """
    from ..runtimes import tensors

    arrays: dict[str, Any] = tensors.read(feed.path)
    wanted = fed(other.graph)
    if len(wanted) != len(arrays):
        raise UsageError(
            f"{other.path} has {len(wanted)} inputs and {model.path} has {len(arrays)}: they "
            f"are not the same model"
        )
    if set(wanted) != set(arrays):
        arrays = dict(zip(wanted, arrays.values(), strict=True))
    made = {name: _as(array, wanted[name].dtype) for name, array in arrays.items()}
    return tensors.write(feed.path.with_name(f"reference-{feed.path.name}"), made)


def _as(array: NDArray[Any], dtype: str) -> NDArray[Any]:
    """The array in a type of the same kind; unchanged where it is of another."""
    kind = {"int": "i", "float": "f"}.get(dtype.rstrip("0123456789"))
    return array.astype(dtype) if kind == array.dtype.kind and dtype != "int4" else array
