"""Which runtimes there are, what each needs, and whether it is here; told without importing any of them.

A runtime is declared by a file in ``declared`` and asked by a module in ``workers``.
"""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..extensions import added, load

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Runtime:
    """One runtime: the module that asks it and the packages that it consists of.

    Attributes:
        name: ``litert/gpu``; a variant follows after a colon where ``variants`` is not empty
        (``onnxruntime/qnn:sm8650``).
        module: of ``workers``, or a file by path; it has ``open(name, folder)``, which returns what answers a
            ``Request`` with an ``Answer``.
        dialect: the format that it runs.
        packages: distributions whose versions identify it, the telling one first.
        install: the command that brings the packages.
        variants: what may follow the colon; the first is used when none is given.
        any_variant: any word may follow the colon; the worker says whether this machine is that (a chip).
        isolated: packages with versions for an environment of its own, because they collide with others.
        reference: its numbers are those that others are compared with.
        label: what is said with its numbers, where they are not those of the dialect's own runtime.
        extra_check: what else is missing, as (what, command), or None.
    """

    name: str
    module: str
    dialect: str
    packages: tuple[str, ...]
    install: str
    about: str
    variants: tuple[str, ...] = ()
    isolated: tuple[str, ...] = ()
    any_variant: bool = False
    reference: bool = False
    label: str = ""
    extra_check: Callable[[], tuple[str, str] | None] = lambda: None


@dataclass(frozen=True, slots=True)
class RuntimeInfo:
    """A line of ``accelint runtimes``: what is here and the command that brings what is not."""

    name: str
    version: str | None
    available: bool
    missing: str
    command: str
    about: str
    dialect: str
    variants: tuple[str, ...] = ()
    isolated: bool = False


def _vulkan() -> tuple[str, str] | None:
    from .vulkan import icd

    return None if icd() else ("a Vulkan driver (SwiftShader renders on the CPU)", "apt install chromium")


def _linux_x86() -> tuple[str, str] | None:
    if sys.platform == "linux" and platform.machine() == "x86_64":
        return None
    return ("Linux on x86-64, the only system that its package is built for", "")


def _macos() -> tuple[str, str] | None:
    if sys.platform == "darwin" and int(platform.mac_ver()[0].split(".")[0] or 0) >= 14:
        return None
    return ("macOS 14.4 or later: Core ML runs nowhere else", "")


def _socs() -> tuple[str, ...]:
    from .socs import SOCS

    return tuple(SOCS)


NEEDS = {"vulkan": _vulkan, "linux-x86-64": _linux_x86, "macos": _macos}
"""What a declaration may name in ``needs``: each tells what is missing, as (what, command), or None."""
_VARIANTS = {"qualcomm-socs": _socs}
_KEYS = {
    "about": str,
    "worker": str,
    "dialect": str,
    "packages": list,
    "install": str,
    "variants": list,
    "variants_of": str,
    "any_variant": bool,
    "isolated": list,
    "needs": str,
    "reference": bool,
    "label": str,
}
_DECLARED = Path(__file__).parent / "declared"


@cache
def every() -> tuple[Runtime, ...]:
    """Every runtime that accelint can ask: those declared here, and those that distributions add."""
    ours = _declared(_DECLARED)
    found = {item.name: item for item in ours}
    for name in added("runtimes"):
        for item in _declared(_folder(load("runtimes", name), name)):
            found.setdefault(item.name, item)
    return tuple(found.values())


def reference(dialect: str) -> str | None:
    """The runtime whose numbers count for models of a dialect, None where there is none."""
    return next((item.name for item in every() if item.reference and item.dialect == dialect), None)


def _folder(entry: object, name: str) -> Path:
    """An entry names a folder of declarations and workers, or a package whose folder it is."""
    place = getattr(entry, "__path__", None)
    folder = Path(next(iter(place))) if place else Path(str(entry))
    if not folder.is_dir():
        raise UsageError(f"the entry {name!r} of accelint.runtimes names no folder: {folder}")
    return folder


