"""Standard input, output and error as whoever started the program left them.

A stream that is closed, or a reader that goes away, changes no answer: what cannot be shown is dropped, the
work goes on and the exit status stays what the work found. What is written is inert: see ``inert``.
"""

import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

from ..errors import UsageError
from ..inert import Writer

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Output(io.FileIO):
    """A descriptor whose reader may go away."""

    def write(self, data: "ReadableBuffer") -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            self._drop()
            return len(memoryview(data).cast("B"))
        except OSError as error:
            self._drop()
            raise UsageError(
                f"standard output cannot be written ({error.strerror}): give the report a file with --output"
            ) from error

    def _drop(self) -> None:
        """Send the rest nowhere."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def prepare() -> None:
    """Open what is closed, so that no other file gets its number, and let the reader of an output go."""
    for number, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            _open(number, mode)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = _forgiving(sys.stdout, 1)
    sys.stderr = _forgiving(sys.stderr, 2)


def finish() -> None:
    """Write what is left, so that a full disk is told and not met when the interpreter ends; a server may
    have closed the stream already. Raises UsageError where it cannot be written.
    """
    if not sys.stdout.closed:
        sys.stdout.flush()


def _open(number: int, mode: int) -> None:
    opened = os.open(os.devnull, mode)
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)
    os.set_inheritable(number, True)


def _forgiving(stream: TextIO | None, number: int) -> TextIO:
    if stream is not None:
        stream.flush()
    return Writer(
        io.BufferedWriter(_Output(number, "w", closefd=False)),
        getattr(stream, "encoding", None) or "utf-8",
        styled=os.isatty(number),
        line_buffering=number == 2 or os.isatty(number),
    )
