"""How a runtime cuts a graph, on plain data: workers use it too, and they import no IR."""
