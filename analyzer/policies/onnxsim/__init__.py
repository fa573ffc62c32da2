"""The translation of ONNX models to ML Programs by onnxsim."""
