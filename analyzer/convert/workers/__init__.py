"""What runs in the process of a converter: TensorFlow and coremltools are imported here and nowhere else."""
