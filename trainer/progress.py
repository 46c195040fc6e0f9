"""Progress bars on stderr: what runs, how far, how fast, how long still."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

# A notebook says that it is a terminal and shows each movement of a bar on a line of its own; the
# bars that are made for it need packages of theirs. Rich's TTY_COMPATIBLE says that what is written
# comes to a terminal in the end.
_terminal = sys.stderr.isatty() or "TTY_COMPATIBLE" in os.environ
console = Console(stderr=True, force_jupyter=False, force_terminal=None if _terminal else False)


class Task(Protocol):
    """A running bar."""

    def advance(self, count: int = 1, *, note: str | None = None) -> None:
        """Count `count` more units done; `note` replaces the line below the bar."""


class _Bar(Progress):
    """A bar, and below it a line for what the caller has to say."""

    def __init__(self, label: str, total: int, completed: int) -> None:
        super().__init__(
            TextColumn("{task.description:<17}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
        )
        self._note = ""
        self._only = self.add_task(label, total=total, completed=completed)

    def get_renderables(self) -> Iterator[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        # Asked for by rich before our own constructor ends.
        if note := getattr(self, "_note", ""):
            yield Text(f"  {note}", style="dim")

    def count(self, count: int = 1, *, note: str | None = None) -> None:
        if note is not None:
            self._note = note
        self.advance(self._only, count)


class _Counter:
    def __init__(self, bar: _Bar) -> None:
        self._bar = bar

    def advance(self, count: int = 1, *, note: str | None = None) -> None:
        self._bar.count(count, note=note)


@contextmanager
def progress_bar(label: str, total: int, *, completed: int = 0) -> Iterator[Task]:
    """Show a bar while the block runs; where stderr is no terminal, its last state alone.

    Args:
        label: what is being done, as the user would say it: "Training".
        total: units of work in all, those of an earlier, interrupted run included.
        completed: units already done by an earlier run.
    """
    with _Bar(label, total, completed) as bar:
        yield _Counter(bar)


def track[T](items: Iterable[T], label: str, total: int) -> Iterator[T]:
    """Yield `items`, showing a bar that counts them."""
    with progress_bar(label, total) as bar:
        for item in items:
            yield item
            bar.advance()
