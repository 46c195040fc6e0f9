"""`lookalike releases prune`."""

import sys
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from trainer.cli.options import named_database
from trainer.cli.output import print_json
from trainer.errors import LookalikeError
from trainer.progress import console

if TYPE_CHECKING:
    from trainer.release.registry.pruning import Plan


@dataclass(frozen=True)
class Prune:
    """Remove old releases, and what cut-off publishers left.

    The current release and the one before it always stay.
    """

    root: str
    """Where releases are kept: a folder or gs://bucket/prefix."""
    keep: int = 3
    """How many of the newest complete releases stay, 1 or more."""
    grace_hours: float = 24.0
    """Younger releases stay, finished or not: they may be on their way to be current."""
    images: bool = False
    """Remove stored photos too that no remaining catalogue has. Not while a publisher runs: it
    would find photos gone that it counts on, and fail."""
    embeddings: bool = False
    """Remove what publications embedded that were cut off, and not begun again within the grace.
    Not while a publisher runs that takes longer."""
    database: str | None = None
    """Where rows of releases may be, postgresql://…; else LOOKALIKE_DATABASE. Those of releases
    that are removed, are removed too."""
    dry_run: bool = False
    """Say what would be removed, and change nothing."""
    yes: bool = False
    """Do not ask."""
    json: bool = False
    """Print what was removed as JSON on stdout, and nothing else there."""

    def __call__(self) -> None:
        """Plan, show, ask, remove."""
        from function.storage import open_storage
        from trainer.release.registry.pruning import plan_pruning, prune

        if self.keep < 1:
            raise LookalikeError(f"--keep: expected 1 or more; found {self.keep}.")
        if self.grace_hours < 0:
            raise LookalikeError(f"--grace-hours: expected 0 or more; found {self.grace_hours:g}.")
        storage, database = open_storage(self.root), named_database(self.database)
        plan = plan_pruning(
            storage,
            keep=self.keep,
            grace=timedelta(hours=self.grace_hours),
            images=self.images,
            embeddings=self.embeddings,
            database=database,
        )
        if not self.json:
            _show(plan)
        todo = bool(plan.releases or plan.images or plan.embeddings)
        removed = todo and not self.dry_run and (self.yes or _agreed())
        if removed:
            prune(storage, plan, database)
        if self.json:
            print_json({**asdict(plan), "size": plan.size, "removed": removed})
        elif removed:
            console.print(f"[green]✓[/] {plan.size / 1e6:,.1f} MB are free")
        elif not todo:
            console.print("Nothing to remove.")
        elif self.dry_run:
            console.print(f"Nothing was removed: {plan.size / 1e6:,.1f} MB would be free.")
        else:
            console.print("Nothing was removed.")


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise LookalikeError("Expected --yes where nobody can be asked; nothing was removed.")
    console.print("Remove all of this? \\[y/N] ", end="")
    return sys.stdin.readline().strip().casefold() in ("y", "yes")


def _show(plan: "Plan") -> None:
    if not (plan.releases or plan.images or plan.embeddings):
        return
    table = Table("Release", "", "Files", "MB", show_edge=False)
    for column in table.columns[2:]:
        column.justify = "right"
    for removal in plan.releases:
        size = f"{removal.size / 1e6:,.1f}"
        table.add_row(removal.release_id, removal.reason, f"{len(removal.names):,}", size)
    if plan.images:
        size = f"{plan.images_size / 1e6:,.1f}"
        table.add_row("photos of no release", "", f"{len(plan.images):,}", size)
    if plan.embeddings:
        size = f"{plan.embeddings_size / 1e6:,.1f}"
        table.add_row("shards of no release", "", f"{len(plan.embeddings):,} jobs", size)
    if plan.in_database:
        size = f"{plan.in_database_size / 1e6:,.1f}"
        table.add_row("their rows in the database", "", "", size)
    Console().print(table)