def _declared(folder: Path) -> list[Runtime]:
    return [_runtime(file) for file in sorted(folder.glob("*.toml"))]


def _runtime(file: Path) -> Runtime:
    """One declaration; ``litert_intel_npu.toml`` is ``litert/intel-npu``. Raises UsageError."""
    from ...rules.tables import read_tables

    name = file.stem.replace("_", "/", 1).replace("_", "-")
    try:
        table = read_tables(file)
    except (OSError, ValueError) as error:
        raise UsageError(f"{file}: not readable as TOML: {error}") from error
    wrong = [key for key, value in table.items() if not isinstance(value, _KEYS.get(key, ()))]
    missing = [key for key in ("about", "worker", "dialect", "packages") if key not in table]
    if wrong or missing:
        words = [
            *(f"{key}: unknown key or wrong type" for key in wrong),
            *(f"{key} is missing" for key in missing),
        ]
        raise UsageError(f"{file}: {'; '.join(words)}")
    isolated = tuple(table.get("isolated", ()))
    own = table["worker"].endswith(".py")
    return Runtime(
        name,
        str(file.with_name(table["worker"])) if own else table["worker"],
        table["dialect"],
        tuple(table["packages"]),
        table.get("install", f"accelint runtimes add {name}" if isolated else ""),
        table["about"],
        variants=_VARIANTS[table["variants_of"]]()
        if "variants_of" in table
        else tuple(table.get("variants", ())),
        isolated=isolated,
        any_variant=table.get("any_variant", False),
        reference=table.get("reference", False),
        label=table.get("label", ""),
        extra_check=NEEDS[table["needs"]] if "needs" in table else lambda: None,
    )


def find(name: str) -> tuple[Runtime, str | None]:
    """The runtime and variant that a name means. Raises UsageError with the nearest names."""
    base, _, variant = name.partition(":")
    known = {item.name: item for item in every()}
    found = known.get(base)
    if found is None:
        import difflib

        near = difflib.get_close_matches(base, known, 3, 0.4) or list(known)
        raise UsageError(
            f"there is no runtime {base!r}: one of {', '.join(near)} (accelint runtimes lists them)"
        )
    if found.any_variant:
        return found, variant or None
    if not found.variants:
        if variant:
            raise UsageError(f"{base} has no variants: ask for {base!r}")
        return found, None
    if variant and variant not in found.variants:
        raise UsageError(f"{base} knows no {variant!r}: one of {', '.join(found.variants)}")
    return found, variant or found.variants[0]


def python_of(runtime: Runtime) -> Path:
    """The interpreter that runs its worker: this one, or its own environment's."""
    from .environments import python

    own = python(runtime.name)
    return own if runtime.isolated and own is not None else Path(sys.executable)


def info(runtime: Runtime) -> RuntimeInfo:
    """Whether it can be asked here and now."""
    versions = {package: _version(runtime, package) for package in runtime.packages}
    absent = [package for package, version in versions.items() if version is None]
    extra = runtime.extra_check() if not absent else None
    missing, command = (", ".join(absent), runtime.install) if absent else extra or ("", "")
    return RuntimeInfo(
        name=runtime.name,
        version=versions[runtime.packages[0]],
        available=not missing,
        missing=missing,
        command=command,
        about=runtime.about,
        dialect=runtime.dialect,
        variants=runtime.variants,
        isolated=bool(runtime.isolated),
    )


def identity(runtime: Runtime) -> str:
    """Package and version of the one that is asked, ``onnxruntime-qnn 2.7.0``."""
    return f"{runtime.packages[0]} {_version(runtime, runtime.packages[0]) or '(not installed)'}"


def _version(runtime: Runtime, package: str) -> str | None:
    if runtime.isolated:
        from .environments import version

        return version(runtime.name, package)
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
