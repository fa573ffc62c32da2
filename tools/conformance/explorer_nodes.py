"""Record what Model Explorer's adapters call the graphs and nodes of the fixtures.

Run it with a Python that has ai-edge-model-explorer and model-explorer-onnx (700 MB, in an environment of its
own); it writes fixtures/recorded/model_explorer.json, which tests/test_forms.py compares with.

    python -m venv .work/me && .work/me/bin/pip install ai-edge-model-explorer model-explorer-onnx onnx
    .work/me/bin/python tools/conformance/explorer_nodes.py
"""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parent.parent.parent / "fixtures"
DRAWN = {
    "Input", "Output", "Initializer", "InitializedInput", "(Capture)", "(Phi)", "GraphInputs", "GraphOutputs",
    "pseudo_const",
}  # fmt: skip
"""Labels of nodes that are no operators of the file."""
MODELS = (
    "demo/encoder.onnx", "onnx/bodies.onnx", "onnx/everything.onnx", "onnx/functions.onnx",
    "demo/denoiser.tflite", "tflite/gru_while.tflite", "tflite/conditional.tflite",
    "tflite/signatures.tflite",
)  # fmt: skip


def main() -> None:
    from model_explorer.builtin_tflite_flatbuffer_adapter import BuiltinTfliteFlatbufferAdapter
    from model_explorer_onnx.main import ONNXAdapter

    found: dict[str, Any] = {}
    for name in MODELS:
        adapter = BuiltinTfliteFlatbufferAdapter() if name.endswith(".tflite") else ONNXAdapter()
        answer = adapter.convert(str(FIXTURES / name), {})
        graphs = answer.get("graphs") or [
            graph for collection in answer["graphCollections"] for graph in _get(collection, "graphs")
        ]
        found[name] = {
            _get(graph, "id"): [
                _get(node, "id") for node in _get(graph, "nodes") if _get(node, "label") not in DRAWN
            ]
            for graph in graphs
        }
    packages = ("ai-edge-model-explorer", "ai-edge-model-explorer-adapter", "model-explorer-onnx", "onnx-ir")
    record = {"versions": {name: version(name) for name in packages}, "models": found}
    target = FIXTURES / "recorded" / "model_explorer.json"
    target.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"{target}: {len(found)} models")


def _get(item: Any, name: str) -> Any:
    return item[name] if isinstance(item, dict) else getattr(item, name)


if __name__ == "__main__":
    main()
