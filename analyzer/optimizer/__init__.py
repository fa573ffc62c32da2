"""What ONNX Runtime's first optimization level makes of a graph before it asks any provider."""
