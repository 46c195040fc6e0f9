"""`lookalike releases promote` and `rollback`."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import tyro

from trainer.cli.options import named_database
from trainer.cli.output import print_json
from trainer.progress import console

if TYPE_CHECKING:
    from trainer.release.registry.promotion import Move


@dataclass(frozen=True)
class Promote:
    """Make a release the current one, once it is verified. A newer publication replaces it."""

    release: tyro.conf.Positional[str]
    """Which one, as `releases list` names it."""
    root: str
    """Where releases are kept: a folder or gs://bucket/prefix."""
    no_verify: bool = False
    """Do not read, check and try all of it before."""
    database: str | None = None
    """Where rows of releases may be, postgresql://…; else LOOKALIKE_DATABASE."""
    dry_run: bool = False
    """Verify, say what would be done, and change nothing."""
    json: bool = False
    """Print what was done as JSON on stdout, and nothing else there."""

    def __call__(self) -> None:
        """Promote and say what is current."""
        from function.storage import open_storage
        from trainer.release.registry.promotion import promote

        _tell(
            promote(
                open_storage(self.root),
                self.release,
                verify=not self.no_verify,
                dry_run=self.dry_run,
                database=named_database(self.database),
            ),
            dry_run=self.dry_run,
            as_json=self.json,
        )


@dataclass(frozen=True)
class Rollback:
    """Make the release current that was so before this one, once it is verified.

    A further rollback goes further back, never to a release that was left by one: to serve that
    again, promote it.
    """

    root: str
    """Where releases are kept: a folder or gs://bucket/prefix."""
    no_verify: bool = False
    """Do not read, check and try all of it before."""
    database: str | None = None
    """Where rows of releases may be, postgresql://…; else LOOKALIKE_DATABASE."""
    dry_run: bool = False
    """Verify, say what would be done, and change nothing."""
    json: bool = False
    """Print what was done as JSON on stdout, and nothing else there."""

    def __call__(self) -> None:
        """Roll back and say what is current."""
        from function.storage import open_storage
        from trainer.release.registry.promotion import roll_back

        _tell(
            roll_back(
                open_storage(self.root),
                verify=not self.no_verify,
                dry_run=self.dry_run,
                database=named_database(self.database),
            ),
            dry_run=self.dry_run,
            as_json=self.json,
        )


def _tell(move: "Move", *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json({**asdict(move), "dry_run": dry_run})
        return
    for release_id in move.missing:
        console.print(
            f"Release {release_id} was current too, but is no longer there.", soft_wrap=True
        )
    if dry_run:
        done = "would become current"
    else:
        done = "is current" if move.before != move.after else "was current already"
    instead = "" if move.before in (None, move.after) else f" in place of {move.before}"
    console.print(
        f"[green]✓[/] Release {move.after} {done}{instead}", soft_wrap=True, highlight=False
    )
    further = move.previous[0] if move.previous else "nothing: promote one by its name"
    console.print(f"  A rollback from there leads to {further}", soft_wrap=True, highlight=False)
