"""A catalogue of any length, cut into shards on storage."""

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, replace
from itertools import batched
from pathlib import Path

from function.embedder import Embedder
from function.manifest import GOLDEN, OPENVINO_PROGRAMS, ModelInfo
from function.release import file_info
from function.storage import Storage
from trainer.data.large import LargeCatalog
from trainer.data.records import Catalog, Photo
from trainer.data.sources import is_in_bucket
from trainer.progress import progress_bar
from trainer.release.shards.columns import write_photos
from trainer.release.shards.job import PARALLEL_REQUESTS, ROWS_PER_SHARD, Job, Plan, job_id
from trainer.release.shards.ordered import in_order


@dataclass(frozen=True)
class OpenProgram:
    """The serving program, exported and open.

    Attributes:
        folder: holds its file, and the golden photos.
        model: what the manifest says about it.
        embedder: it.
    """

    folder: Path
    model: ModelInfo
    embedder: Embedder

    @property
    def files(self) -> tuple[str, ...]:
        """Names in the folder of what another process runs it from, and tries it with."""
        return (OPENVINO_PROGRAMS[self.embedder.precision], GOLDEN)


def plan_job(
    catalog: Catalog | LargeCatalog,
    program: OpenProgram,
    root: Storage,
    *,
    rows_per_shard: int = ROWS_PER_SHARD,
) -> Job:
    """Find the job of a catalogue and a program, or write it; a few shards are held at a time.

    A photo on gs:// is known by its name alone, one that lies here by its size too.

    Args:
        catalog: what to embed; of a large one, photos with role "query" are left out.
        program: by what.
        root: where releases are kept.
        rows_per_shard: photos.

    Raises:
        CatalogError: rows of a large catalogue are bad.
        StorageError: the root cannot be written.
    """
    held = isinstance(catalog, Catalog)
    sha256 = file_info(program.folder / program.files[0]).sha256
    embedder = program.embedder
    job = Job(root, job_id(_content(catalog), sha256, embedder.image_size, rows_per_shard, held))
    job.begin()
    location = catalog.source.location
    is_remote = is_in_bucket(location)
    if not is_remote:
        location = str(Path(location).expanduser().absolute())
    known = job.find_plan()
    if known is not None:
        if known.catalog != location:
            job.write_plan(replace(known, catalog=location))
        return job
    written = _write_photos(job, catalog, rows_per_shard)
    job.write_plan(
        Plan(
            catalog=location,
            here=written.here and not is_remote,
            rows=written.rows,
            rows_per_shard=rows_per_shard,
            program_sha256=sha256,
            model_id=program.model.model_id,
            precision=embedder.precision,
            image_size=embedder.image_size,
            dim=embedder.dim,
            numbered=held,
        )
    )
    return job


@dataclass(frozen=True)
class _Written:
    """Photos of a shard, or of all: how many, and whether any of them lies here."""

    rows: int = 0
    here: bool = False


def _write_photos(job: Job, catalog: Catalog | LargeCatalog, rows_per_shard: int) -> _Written:
    def write(shard: tuple[int, Sequence[Photo]]) -> _Written:
        number, photos = shard
        job.storage.write(job.photos_name(number), write_photos(photos))
        return _Written(len(photos), any(not _remote(photo) for photo in photos))

    if isinstance(catalog, Catalog):
        photos, total = iter(catalog.photos), len(catalog.photos)
    else:
        photos = (photo for photo in catalog.photos() if photo.role != "query")
        total = catalog.rows
    shards = enumerate(batched(photos, rows_per_shard))
    written = _Written()
    with (
        ThreadPoolExecutor(PARALLEL_REQUESTS) as pool,
        progress_bar("Listing photos", total) as bar,
    ):
        for part in in_order(pool, write, shards, ahead=PARALLEL_REQUESTS):
            written = _Written(written.rows + part.rows, written.here or part.here)
            bar.advance(part.rows)
    return written


def _content(catalog: Catalog | LargeCatalog) -> str:
    """Return a hash of all that is listed, and of the sizes of the photos that lie here."""
    if isinstance(catalog, LargeCatalog):
        return catalog.fingerprint
    digest = hashlib.sha256()
    near = [photo.image for photo in catalog.photos if not _remote(photo)]
    sizes = dict(zip(near, catalog.source.sizes(near), strict=True))
    for photo in catalog.photos:
        digest.update(json.dumps([*astuple(photo), sizes.get(photo.image)]).encode() + b"\n")
    return digest.hexdigest()


def _remote(photo: Photo) -> bool:
    return is_in_bucket(photo.image)
