"""The commands as functions."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..ir.model import Model
from .results import Report

if TYPE_CHECKING:
    from ...rules.pack import Chosen
    from ..check.coverage import Entry
    from ..flows.fix import FixResult

Source = str | os.PathLike[str] | Model
"""A model: its path, or what ``accelint.load`` returned."""


def check(
    models: Source | Iterable[Source],
    targets: str | Sequence[str],
    *,
    optimize: str | None = None,
    pack: str | os.PathLike[str] | None = None,
    keep_errors: bool = False,
) -> Report:
    """Predict what becomes of every operator of models on targets.

    Args:
        models: one or several; each is read once for all targets.
        targets: names, families and known names, as ``--target`` takes them.
        optimize: ONNX Runtime's optimization level, ``default`` (where nothing is given) or ``off``.
        pack: a pack of your own (TOML) for one of the targets.
        keep_errors: a model that cannot be read is in the report's ``errors`` and not raised.

    Raises ModelError for a model that cannot be read, UsageError for an unknown target or one that takes no
    such model.
    """
    packs = _packs(targets, pack)
    entries = [_checked(source, packs, optimize, keep_errors) for source in _several(models)]
    if not any(entry.coverages or entry.error or entry.failures for entry in entries):
        raise UsageError(
            "; ".join(f"{name} {why}" for entry in entries for name, why in entry.skipped.items())
            or "no model was given"
        )
    return Report(entries)


def fix(
    model: Source,
    target: str,
    output: str | os.PathLike[str] | None = None,
    *,
    freeze: Mapping[str, Sequence[int] | int] | Sequence[str] = (),
    level: str = "safe",
    unproved: bool = False,
    optimize: str | None = None,
    pack: str | os.PathLike[str] | None = None,
) -> FixResult:
    """Change a model so that more of it runs on a target, each change proved against the original.

    Args:
        model: an ONNX or TFLite model; one that was loaded is changed in place.
        target: one target.
        output: where the result is written; without it nothing is.
        freeze: sizes of dynamic shapes, ``{"input": (1, 3, 224, 224), "batch": 1}``, or words as
            ``--freeze`` takes them.
        level: ``safe`` (the same bits, or rounding) or ``unsafe`` (approximations too).
        unproved: keep changes that could not be compared.

    Raises UsageError when nothing may be written (``FixResult.not_written``) and an output was asked for.
    """
    from ..flows import targets as named
    from ..flows.fix import deliver
    from ..flows.fix import fix as apply

    loaded = _loaded(model)
    if output is not None:
        from ..files import protect

        protect([Path(output)], [loaded.path])
    chosen = named.one(target, _packs(target, pack), loaded.dialect)
    result = apply(loaded, chosen, _words(freeze), level, unproved=unproved, optimize=optimize)
    if output is not None:
        if result.not_written:
            raise UsageError(f"nothing was written: {result.not_written}")
        deliver(result, chosen, Path(output))
    return result


def verify(
    model: str | os.PathLike[str],
    target: str,
    *,
    against: str | os.PathLike[str] | None = None,
    inputs: Sequence[str] = (),
    sizes: Mapping[str, Sequence[int] | int] | Sequence[str] = (),
    parity: bool = True,
    latency: int = 0,
    optimize: str | None = None,
    timeout: float = 300.0,
) -> Report:
    """Run a target's real runtime: where each operator ran, and whether the numbers agree.

    Args:
        against: the reference model; without it the model itself on the reference runtime.
        inputs: ``random``, ``boundary``, files and folders of arrays.
        sizes: of dynamic dimensions, as in ``fix``.
        latency: timed runs.
        timeout: seconds that the runtime gets.

    Raises RuntimeFailure when the runtime is not here. What the runtime did is in each result's ``actual``.
    """
    from ..flows import targets as named
    from ..flows.check_file import check_file
    from ..flows.optimized import level_of, leveled
    from ..flows.verify import Options
    from ..flows.verify import verify as ask

    packs = _packs(target, None)
    entry = check_file(Path(model), packs, optimize=optimize, flow=True)
    if entry.error is not None:
        raise entry.error
    assert entry.model is not None
    chosen = named.one(target, packs, entry.model.dialect)
    if not entry.coverages or entry.model.dialect != chosen.pack.dialect:
        raise UsageError(f"{chosen.target} does not run {entry.model.dialect} models: convert {model} first")
    options = Options(
        None if against is None else Path(against),
        tuple(inputs),
        parity=parity,
        latency_runs=latency,
        timeout=timeout,
    )
    if leveled(chosen):
        options = replace(options, runtime_options={"optimize": level_of(optimize)})
    if sizes:
        from ...rewrites.freeze import chosen_sizes

        options = replace(options, sizes=chosen_sizes(entry.model.graph, _words(sizes), "sizes"))
    verified = ask(entry.model, chosen, entry.coverages[0], options)
    entry.extra[chosen.target] = {**entry.extra.get(chosen.target, {}), **verified.to_json()}
    return Report([entry])


def diff(old: Report | Source, new: Report | Source, targets: str | Sequence[str] = ()) -> dict[str, Any]:
    """What changed between two reports or models, as the document that ``accelint schema diff`` describes;
    ``targets`` is for what is no report yet.
    """
    from ..report.difference import difference

    both = [item if isinstance(item, Report) else check(item, targets) for item in (old, new)]
    return difference(both[0].to_json(), both[1].to_json())


# ---- helpers ---------------------------------------------------------------------------------


def _packs(targets: str | Sequence[str], pack: str | os.PathLike[str] | None) -> list[Chosen]:
    from ..flows.targets import chosen

    words = [targets] if isinstance(targets, str) else list(targets)
    return chosen(words, None if pack is None else Path(pack))


def _several(models: Source | Iterable[Source]) -> list[Source]:
    return [models] if isinstance(models, str | os.PathLike | Model) else list(models)


def _checked(source: Source, packs: Sequence[Chosen], optimize: str | None, keep: bool) -> Entry:
    from ..flows.check_file import check_file, check_model

    if isinstance(source, Model):
        return check_model(source, packs, optimize=optimize, flow=True)
    entry = check_file(Path(source), packs, optimize=optimize, flow=True)
    if entry.error is not None and not keep:
        raise entry.error
    return entry


def _loaded(model: Source) -> Model:
    from ..formats import load

    return model if isinstance(model, Model) else load(Path(model))


def _words(sizes: Mapping[str, Sequence[int] | int] | Sequence[str]) -> list[str]:
    if not isinstance(sizes, Mapping):
        return list(sizes)
    return [
        f"{name}={size if isinstance(size, int) else 'x'.join(map(str, size))}"
        for name, size in sizes.items()
    ]
