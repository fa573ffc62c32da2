"""Rewrites of ML Programs (Core ML)."""
