"""Keras v3 archives, built in a worker process and read as TensorFlow graphs."""
