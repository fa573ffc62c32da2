"""ONNX: protobuf messages walked on the wire, read into the IR and written back."""
