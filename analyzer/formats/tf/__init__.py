"""TensorFlow SavedModel and GraphDef, read without TensorFlow."""
