"""The OpenVINO execution provider: its own division of a graph, and the models its compiler stops at."""
