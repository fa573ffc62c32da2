"""accelint.analyzer: graph, formats, check, partition, cost, convert, runtimes, parity, report, cli."""
