"""Progress bars on stderr: what runs, how far, how fast, how long still."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

console = Console(stderr=True)


class Task(Protocol):
    """A running bar."""

    def advance(self, count: int = 1, *, note: str | None = None) -> None:
        """Count `count` more units done; `note` replaces the text behind the bar."""


class _Bar:
    def __init__(self, progress: Progress, label: str, total: int, completed: int) -> None:
        self._progress = progress
        self._task = progress.add_task(label, total=total, completed=completed, note="")

    def advance(self, count: int = 1, *, note: str | None = None) -> None:
        if note is None:
            self._progress.advance(self._task, count)
        else:
            self._progress.update(self._task, advance=count, note=note)


@contextmanager
def progress_bar(label: str, total: int, *, completed: int = 0) -> Iterator[Task]:
    """Show a bar while the block runs; where stderr is no terminal, one line at its end.

    Args:
        label: what is being done, as the user would say it: "Training".
        total: units of work in all, those of an earlier, interrupted run included.
        completed: units already done by an earlier run.
    """
    columns = (
        TextColumn("{task.description:<17}"),
        # Narrow, so that all columns fit a terminal of 80 characters.
        BarColumn(bar_width=18),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[note]}", style="dim"),
    )
    with Progress(*columns, console=console) as progress:
        yield _Bar(progress, label, total, completed)


def track[T](items: Iterable[T], label: str, total: int) -> Iterator[T]:
    """Yield `items`, showing a bar that counts them."""
    with progress_bar(label, total) as bar:
        for item in items:
            yield item
            bar.advance()
