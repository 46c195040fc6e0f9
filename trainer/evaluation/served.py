"""How well a published release answers, beside the trained network with exact search."""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from function.embedder import Embedder as FunctionEmbedder
from function.embedder import open_embedder
from function.errors import ReleaseError
from function.file_catalog import FileCatalog, open_catalog
from function.golden import check_golden
from function.index import open_index
from function.manifest import CATALOG, GOLDEN, INDEX, Precision
from function.release import LocalRelease, current_release_id, fetch_release
from function.storage import open_storage
from function.vectors import open_vectors
from trainer.data.records import Catalog
from trainer.data.screen import OnBadPhoto, screen
from trainer.errors import TrainingError
from trainer.evaluation.attribution import attribute, step_count
from trainer.evaluation.embedding import compiled, embed_photos
from trainer.evaluation.tasks import evaluated_photos, file_suffix
from trainer.evaluation.unseen import MAX_QUERIES, choose_queries
from trainer.model.embedder import Embedder
from trainer.model.parameters import from_flat, to_flat
from trainer.progress import progress_bar
from trainer.training.compilation import keep_compiled_programs
from trainer.training.run import Run

BATCH_SIZE = 64
# What serves on CPUs, and has embedded the gallery.
ENGINE = "openvino"


def served_recall(
    run_url: str,
    catalog: Catalog,
    root: str,
    *,
    max_queries: int = MAX_QUERIES,
    on_bad_photo: OnBadPhoto = "skip",
    workers: int | None = None,
) -> dict[str, Any]:
    """Measure the current release on products that the run never saw; kept in the run.

    The gallery is the release's: all its products, those that were trained on too, so that figures
    are lower than `evaluate`'s. Queries are the unseen products' photos with role "query"; where
    there is none, their photos in the release, each of which finds anything but itself.

    Args:
        run_url: a folder or gs://bucket/prefix: the run that was published.
        catalog: what was published.
        root: where the release is.
        max_queries: of more, a sample is drawn by a fixed seed.
        on_bad_photo: "skip" lists unreadable photos in the run; "fail" raises.
        workers: threads that decode; None: one per processor.

    Returns:
        JSON's own types:
        - steps: what `Attribution.to_dict` gives.
        - release, index: the release's id, and its index's kind.
        - task: "query_to_catalog" or "leave_one_out".
        - queries, queries_available, queries_without_relevant: measured, before sampling, and
          those left out because the release holds no (other) photo of their product.
        - products, photos: in the release.
        - step: of the run's checkpoint.

    Raises:
        TrainingError: no run, no checkpoint, no unseen product, or the release is of another
            checkpoint or catalogue.
        ReleaseError: there is no release in `root`, or it is damaged.
        CatalogError: a photo cannot be read.
    """
    keep_compiled_programs()
    run = Run(run_url)
    model, step = run.load()
    trained = _Trained(model, run.experiment.image_size)
    unseen = evaluated_photos(run, catalog, on_bad_photo)
    published = screen(catalog, on_bad_photo=on_bad_photo) if run.is_own(catalog) else unseen
    gallery = published.subset(photo for photo in published.photos if photo.role != "query")
    with (
        tempfile.TemporaryDirectory(prefix="lookalike-served-") as scratch,
        _current_release(root, Path(scratch)) as (release, products),
    ):
        _check_weights(release, run, trained)
        _check_rows(release, products, gallery)
        asked = choose_queries(unseen.photos, gallery.photos, max_queries)
        if not asked.photos:
            raise TrainingError(
                f"Expected unseen products with photos in release {release.manifest.release_id}, "
                f"other than the queries themselves; {catalog.name} has none."
            )
        photos = catalog.subset(asked.photos)
        precision = release.manifest.precision_here(ENGINE)
        program = open_embedder(release.folder, ENGINE, precision=precision)
        kind = release.manifest.index.kind
        vectors = [
            embed_photos(
                embedder.embed, part, trained.image_size, batch_size=batch, workers=workers
            )
            # The program gets its queries one by one, as the function does.
            for embedder, part, batch in (
                (trained, photos, BATCH_SIZE),
                (trained, gallery, BATCH_SIZE),
                (program, photos, 1),
            )
        ]
        index = open_index(release.folder / INDEX, kind)
        with progress_bar("Asking", step_count(index) * len(asked.photos)) as bar:
            attribution = attribute(
                index,
                products,
                asked.queries,
                (vectors[0], vectors[1]),
                (vectors[2], open_vectors(release.folder / INDEX).read()),
                on_progress=bar.advance,
            )
    results = {
        "steps": attribution.to_dict(),
        "release": release.manifest.release_id,
        "index": kind,
        "task": asked.task,
        "queries": len(asked.photos),
        "queries_available": asked.available,
        "queries_without_relevant": asked.without_relevant,
        "products": release.manifest.counts.products,
        "photos": release.manifest.counts.images,
        "step": step,
    }
    run.write_json(f"served{file_suffix(run, catalog)}.json", results)
    return results


class _Trained:
    """The run's network in float32, as the function knows a network."""

    precision: Precision = "float"

    def __init__(self, model: Embedder, image_size: int) -> None:
        config = replace(model.config, dtype="float32")
        self.dim = config.output_dim
        self.image_size = image_size
        self.embed = compiled(from_flat(config, to_flat(model)))


@contextmanager
def _current_release(root: str, cache: Path) -> Iterator[tuple[LocalRelease, FileCatalog]]:
    storage = open_storage(root)
    release_id = current_release_id(storage)
    if release_id is None:
        raise ReleaseError(
            f"{storage.url}: expected a published release; found none. Publish the run: "
            f"lookalike publish --run RUN --catalog CATALOG --root {root}"
        )
    release = fetch_release(storage, release_id, cache, engine=ENGINE)
    with closing(open_catalog(release.folder / CATALOG)) as products:
        yield release, products


def _check_weights(release: LocalRelease, run: Run, trained: FunctionEmbedder) -> None:
    try:
        check_golden(trained, release.folder / GOLDEN)
    except ReleaseError as error:
        raise TrainingError(
            f"Release {release.manifest.release_id} was not made of the last checkpoint of "
            f"{run.url}: publish this run, or evaluate the run that was. {error.message}"
        ) from error


def _check_rows(release: LocalRelease, products: FileCatalog, gallery: Catalog) -> None:
    """See that the catalogue's photos are the release's rows."""
    rows = range(release.manifest.index.rows)
    published = [row.product_id for row in products.images(rows)]
    given = [photo.product_id for photo in gallery.photos]
    if published != given:
        raise TrainingError(
            f"Release {release.manifest.release_id} was made of another catalogue: expected its "
            f"{len(published)} photos in their order; {gallery.name} has {len(given)} to publish."
        )
