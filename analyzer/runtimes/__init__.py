"""The real runtimes, each asked in a process of its own."""
