"""`lookalike releases …`: what was published, looked after."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from trainer.cli.releases.diff import Diff
from trainer.cli.releases.list import ListReleases
from trainer.cli.releases.promote import Promote, Rollback
from trainer.cli.releases.prune import Prune
from trainer.cli.releases.verify import Verify


@dataclass(frozen=True)
class Releases:
    """Releases in a root: list, verify and compare them, choose the one that is served, remove old
    ones."""

    command: tyro.conf.OmitSubcommandPrefixes[
        Annotated[ListReleases, tyro.conf.subcommand("list")]
        | Annotated[Verify, tyro.conf.subcommand("verify")]
        | Annotated[Diff, tyro.conf.subcommand("diff")]
        | Annotated[Promote, tyro.conf.subcommand("promote")]
        | Annotated[Rollback, tyro.conf.subcommand("rollback")]
        | Annotated[Prune, tyro.conf.subcommand("prune")]
    ]

    def __call__(self) -> None:
        """Do what the chosen command does."""
        self.command()
