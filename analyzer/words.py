"""Numbers in words: shares that are never rounded to all or nothing, and plurals that agree."""

from __future__ import annotations


def percent(share: float, digits: int = 0) -> str:
    """A share as ``87%``. Only 1 is ``100%`` and only 0 is ``0%``: digits are added where rounding would
    say so.
    """
    if share in (0, 1):
        return f"{share:.{digits}%}"
    for more in range(digits, digits + 3):
        text = f"{share:.{more}%}"
        if float(text[:-1]) not in (0, 100):
            return text
    least = 10.0 ** -(digits + 2)
    return f"over {100 - least:.{digits + 2}f}%" if share > 0.5 else f"under {least:.{digits + 2}f}%"


def rounded(share: float, digits: int = 6) -> float:
    """A share for JSON, at most ``digits`` long; 1.0 and 0.0 only where it is all or nothing."""
    if share in (0, 1):
        return float(share)
    least = 10.0**-digits
    return round(min(max(share, least), 1 - least), digits)


def counted(number: int, one: str, many: str = "") -> str:
    """``1 partition``, ``2 partitions``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def size(count: int) -> str:
    """Bytes for people: ``1.2 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000  # type: ignore[assignment]
    return ""
