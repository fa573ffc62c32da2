"""Rewrites of TFLite operators, one module a family."""
