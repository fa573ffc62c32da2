"""The error that an exception becomes which nobody caught."""

from __future__ import annotations

from .errors import AccelintError, InternalError, LimitError
from .processes.memory import limit, shown


def unexpected(error: BaseException, subject: object = "") -> AccelintError:
    """The error that an exception becomes which nobody caught, about ``subject`` where there is one."""
    if not isinstance(error, MemoryError):
        return InternalError.of(error, subject)
    where = f"{subject}: " if str(subject) else ""
    return LimitError(f"{where}more than {shown(limit())} of memory are needed: raise it with --memory SIZE")
