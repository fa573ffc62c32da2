"""What a person sees while something takes longer than a second; nothing where standard error is no
terminal.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def busy(what: str) -> Iterator[Callable[[str], None]]:
    """A line with a moving bar and the time that has passed, gone at the end; call what it yields to say
    which step is under way.
    """
    if not sys.stderr.isatty():
        yield lambda step: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from ..inert import line

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=sys.__stderr__), transient=True) as bar:
        task = bar.add_task(line(what), total=None)
        yield lambda step: bar.update(task, description=line(f"{what}: {step}"))
