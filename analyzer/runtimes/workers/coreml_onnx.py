"""ONNX to Core ML with onnxsim, the maintained route since coremltools dropped its own ONNX front end.

The model is simplified first and then translated node by node, as ``onnxsim model.onnx out.onnx
--emit-coreml`` does. The translation stops at the first node that it cannot express: the whole model is
refused, with that node's name and type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..answers import Answer, Placed, Request
from .onnx_names import mark

if TYPE_CHECKING:
    from pathlib import Path

_TARGETS = {"ios15": "iOS15", "ios16": "iOS16", "ios17": "iOS17", "ios18": "iOS18"}


class OnnxSimWorker:
    """Converts in this process for the minimum deployment target that the runtime's variant names."""

    def __init__(self, name: str, folder: Path) -> None:
        import onnx
        import onnxsim
        from onnxsim.coreml_export import convert_to_coreml

        self.onnx, self.onnxsim, self.convert = onnx, onnxsim, convert_to_coreml
        self.target = _TARGETS[name.partition(":")[2] or "ios15"]
        self.folder = folder

    def __call__(self, request: Request) -> Answer:
        """One answer. Nothing is run: outputs and latency are never given."""
        try:
            model = self.onnx.load(str(request.model))
            nodes = mark(request.model).nodes if request.placement else []
        except Exception as error:
            return Answer("refused", reason=f"onnx: {words(error)}")
        try:
            made = self.convert(
                self._simplified(model), minimum_deployment_target=self.target, **self._asked(request)
            )
        except Exception as error:  # onnxsim raises RuntimeError, coremltools nearly everything
            return Answer("refused", reason=words(error))
        if "output" in request.options:
            made.save(str(request.options["output"]))
        placement = tuple(
            Placed(
                node.index,
                node.name,
                node.type,
                "folded" if node.type == "Constant" else "accelerator",
                node.graph,
            )
            for node in nodes
        )
        return Answer("ok", placement=placement, notes={"minimum_deployment_target": self.target})

    def _asked(self, request: Request) -> dict[str, Any]:
        """The precision, where one is asked for."""
        found = request.options.get("precision")
        if found is None:
            return {}
        import coremltools

        return {"compute_precision": getattr(coremltools.precision, str(found).upper())}

    def _simplified(self, model: Any) -> Any:
        """What the command line converts: the simplified model, or the model itself when onnxsim cannot
        simplify it.
        """
        try:
            simple, _ = self.onnxsim.simplify(model)
        except Exception:
            return model
        return simple


def words(error: BaseException) -> str:
    """An error's type and message on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:2000]


def open(name: str, folder: Path) -> OnnxSimWorker:
    """A worker for ``coreml/convertible-onnx:<ios15|ios16|ios17|ios18>``, or to convert for
    ``coreml/onnxsim``.
    """
    return OnnxSimWorker(name, folder)
