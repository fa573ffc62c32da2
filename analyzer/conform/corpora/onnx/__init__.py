"""Generated ONNX models, one module a family."""
