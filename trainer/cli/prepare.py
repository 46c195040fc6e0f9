"""`lookalike data prepare`: a data set of the field, or a catalogue, in the form to train from."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import tyro

from trainer.cli.options import OnBadPhoto
from trainer.cli.output import print_json
from trainer.progress import console


@dataclass(frozen=True)
class Prepare:
    """Bring a data set into one folder that all commands read, and TensorFlow Datasets too.

    sop: Stanford Online Products, from its zip (--download fetches it, 2.9 GB) or folder. cub:
    CUB-200-2011, from its tgz (--download, 1.2 GB) or folder. cars: Cars196, from a folder with
    cars_annos.mat and car_ims.tgz or car_ims/. inshop: DeepFashion In-Shop, from a folder with
    list_eval_partition.txt and img.zip or img/, as published. catalog: anything that `data check`
    reads. Checksums and the official split are verified; photos are kept byte for byte, in
    array_record files that are read at random without being extracted. Killed, it leaves nothing
    that looks complete: run the same command again.
    """

    data_set: tyro.conf.Positional[Literal["sop", "inshop", "cub", "cars", "catalog"]]
    """Which data set."""
    out: Path
    """The folder to make, for --catalog of other commands and tfds.builder_from_directory."""
    source: Path | None = None
    """Archive or extracted folder. With --download: where to keep the archive."""
    fraction: float = 1.0
    """Share of the products of each split and super-class; smaller parts lie in larger ones."""
    download: bool = False
    """Fetch the archive if it is not there; an interrupted download goes on."""
    on_bad_photo: OnBadPhoto = "skip"
    """Unreadable photos are left out and listed in OUT/bad_photos.csv, or fail the command."""
    json: bool = False
    """Print what was prepared as JSON on stdout, and nothing else there."""

    def __call__(self) -> None:
        """Prepare, or say that it was done before."""
        from trainer.data.prepare.benchmarks import BENCHMARKS, prepare_benchmark
        from trainer.data.prepare.catalogs import prepare_catalog
        from trainer.errors import CatalogError

        if self.data_set == "catalog":
            if self.download or self.source is None:
                raise CatalogError("Expected --source CATALOG, and no --download, for a catalogue")
            prepared, already = prepare_catalog(
                self.source, self.out, fraction=self.fraction, on_bad_photo=self.on_bad_photo
            )
        else:
            prepared, already = prepare_benchmark(
                BENCHMARKS[self.data_set],
                self.out,
                source=self.source,
                fetch=self.download,
                fraction=self.fraction,
                on_bad_photo=self.on_bad_photo,
            )
        if self.json:
            print_json({"catalog": str(self.out), **asdict(prepared), "already": already})
            return
        console.print(
            f"[green]✓[/] {self.out}: {prepared.photos:,} photos of {prepared.products:,} products"
            + (", prepared before" if already else "")
            + (f"; {prepared.bad_photos:,} could not be read" if prepared.bad_photos else "")
        )
