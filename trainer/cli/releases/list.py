"""`lookalike releases list`."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from trainer.cli.output import print_json
from trainer.progress import console

if TYPE_CHECKING:
    from trainer.release.registry.listing import Listed


@dataclass(frozen=True)
class ListReleases:
    """List the releases in a root, newest first."""

    root: str
    """Where releases are kept: a folder or gs://bucket/prefix."""
    json: bool = False
    """Print the list as JSON on stdout, and nothing else there."""

    def __call__(self) -> None:
        """List: R@1 of the network, the index's recall at 10, the megabytes of all files."""
        from function.storage import open_storage
        from trainer.release.registry.listing import list_all

        storage = open_storage(self.root)
        releases = list_all(storage)
        if self.json:
            print_json([asdict(release) for release in releases])
            return
        if not releases:
            console.print(
                f"{storage.url} holds no releases. Is it the root that was meant? A first one: "
                f"lookalike publish --run RUN --catalog CATALOG --root {self.root}",
                soft_wrap=True,
            )
            return
        columns = ("Release", "", "Products", "Photos", "R@1", "Index", "MB")
        table = Table(*columns, box=SIMPLE_HEAD, show_edge=False, collapse_padding=True)
        table.columns[0].no_wrap = True
        for column in ("Products", "Photos", "R@1", "MB"):
            table.columns[columns.index(column)].justify = "right"
        for release in releases:
            table.add_row(release.release_id, _mark(release), *_cells(release))
        Console().print(table)


def _mark(release: "Listed") -> str:
    if release.state == "unfinished":
        return "[dim]unfinished[/]"
    if release.current:
        return "[bold]current[/]"
    return "previous" if release.previous else ""


def _cells(release: "Listed") -> tuple[str, ...]:
    if release.state == "unfinished":
        return ()
    if release.state == "damaged":
        return ("", "", "", f"[red]{escape(release.problem)}[/]")
    recall = "" if release.recall_at_1 is None else f"{release.recall_at_1:.1%}"
    return (
        f"{release.products:,}",
        f"{release.images:,}",
        recall,
        f"{release.index} {release.recall_at_10:.3f}",
        f"{release.size / 1e6:,.1f}",
    )
