"""`lookalike data …`: catalogues, made, checked or prepared."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from trainer.cli.options import OnBadPhoto
from trainer.cli.output import print_json, readable
from trainer.cli.prepare import Prepare
from trainer.cli.stats import Stats
from trainer.progress import console


@dataclass(frozen=True)
class Studio:
    """Make a catalogue of synthetic product photos."""

    out: Path
    """The folder to write: metadata.csv and images/."""
    products: int = 300
    """How many products."""
    photos_per_product: int = 10
    """How many photos of each."""
    image_size: int = 96
    """Width and height in pixels."""
    seed: int = 0
    """Another seed, other products."""
    json: bool = False
    """Print what was made as JSON on stdout, and nothing else there."""

    def __call__(self) -> None:
        """Write the catalogue; go on with one that was interrupted."""
        from trainer.data.studio import write_studio_catalog

        write_studio_catalog(
            self.out,
            products=self.products,
            photos_per_product=self.photos_per_product,
            seed=self.seed,
            image_size=self.image_size,
        )
        if self.json:
            print_json({"catalog": str(self.out), "products": self.products})
        else:
            console.print(f"[green]✓[/] {self.out}: {self.products} products")


@dataclass(frozen=True)
class Check:
    """Read a catalogue and all its photos, and say what is in it."""

    catalog: tyro.conf.Positional[str]
    """Folder, tar, CSV, JSON Lines or Parquet file; all but tars also on gs://."""
    on_bad_photo: OnBadPhoto = "skip"
    """What an unreadable photo does: be skipped, counted and listed, or fail the command."""
    report: Path = Path("bad_photos.csv")
    """Where unreadable photos are listed; replaced by each check, removed if there are none."""
    json: bool = False
    """Print the summary as JSON on stdout, and nothing else there."""

    def __call__(self) -> None:
        """Print the summary."""
        from trainer.data.catalog import open_catalog
        from trainer.data.screen import screen
        from trainer.data.summary import describe

        catalog = open_catalog(self.catalog)
        screened = screen(catalog, on_bad_photo=self.on_bad_photo, report=self.report)
        summary = describe(screened) | {"bad_photos": len(catalog.photos) - len(screened.photos)}
        if self.json:
            print_json(summary)
            return
        table = Table("", catalog.name, show_edge=False)
        for key, value in summary.items():
            table.add_row(key.replace("_", " "), readable(value))
        Console().print(table)


@dataclass(frozen=True)
class Data:
    """Catalogues: make a synthetic one, check, measure or prepare one; data sets of the field."""

    command: tyro.conf.OmitSubcommandPrefixes[
        Annotated[Studio, tyro.conf.subcommand("studio")]
        | Annotated[Check, tyro.conf.subcommand("check")]
        | Annotated[Stats, tyro.conf.subcommand("stats")]
        | Annotated[Prepare, tyro.conf.subcommand("prepare")]
    ]

    def __call__(self) -> None:
        """Do what the chosen command does."""
        self.command()
