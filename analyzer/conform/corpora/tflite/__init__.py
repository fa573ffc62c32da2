"""Generated TFLite models, one module a family."""
