"""A publication's photos, embedded in shards: by this process, or by a cluster."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from function.storage import Storage
from trainer.data.large import LargeCatalog
from trainer.data.records import Catalog, Photo
from trainer.data.screen import OnBadPhoto
from trainer.errors import PublishError
from trainer.progress import console, progress_bar
from trainer.release.copies import Signatures
from trainer.release.embedding import EmbeddedCatalog
from trainer.release.images import ImageStore
from trainer.release.shards.cluster import Cluster, run_on_cluster
from trainer.release.shards.job import ROWS_PER_SHARD, Job
from trainer.release.shards.local import run_here
from trainer.release.shards.planning import OpenProgram, plan_job
from trainer.release.shards.reading import read_all
from trainer.release.shards.worker import Opened


class EmbeddedPhotos(NamedTuple):
    """A catalogue that went through the program.

    Attributes:
        catalog: the photos that could be read.
        embedded: what became of them.
        bad: the others, and why.
    """

    catalog: Catalog
    embedded: EmbeddedCatalog
    bad: Sequence[tuple[Photo, str]]


class CatalogEmbedder:
    """Embeds catalogues into a root; what an earlier attempt has done is not done again."""

    def __init__(
        self,
        root: Storage,
        *,
        cluster: Cluster | None = None,
        threads: int | None = None,
        on_bad_photo: OnBadPhoto = "fail",
        rows_per_shard: int = ROWS_PER_SHARD,
    ) -> None:
        """Do nothing yet.

        Args:
            root: where releases are kept.
            cluster: who embeds; None: this process.
            threads: of this process that read, decode, embed and store; None: one per processor.
            on_bad_photo: "skip" leaves out photos that cannot be read; "fail" raises.
            rows_per_shard: photos.
        """
        self._root, self._cluster, self._threads = root, cluster, threads
        self._on_bad_photo: OnBadPhoto = on_bad_photo
        self._rows_per_shard = rows_per_shard
        self._jobs: list[Job] = []

    def embed(self, catalog: Catalog, program: OpenProgram) -> EmbeddedPhotos:
        """Embed every photo, and store those that have no URL.

        Raises:
            UnreadablePhoto: a photo cannot be read, and `on_bad_photo` is "fail".
            PublishError: none can be read; or as `run_on_cluster`.
            StorageError: the root cannot be written.
        """
        if not catalog.photos:
            none = np.empty((0, program.embedder.dim), np.float32)
            return EmbeddedPhotos(catalog, EmbeddedCatalog(none, (), Signatures.of([])), ())
        job = self.complete(catalog, program)
        bad = [(catalog.photos[row], reason) for row, _, reason in _unreadable(job)]
        rows, embedded = read_all(job)
        return EmbeddedPhotos(
            catalog.subset(catalog.photos[row] for row in rows.tolist()), embedded, bad
        )

    def complete(self, catalog: Catalog | LargeCatalog, program: OpenProgram) -> Job:
        """Embed what no earlier attempt has; the shards can then be read, one by one.

        Raises: as `embed`.
        """
        job = plan_job(catalog, program, self._root, rows_per_shard=self._rows_per_shard)
        self._jobs.append(job)
        plan, done = job.plan(), job.completions()
        known = sum(plan.rows_of(shard) for shard in done)
        if done:
            console.print(f"{known:,} photos were embedded by an attempt before this one.")
        missing = [shard for shard in range(plan.shards) if shard not in done]
        with progress_bar("Embedding photos", plan.rows, completed=known) as bar:
            if missing and self._cluster is None:
                run_here(
                    Opened(job, program.embedder, catalog.source, ImageStore(self._root)),
                    missing,
                    threads=self._threads,
                    on_bad_photo=self._on_bad_photo,
                    advance=bar.advance,
                )
            elif missing and self._cluster is not None:
                run_on_cluster(
                    self._cluster,
                    job,
                    program,
                    missing,
                    on_bad_photo=self._on_bad_photo,
                    advance=bar.advance,
                )
        bad = _unreadable(job)
        if bad and len(bad) == plan.rows:
            _, where, reason = bad[0]
            raise PublishError(
                f"{catalog.source.location}: expected photos; none of {len(bad):,} can be read, as "
                f"{where}: {reason}"
            )
        return job

    def discard(self) -> None:
        """Remove the shards of all that was embedded: the release holds what was in them."""
        for job in self._jobs:
            for _ in job.remove():
                pass
        self._jobs.clear()


def _unreadable(job: Job) -> list[tuple[int, str, str]]:
    """Return what cannot be read: rows, where they are listed, and why."""
    done = job.completions()
    return [bad for shard in sorted(done) for bad in done[shard].unreadable]
