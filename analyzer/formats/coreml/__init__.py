"""Core ML packages and model files: ML Programs and NeuralNetworks."""
