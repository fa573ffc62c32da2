"""The graph: operators, tensors and models in every dialect."""
