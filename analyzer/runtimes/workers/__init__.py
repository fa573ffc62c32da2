"""What runs in the process of a runtime: one module a runtime; they import no IR."""
