"""A run and a catalogue that no memory holds to a release whose rows lie in a database.

The listing is walked through, photo by photo; it is embedded in shards, and these are loaded one by
one. What looks at the catalogue as a whole is left out: scores are not calibrated, copies of a
picture count as pictures of their own, and a product and image that are listed twice are noticed by
the database alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from function.embedder import open_embedder
from function.errors import ReleaseError
from function.release import LocalRelease
from trainer.data.large import LargeCatalog
from trainer.data.records import Catalog, Photo
from trainer.data.screen import OnBadPhoto, add_to_report, screen
from trainer.errors import PublishError
from trainer.release.assembly import assemble_release
from trainer.release.build import export_program
from trainer.release.contents import Contents
from trainer.release.embedding import SERVING_ENGINE
from trainer.release.from_run import MOST_TRIED, measured_before, reports_of
from trainer.release.indexing import DEFAULT_RECALL
from trainer.release.precision import PrecisionChoice
from trainer.release.publication import build_and_publish, open_root
from trainer.release.rows import Rows
from trainer.release.sampling import sampled_products
from trainer.release.shards.catalog import CatalogEmbedder
from trainer.release.shards.cluster import Cluster
from trainer.release.shards.job import ROWS_PER_SHARD, Job
from trainer.release.shards.planning import OpenProgram
from trainer.release.shards.reading import read_contents, unreadable_photos
from trainer.training.run import Run


def publish_large(
    run_url: str,
    catalog: LargeCatalog,
    root: str,
    *,
    rows: Rows,
    image_base_url: str | None = None,
    precision: PrecisionChoice = "auto",
    on_bad_photo: OnBadPhoto = "skip",
    recall: float = DEFAULT_RECALL,
    cluster: Cluster | None = None,
    rows_per_shard: int = ROWS_PER_SHARD,
) -> str:
    """Publish a run's last checkpoint over a catalogue of any length; memory holds some shards.

    Args:
        run_url, root, image_base_url, precision, on_bad_photo, recall, cluster: as for
            `publish_run`.
        catalog: what is to be found; photos with role "query" are left out.
        rows: takes index and catalogue in parts: a database.
        rows_per_shard: photos.

    Returns:
        The release's id, now the current one.

    Raises:
        CatalogError: rows of the listing are bad.
        TrainingError, PublishError, StorageError: as `publish_run`.
        DatabaseError: as `Rows.put`.
    """
    run = Run(run_url)
    model, step = run.load()
    report = reports_of(run)
    drawn = _sample(catalog)
    tried = screen(drawn, on_bad_photo=on_bad_photo, report=report)
    known = {*drawn.photos} - {*tried.photos}
    storage, pointer = open_root(root)
    embedder = CatalogEmbedder(
        storage, cluster=cluster, on_bad_photo=on_bad_photo, rows_per_shard=rows_per_shard
    )

    def build(folder: Path) -> LocalRelease:
        try:
            program = export_program(
                model, run.experiment.image_size, tried, folder, precision=precision
            )
            opened = open_embedder(folder, SERVING_ENGINE, precision=program.precision)
            job = embedder.complete(catalog, OpenProgram(folder, program.model, opened))
            bad = [found for found in unreadable_photos(job) if found[0] not in known]
            add_to_report(bad, report)
            return assemble_release(
                program,
                _Chunks(job, image_base_url),
                folder,
                evaluation=measured_before(run, step),
                recall=recall,
                rows=rows,
            )
        except ReleaseError as error:
            raise PublishError(f"The release would not serve. {error.message}") from error

    release_id = build_and_publish(storage, pointer, build, rows)
    embedder.discard()
    return release_id


@dataclass(frozen=True)
class _Chunks:
    """What a job found, shard by shard, as often as somebody asks; shards without photos are none.

    Attributes:
        job: finished.
        image_base_url: as for `image_rows`.
    """

    job: Job
    image_base_url: str | None

    def __iter__(self) -> Iterator[Contents]:
        chunks = read_contents(self.job, self.image_base_url)
        return (chunk for chunk in chunks if chunk.images)

    def __len__(self) -> int:
        return self.job.plan().shards


def _sample(catalog: LargeCatalog) -> Catalog:
    """Return the photos that the program is measured with."""

    def listed() -> Iterator[Photo]:
        return (photo for photo in catalog.photos() if photo.role != "query")

    drawn = sampled_products(listed(), catalog.rows, MOST_TRIED)
    first = next(drawn, None)
    # Few products of very many photos each may all have been passed over.
    photos = islice(listed(), MOST_TRIED) if first is None else chain([first], drawn)
    # One that is drawn may have any number of photos.
    return Catalog(catalog.name, catalog.source, tuple(islice(photos, 2 * MOST_TRIED)))
