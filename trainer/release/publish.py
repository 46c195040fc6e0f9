"""A trained network and a catalogue to a release that functions pick up."""

import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

from function.manifest import MANIFEST
from function.release import LocalRelease, read_pointer, release_prefix, set_current
from function.storage import Conflict, Storage, open_storage
from trainer.data.records import Catalog
from trainer.errors import PublishError
from trainer.model.embedder import Embedder
from trainer.progress import track
from trainer.release.build import build_release
from trainer.release.images import ImageStore
from trainer.release.indexing import DEFAULT_RECALL, EXACT_ROWS
from trainer.release.precision import PrecisionChoice
from trainer.release.tuning import QUERIES

# Uploads that run at once; below the connections that the storage client keeps.
_PARALLEL_UPLOADS = 8


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
) -> str:
    """Build a release, upload it, and make it the current one.

    The manifest is uploaded last and the pointer swapped after it, so that whatever is cut off at
    any moment leaves no half release in sight. Photos without a URL are stored under the root.

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
    storage = open_storage(root)
    pointer = read_pointer(storage)
    with tempfile.TemporaryDirectory(prefix="lookalike-release-") as folder:
        release = build_release(
            model,
            image_size,
            catalog.subset(photos),
            Path(folder),
            images=ImageStore(storage),
            evaluation=evaluation,
            image_base_url=image_base_url,
            precision=precision,
            workers=workers,
            recall=recall,
            held_out=_held_out(catalog),
        )
        upload(release, storage)
    release_id = release.manifest.release_id
    try:
        set_current(storage, release_id, pointer[1] if pointer else None)
    except Conflict as error:
        raise PublishError(
            f"{storage.url}: another release became the current one while this one was made. "
            f"It is kept, as {release_id}; to serve it: "
            f"lookalike releases --root {root} --use {release_id}"
        ) from error
    return release_id


def _held_out(catalog: Catalog) -> Catalog:
    """Photos to tune an index with, where it takes a tree: by seed, some of the customers'."""
    queries = [photo for photo in catalog.photos if photo.role == "query"]
    if len(catalog.photos) - len(queries) <= EXACT_ROWS:
        return catalog.subset([])
    return catalog.subset(Random(0).sample(queries, min(QUERIES, len(queries))))  # noqa: S311


def upload(release: LocalRelease, storage: Storage) -> None:
    """Copy a built release to the root: its files in any order, its manifest after them all."""
    target = storage.child(release_prefix(release.manifest.release_id))
    names = list(release.manifest.files)
    with ThreadPoolExecutor(_PARALLEL_UPLOADS) as pool:
        uploads = pool.map(lambda name: target.upload(release.folder / name, name), names)
        for _ in track(uploads, "Uploading", len(names)):
            pass
    target.write(
        MANIFEST, (release.folder / MANIFEST).read_bytes(), content_type="application/json"
    )
