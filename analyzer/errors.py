"""Every error that accelint raises on purpose, in one file.

A message says what is wrong, where, and what to do. ``exit_code`` is the exit status of the
command line for the error, one of ``EXIT_CODES``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

EXIT_CODES: Mapping[int, str] = {
    0: "fine",
    1: "findings at or above --fail-on, a gate missed, nothing accelerated, or the model rejected",
    2: "wrong usage",
    3: "a model cannot be read",
    4: "the runtime disagrees, crashed or is missing",
    5: "parity failed or could not be compared",
    6: "a worker was ended from outside, so that nothing is known",
    70: "an internal error; --debug shows where",
}
"""What the exit statuses of the command line mean; ``--help`` and the README show this table."""


class AccelintError(Exception):
    """The base class; only its subclasses are raised."""

    exit_code = 2
    kind = "error"

    printed: str = ""
    """What the user's own code printed before, where such was run."""
    files: tuple[str, ...] = ()
    """The user's own files that took part, as far as known."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __reduce__(self) -> tuple[object, ...]:  # stays whole across worker processes
        return (_rebuild, (type(self), self.message, self.__dict__.copy()))


def _rebuild(cls: type[AccelintError], message: str, state: dict[str, object]) -> AccelintError:
    error = cls.__new__(cls)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    return error


class UsageError(AccelintError):
    """A wrong option, target, configuration or request."""

    kind = "usage"


class OutputError(AccelintError):
    """Something cannot be written: a full disk, a closed folder, a name that is too long."""

    kind = "output"


class MissingExtraError(AccelintError):
    """An optional package is needed and not installed."""

    exit_code = 4
    kind = "missing-extra"

    def __init__(self, package: str, extra: str, why: str) -> None:
        super().__init__(f"{why} needs the package {package!r}: pip install 'accelint[{extra}]'")
        self.package = package
        self.extra = extra


class ModelError(AccelintError):
    """A model file cannot be read: about the file, never about what a target supports."""

    exit_code = 3
    kind = "unreadable"

    def __init__(self, path: str | Path, problem: str, advice: str = "") -> None:
        super().__init__(f"{path}: {problem}" + (f" ({advice})" if advice else ""))
        self.path = str(path)
        self.problem = problem
        self.advice = advice


class SourceError(ModelError):
    """The user's code does not import, build or export a model. ``place``: ``file.py:line`` of the user's
    own, where it is known.
    """

    kind = "source"

    def __init__(self, name: str, problem: str, advice: str = "", place: str | None = None) -> None:
        super().__init__(name, problem, advice)
        self.place = place


class GraphError(AccelintError):
    """An edit that would break the graph; nothing was changed."""

    exit_code = 3
    kind = "graph"


class PackError(AccelintError):
    """A rule pack is malformed; the message lists all problems of the file."""

    kind = "pack"


class RuntimeFailure(AccelintError):
    """A runtime is missing, refused, hung or crashed where an answer was needed."""

    exit_code = 4
    kind = "runtime"


class WorkerKilled(RuntimeFailure):
    """A worker was ended from outside, by the system or a person: that tells nothing about the model or the
    runtime.
    """

    exit_code = 6
    kind = "killed"


class JobFailed(RuntimeFailure):
    """A worker answered with an error of its own; ``details`` is what it told."""

    kind = "refused"

    def __init__(self, message: str, details: dict[str, object]) -> None:
        super().__init__(message)
        self.details = details


class ParityError(AccelintError):
    """Two runs of "the same" model disagree by more than was promised."""

    exit_code = 5
    kind = "parity"


class NotCoveredError(AccelintError):
    """An operator, or a form of it, that the reference evaluation of a dialect does not cover. ``operators``
    are all of them, by label and with what is not covered, where more than one is.
    """

    exit_code = 5
    kind = "not-covered"

    def __init__(self, message: str, operators: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.operators = dict(operators or {})


class LimitError(AccelintError):
    """A model asks for more memory or time than this process may spend on it."""

    exit_code = 3
    kind = "limit"


class InternalError(AccelintError):
    """An exception that nobody expected: a defect of accelint. ``trace`` is where it came from."""

    exit_code = 70
    kind = "internal"

    def __init__(self, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.trace = trace

    @classmethod
    def of(cls, error: BaseException, subject: object = "") -> InternalError:
        """The error that an unexpected exception becomes, about ``subject`` where there is one."""
        import traceback

        words = " ".join(str(error).split())[:500]
        where = f"{subject}: " if str(subject) else ""
        told = f"{type(error).__name__}: {words}" if words else type(error).__name__
        return cls(
            f"{where}internal error: {told} (a defect of accelint: --debug shows where)",
            "".join(traceback.format_exception(error)),
        )
