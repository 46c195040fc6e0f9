"""`lookalike releases verify`."""

import sys
from dataclasses import asdict, dataclass
from typing import Literal

import tyro

from trainer.cli.options import named_database
from trainer.cli.output import print_json
from trainer.errors import LookalikeError
from trainer.progress import console


@dataclass(frozen=True)
class Verify:
    """Read every file of a release and check it; exit status 1 if anything is wrong.

    Sizes and SHA-256 are compared with the manifest, the network's vectors of the golden photos
    with the golden ones, the parts with each other, stored photos with the catalogue; then the
    release must answer a query. Rows in a database are counted.
    """

    root: str
    """Where releases are kept: a folder or gs://bucket/prefix."""
    release: tyro.conf.Positional[str | None] = None
    """Which one; without it, the current one."""
    all: bool = False
    """Verify every release, and that the pointer names one of them."""
    engine: Literal["openvino", "jax"] = "openvino"
    """What runs the network for the golden photos."""
    database: str | None = None
    """Where rows of releases may be, postgresql://…; else LOOKALIKE_DATABASE."""
    json: bool = False
    """Print what was found as JSON on stdout, and nothing else there."""

    def __call__(self) -> None:
        """Verify, and tell all that is wrong."""
        from function.storage import open_storage
        from trainer.release.registry.verification import verify_all, verify_release

        if self.all and self.release is not None:
            raise LookalikeError(f"Expected a release or --all; found {self.release} and --all.")
        storage, database = open_storage(self.root), named_database(self.database)
        if self.all:
            verified = verify_all(storage, engine=self.engine, database=database)
        else:
            verified = [
                verify_release(storage, self.release, engine=self.engine, database=database)
            ]
        if self.json:
            print_json([asdict(each) for each in verified])
        for each in () if self.json else verified:
            if each.problems:
                console.print(f"[red]✗[/] {each.release_id}")
            else:
                told = f"{each.files} files, {each.size / 1e6:,.1f} MB, and it answers"
                console.print(f"[green]✓[/] {each.release_id}: {told}", soft_wrap=True)
            for problem in each.problems:
                console.print(f"  {problem}", soft_wrap=True, highlight=False, markup=False)
        if any(each.problems for each in verified):
            sys.exit(1)
