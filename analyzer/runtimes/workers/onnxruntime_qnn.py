"""ONNX Runtime's QNN execution provider: Qualcomm's HTP, compiled and simulated on x86-64.

Since ONNX Runtime 1.24 it is a plug-in: registered by library, added for the device that it lists.
Options: ``provider`` overrides provider options (``{"htp_graph_finalization_optimization_mode": "3"}``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..socs import SOCS
from .onnxruntime import OrtWorker

if TYPE_CHECKING:
    from pathlib import Path


def open(name: str, folder: Path) -> OrtWorker:
    """A worker for ``onnxruntime/qnn:<soc>``."""
    import onnxruntime
    import onnxruntime_qnn

    soc = SOCS[name.partition(":")[2]]
    defaults = {
        "backend_path": onnxruntime_qnn.get_qnn_htp_path(),
        "soc_model": str(soc.model),
        "htp_arch": str(soc.arch),
    }
    onnxruntime.register_execution_provider_library("QNN", onnxruntime_qnn.get_library_path())
    devices = [item for item in onnxruntime.get_ep_devices() if item.ep_name == "QNN"][:1]
    if not devices:
        raise RuntimeError("the QNN plug-in lists no device on this machine")

    def attach(options: Any, asked: dict[str, Any]) -> None:
        options.add_provider_for_devices(
            devices,
            {**defaults, **{key: str(value) for key, value in dict(asked.get("provider", {})).items()}},
        )

    return OrtWorker(folder, "QNN", attach)
