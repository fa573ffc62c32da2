"""Which rewrite answers which finding, as the rewrites themselves declare."""

from __future__ import annotations


def fixes_by_finding() -> dict[str, str]:
    """Finding code or rule name -> the id of the rewrite that answers it."""
    try:
        from ..rewrites.registry import answers
    except ImportError:
        return {}
    return answers()
