"""ML Program operators as ONNX, a family a module; sources: coremltools' documentation of each and its own
evaluation of constants (``converters/mil/mil/ops/defs``).
"""
