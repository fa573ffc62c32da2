"""Which runtimes there are, what each needs, and whether it is here; told without importing any of them."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Runtime:
    """One runtime: the module that asks it and the packages that it consists of.

    Attributes:
        name: ``litert/gpu``; a variant follows after a colon where ``variants`` is not empty
        (``onnxruntime/qnn:sm8650``).
        module: of this package; it has ``ask(request, folder) -> Answer`` and,
        where asked with a variant, reads ``variant``.
        dialect: the format that it runs.
        packages: distributions whose versions identify it, the telling one first.
        install: the command that brings the packages.
        variants: what may follow the colon; the first is used when none is given.
        any_variant: any word may follow the colon; the worker says whether this machine is that (a chip).
        isolated: packages with versions for an environment of its own, because they collide with others.
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


def every() -> tuple[Runtime, ...]:
    """Every runtime that accelint can ask."""
    litert = ("ai-edge-litert",)
    return (
        Runtime(
            "litert/cpu",
            "litert_cpu",
            "tflite",
            litert,
            "pip install 'accelint[litert]'",
            "LiteRT's built-in kernels without delegates: the reference",
        ),
        Runtime(
            "litert/xnnpack",
            "litert_cpu",
            "tflite",
            litert,
            "pip install 'accelint[litert]'",
            "LiteRT's XNNPACK delegate",
        ),
        Runtime(
            "litert/gpu",
            "litert_gpu",
            "tflite",
            litert,
            "pip install 'accelint[litert]'",
            "LiteRT's GPU accelerator (ML Drift, WebGPU backend)",
            extra_check=_vulkan,
        ),
        Runtime(
            "litert/intel-npu",
            "intel_npu",
            "tflite",
            ("openvino", "ai-edge-litert"),
            "accelint runtimes add litert/intel-npu",
            "Intel NPU partitioning by LiteRT's compiler plug-in",
            variants=("ptl", "lnl"),
            isolated=("ai-edge-litert==2.3.0", "openvino==2026.3.1"),
            extra_check=_linux_x86,
        ),
        Runtime(
            "litert/ethos-u",
            "vela",
            "tflite",
            ("ethos-u-vela",),
            "pip install 'accelint[ethos-u]'",
            "Vela, the compiler of the Arm Ethos-U NPUs",
            variants=("u55", "u65", "u85"),
        ),
        Runtime(
            "onnxruntime/cpu",
            "onnxruntime_cpu",
            "onnx",
            ("onnxruntime",),
            "pip install 'accelint[onnxruntime]'",
            "ONNX Runtime's CPU execution provider: the reference",
        ),
        Runtime(
            "onnxruntime/qnn",
            "onnxruntime_qnn",
            "onnx",
            ("onnxruntime-qnn", "onnxruntime"),
            "pip install 'accelint[qnn]'",
            "Qualcomm HTP by ONNX Runtime's QNN plug-in (x86-64 simulation)",
            variants=_socs(),
            extra_check=_linux_x86,
        ),
        Runtime(
            "onnxruntime/openvino",
            "onnxruntime_openvino",
            "onnx",
            ("onnxruntime-openvino",),
            "accelint runtimes add onnxruntime/openvino",
            "Intel OpenVINO as an execution provider",
            variants=("cpu",),
            isolated=("onnxruntime-openvino==1.24.1", "onnx==1.23.2", "numpy"),
        ),
        Runtime(
            "onnxruntime/webgpu",
            "onnxruntime_webgpu",
            "onnx",
            ("onnxruntime-webgpu",),
            "accelint runtimes add onnxruntime/webgpu",
            "ONNX Runtime's WebGPU execution provider",
            isolated=("onnxruntime-webgpu==1.27.0", "onnx==1.23.2", "numpy"),
            extra_check=_vulkan,
        ),
        Runtime(
            "coreml/convertible-onnx",
            "coreml_onnx",
            "onnx",
            ("onnxsim", "coremltools"),
            "accelint runtimes add coreml/convertible-onnx",
            "onnxsim's translation of ONNX models to ML Programs",
            variants=("ios15", "ios16", "ios17", "ios18"),
            isolated=("onnxsim==0.8.1", "coremltools==9.0", "onnx==1.23.2", "onnxruntime==1.31.1", "numpy"),
        ),
        *(
            Runtime(
                f"coreml/{unit}",
                "coreml",
                "mil",
                ("coremltools",),
                "pip install 'accelint[coreml]'",
                f"Core ML's compute plan and prediction on the {about}",
                any_variant=unit == "ane",
                extra_check=_macos,
            )
            for unit, about in (("ane", "Neural Engine"), ("gpu", "GPU"), ("cpu", "CPU"))
        ),
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
