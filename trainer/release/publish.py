"""A trained network and a catalogue to a release that functions pick up."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from function.release import LocalRelease
from trainer.data.records import Catalog
from trainer.data.screen import OnBadPhoto, Report
from trainer.errors import PublishError
from trainer.model.embedder import Embedder
from trainer.release.build import build_release
from trainer.release.calibration.fitting import DEFAULT_FALSE_MATCH_RATE
from trainer.release.indexing import DEFAULT_RECALL
from trainer.release.precision import PrecisionChoice
from trainer.release.publication import build_and_publish, open_root
from trainer.release.rows import Rows
from trainer.release.shards.catalog import CatalogEmbedder
from trainer.release.shards.cluster import Cluster


def publish(
    model: Embedder,
    image_size: int,
    catalog: Catalog,
    root: str,
    *,
    evaluation: Mapping[str, Any],
    image_base_url: str | None = None,
    precision: PrecisionChoice = "auto",
    workers: int | None = None,
    recall: float = DEFAULT_RECALL,
    unseen: Collection[str] = (),
    false_match_rate: float = DEFAULT_FALSE_MATCH_RATE,
    rows: Rows | None = None,
    cluster: Cluster | None = None,
    tried: Catalog | None = None,
    on_bad_photo: OnBadPhoto = "fail",
    report: Report | None = None,
) -> str:
    """Build a release, upload it, and make it the current one.

    Photos without a URL are stored under the root. What was embedded before a publication is cut
    off is not embedded again by the next attempt.

    Args:
        model: the network, in inference mode.
        image_size: side of the square photo it takes, in pixels.
        catalog: what is to be found, screened; photos with role "query" are left out, whatever
            their split.
        root: where releases are kept: a folder or gs://bucket/prefix.
        evaluation: retrieval results for the manifest, JSON values.
        image_base_url: where <root>/images is public, as a CDN; None: the function gives the
            stored photos out itself.
        precision: "auto" serves int8 where its gain and loss, as measured on the catalogue, allow;
            "int8" wherever the processor can; "float" never.
        workers: threads that read, decode and store; None: one per processor.
        recall: share of a query's ten nearest rows that the index is tuned to find, above 0, at
            most 1.
        unseen: products that the network was not trained on; where there are enough, the scores
            are calibrated with their photos.
        false_match_rate: share of photos of products that are not in the catalogue whose first
            result may count as a confident match, above 0, below 1.
        rows: where index and catalogue go; None: into the release's files.
        cluster: what embeds the photos; None: this process.
        tried: the photos that the program is measured with, of those to be found; None: all. They
            and the queries can be read in any case.
        on_bad_photo: "fail" raises where a photo cannot be read; "skip" leaves it out.
        report: where these are listed, after those that `screen` has listed there.

    Returns:
        The release's id.

    Raises:
        PublishError: no photo to index, a photo that cannot be read, a program that differs from
            the Flax model, or another publisher that was faster.
        StorageError: the root cannot be written.
    """
    photos = [photo for photo in catalog.photos if photo.role != "query"]
    if not photos:
        raise PublishError(
            f"{catalog.source.location}: expected photos with role catalog or none; found "
            f"{len(catalog.photos)}, all of them queries."
            if catalog.photos
            else f"{catalog.source.location}: expected photos to index; found none."
        )
    gallery = catalog.subset(photos)
    storage, pointer = open_root(root)
    embedder = CatalogEmbedder(storage, cluster=cluster, threads=workers, on_bad_photo=on_bad_photo)

    def build(folder: Path) -> LocalRelease:
        return build_release(
            model,
            image_size,
            gallery,
            folder,
            embedder=embedder,
            listed=catalog,
            tried=tried or gallery,
            unseen=unseen,
            report=report,
            evaluation=evaluation,
            image_base_url=image_base_url,
            precision=precision,
            workers=workers,
            recall=recall,
            false_match_rate=false_match_rate,
            rows=rows,
        )

    release_id = build_and_publish(storage, pointer, build, rows)
    embedder.discard()
    return release_id
