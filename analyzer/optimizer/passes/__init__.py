"""The passes, one module a kind; ``level1`` has their order."""
