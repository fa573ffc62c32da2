"""onnx's reference evaluator as a target of accelint."""
