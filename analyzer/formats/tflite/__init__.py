"""TFLite flatbuffers, read into the IR and written back."""
