"""Finding a Vulkan driver: the user's own, or SwiftShader, which renders on the CPU and comes with
chromium.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_ICD = (
    "/usr/lib/chromium/vk_swiftshader_icd.json",
    "/usr/lib64/chromium-browser/vk_swiftshader_icd.json",
    "/opt/google/chrome/vk_swiftshader_icd.json",
)
_LOADER = "libvulkan.so.1"


def icd() -> Path | None:
    """The driver manifest: ``VK_ICD_FILENAMES`` or ``VK_DRIVER_FILES`` when set and there, else
    SwiftShader's.
    """
    for variable in ("VK_DRIVER_FILES", "VK_ICD_FILENAMES"):
        for item in os.environ.get(variable, "").split(os.pathsep):
            if item and Path(item).is_file():
                return Path(item)
    return next((Path(item) for item in _ICD if Path(item).is_file()), None)


def prepare(folder: Path) -> None:
    """Make this process find the driver, its loader and a private runtime folder. Before any GPU library is
    loaded.
    """
    manifest = icd()
    if manifest is not None:
        os.environ["VK_ICD_FILENAMES"] = str(manifest)
        _load_beside(manifest)
    private = folder / "xdg"
    private.mkdir(mode=0o700, exist_ok=True)
    os.environ["XDG_RUNTIME_DIR"] = str(private)


def _load_beside(manifest: Path) -> None:
    """Load the Vulkan loader that ships beside the driver when the system has none: later loads by name find
    it.
    """
    if sys.platform != "linux":
        return
    import ctypes

    try:
        ctypes.CDLL(_LOADER, mode=ctypes.RTLD_GLOBAL)
    except OSError:
        beside = manifest.parent / _LOADER
        if beside.is_file():
            ctypes.CDLL(str(beside), mode=ctypes.RTLD_GLOBAL)
