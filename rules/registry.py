"""Which packs there are, and how a target is written: ``onnxruntime/qnn:sm8650@1.31.1``."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from ..analyzer.errors import UsageError
from .folders import nearest, pack_folder, pack_folders, shipped
from .loader import read_pack, read_shipped
from .pack import Chosen, Pack

__all__ = ["choose", "in_dialect", "load_pack", "nearest", "pack_folders"]


@cache
def load_pack(target: str) -> Pack:
    """The pack of a target without variant. Raises UsageError with the nearest names when there is none."""
    folder = pack_folder(target)
    if folder is None:
        raise UsageError(f"no target is named {target!r}: {nearest(target, list(pack_folders()))}")
    return read_shipped(folder) if target in shipped() else read_pack(folder)


def choose(target: str, pack_file: Path | None = None) -> Chosen:
    """The pack for a target as a user writes it. Raises UsageError on an unknown target, variant or version,
    and for a pack file of another target.
    """
    name, _, version = target.partition("@")
    name, _, variant = name.partition(":")
    pack = load_pack(name) if pack_file is None else read_pack(pack_file)
    if pack.target != name:
        raise UsageError(f"{pack_file} is a pack for {pack.target} and not for {name}: ask for {pack.target}")
    if variant and variant not in pack.variants:
        known = [f"{name}:{item}" for item in pack.variants]
        raise UsageError(f"{name} has no variant {variant!r}: {nearest(f'{name}:{variant}', known)}")
    if pack_file is not None:
        pack = replace(pack, file=pack_file)
    return pack.chosen(variant, _release(pack, version))


def _release(pack: Pack, version: str) -> str:
    if not version:
        return pack.version
    found = pack.release(version)
    if found is None:
        raise UsageError(
            f"{pack.target} has no rules for {pack.runtime} {version}: known versions are "
            f"{', '.join(pack.versions)}"
        )
    return found


def in_dialect(chosen: Chosen, dialect: str) -> Chosen | None:
    """The pack of the same accelerator for models of another dialect, None when there is none.

    It is named after the dialect: ``coreml/ane`` takes ``mil`` and ``coreml/ane-nn`` takes ``nn``.
    """
    if chosen.pack.dialect == dialect:
        return chosen
    name = f"{chosen.pack.target}-{dialect}"
    if pack_folder(name) is None:
        return None
    pack = load_pack(name)
    version = (
        chosen.version if pack.runtime == chosen.pack.runtime else ""
    )  # another runtime counts its versions otherwise
    return pack.chosen(chosen.variant if chosen.variant in pack.variants else "", version)
