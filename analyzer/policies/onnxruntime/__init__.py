"""What ONNX Runtime does for all of its execution providers: node units, functions, layout, folding."""
