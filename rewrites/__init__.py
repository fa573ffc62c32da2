"""accelint.rewrites: the rewrite engine and one module per rewrite family."""
