"""The roads that the command line walks: check a file, fix, verify."""
