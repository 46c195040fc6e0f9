"""A release to an engine that answers: fetched, verified, loaded and tried, side by side."""

import hashlib
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from operator import attrgetter
from pathlib import Path
from typing import Any

from .catalog import Catalog
from .embedder import Embedder, import_engine, open_embedder
from .errors import ReleaseError
from .file_catalog import open_catalog
from .file_index import FileIndex
from .golden import check_golden
from .index import StoredIndex, open_index
from .manifest import CATALOG, GOLDEN, INDEX, OPENVINO_PROGRAMS, Manifest
from .pacing import AT_ONCE, Pacing
from .postgres.connection import Database
from .postgres.opening import open_postgres
from .proposer import OpenProposer, ScannProposer
from .release import LocalRelease, current_release_id, drop_cached_releases, fetching_release
from .search import SearchEngine
from .settings import variable
from .storage import Storage
from .telemetry import Stopwatch
from .vector_index import VectorIndex


def load_search_engine(
    storage: Storage,
    *,
    engine: str,
    cache_dir: Path,
    database: Database | None = None,
    open_proposer: OpenProposer = ScannProposer,
    inferring: Executor | None = None,
    stopwatch: Stopwatch | None = None,
) -> SearchEngine:
    """Fetch the current release, verify it, and try it.

    Args:
        storage: the root.
        engine: "openvino" or "jax".
        cache_dir: where files of gs:// roots are kept, each root in a folder of its own; other
            releases of this root are removed from there.
        database: which holds the rows of releases without any of their own; None: there is none.
        open_proposer: loads ScaNN's files, as `index.open_index` says.
        inferring: runs inferences, as `embedder.open_embedder` says.
        stopwatch: told how long each stage takes; stages overlap.

    Raises:
        ReleaseError: no release, or none that can be served: which file, field or vector, and why.
        StorageError: the root cannot be read.
    """
    stopwatch = stopwatch or Stopwatch()
    with stopwatch.stage("pointer"):
        release_id = current_release_id(storage)
    if release_id is None:
        raise no_release(storage)
    loaded = load_release(
        storage,
        release_id,
        engine=engine,
        cache_dir=cache_dir,
        database=database,
        open_proposer=open_proposer,
        inferring=inferring,
        stopwatch=stopwatch,
    )
    drop_other_files(storage, cache_dir, loaded)
    return loaded


def no_release(storage: Storage) -> ReleaseError:
    """Return the error that says that nothing was published."""
    return ReleaseError(
        f"{storage.url}: expected a published release; found none.", fault="POINTER_MISSING"
    )


def load_release(
    storage: Storage,
    release_id: str,
    *,
    engine: str,
    cache_dir: Path,
    database: Database | None = None,
    held: SearchEngine | None = None,
    open_proposer: OpenProposer = ScannProposer,
    inferring: Executor | None = None,
    pacing: Pacing = AT_ONCE,
    stopwatch: Stopwatch | None = None,
) -> SearchEngine:
    """Fetch a release, verify it, and try it.

    Args:
        storage, engine, cache_dir, database, open_proposer, inferring, stopwatch: as for
            `load_search_engine`; no other release is removed.
        release_id: which.
        held: an engine that is loaded already, whose program and index go on in the new one where
            they are the same.
        pacing: what is done for those who are served meanwhile.

    Raises:
        ReleaseError: it cannot be served: which file, field or vector, and why.
        StorageError: the root cannot be read.
    """
    cache = _cache_of(storage, cache_dir)
    manifest = held.manifest if held else None
    with fetching_release(
        storage,
        release_id,
        cache,
        engine=engine,
        held=manifest,
        in_memory=OPENVINO_PROGRAMS.values(),
        begin_thread=pacing.begin_thread,
    ) as release:
        return open_release(
            release,
            engine=engine,
            database=database,
            held=held,
            open_proposer=open_proposer,
            inferring=inferring,
            pacing=pacing,
            stopwatch=stopwatch,
        )


def drop_other_files(storage: Storage, cache_dir: Path, engine: SearchEngine) -> None:
    """Remove what was fetched of this root's releases but for what an engine may read again."""
    # A tree that is lost is loaded anew from where it came from.
    index = f"{engine.index_release_id}/{INDEX}"
    keep = {engine.manifest.release_id, index}
    drop_cached_releases(_cache_of(storage, cache_dir), keep=keep)


def _cache_of(storage: Storage, cache_dir: Path) -> Path:
    return cache_dir / hashlib.sha256(storage.url.encode()).hexdigest()[:16]


def open_release(
    release: LocalRelease,
    *,
    engine: str,
    database: Database | None = None,
    held: SearchEngine | None = None,
    open_proposer: OpenProposer = ScannProposer,
    inferring: Executor | None = None,
    pacing: Pacing = AT_ONCE,
    stopwatch: Stopwatch | None = None,
) -> SearchEngine:
    """Load a release, check that its parts fit together, and answer a real query.

    Each part is loaded as soon as its files are there. For the arguments see `load_release`.

    Raises:
        ReleaseError: a part is damaged, cannot be loaded, differs from the manifest, or gives other
            vectors than the golden ones.
        StorageError: as `LocalRelease.part`.
        DatabaseUnavailable: the rows are in a database that does not answer.
    """
    stopwatch = stopwatch or Stopwatch()
    manifest = release.manifest
    index_release_id = manifest.release_id
    if held and manifest.has_index_of(held.manifest, engine):
        index_release_id = held.index_release_id
    # What its thread does takes most of its time outside Python's lock.
    with ThreadPoolExecutor(1, initializer=pacing.begin_thread) as pool:
        opening = pool.submit(_open_embedder, release, engine, held, inferring, stopwatch)
        if not pacing.side_by_side:
            wait([opening])
        if manifest.is_in_database:
            index, catalog = _open_tables(manifest, database, stopwatch)
        else:
            index, catalog = _open_files(release, engine, held, open_proposer, stopwatch)
        try:
            loaded = SearchEngine(
                opening.result(), index, catalog, manifest, index_release_id=index_release_id
            )
            _check_fit(loaded)
            with stopwatch.stage("try"):
                pool.submit(_try, loaded, release.part(GOLDEN), pacing.pause).result()
        except BaseException:
            catalog.close()
            raise
    return loaded


def _check_fit(loaded: SearchEngine) -> None:
    """Raise ReleaseError where a part is not what the manifest says."""
    manifest, embedder, index = loaded.manifest, loaded.embedder, loaded.index
    _expect(manifest, "embedder's embedding size", embedder.dim, "model.embedding_dim")
    _expect(manifest, "embedder's image size", embedder.image_size, "model.image_size")
    if isinstance(index, FileIndex):
        _expect(manifest, "index's embedding size", index.index.dim, "model.embedding_dim")
        _expect(manifest, "index's rows", index.index.rows, "index.rows")
    _expect(manifest, "catalogue's counts", index.count(), "counts")


def _try(loaded: SearchEngine, golden: Path, pause: Callable[[], None]) -> None:
    """Raise ReleaseError where it gives other vectors than the golden ones, or no answer."""
    pixels, _ = check_golden(loaded.embedder, golden, pause)
    pause()
    if not loaded.search(pixels[0], 1).matches:
        raise ReleaseError(
            f"Release {loaded.manifest.release_id}: expected an answer to the first golden photo; "
            "found none. Publish again."
        )


def _expect(manifest: Manifest, part: str, found: object, field_name: str) -> None:
    expected = attrgetter(field_name)(manifest)
    if found != expected:
        raise ReleaseError(
            f"Release {manifest.release_id}: the {part}: expected {expected}, as {field_name} of "
            f"the manifest says; found {found}. Publish again."
        )


def _open_tables(
    manifest: Manifest, database: Database | None, stopwatch: Stopwatch
) -> tuple[VectorIndex[Any], Catalog]:
    if database is None:
        raise ReleaseError(
            f"Release {manifest.release_id} keeps its rows in PostgreSQL: expected the database's "
            f"address in {variable('database')}; found nothing there."
        )
    with stopwatch.stage("open tables"):
        return open_postgres(database, manifest)


def _open_files(
    release: LocalRelease,
    engine: str,
    held: SearchEngine | None,
    open_proposer: OpenProposer,
    stopwatch: Stopwatch,
) -> tuple[VectorIndex[Any], Catalog]:
    index = _open_index(release, engine, held, open_proposer, stopwatch)
    catalog = open_catalog(release.part(CATALOG))
    return FileIndex(index, catalog), catalog


def _open_index(
    release: LocalRelease,
    engine: str,
    held: SearchEngine | None,
    open_proposer: OpenProposer,
    stopwatch: Stopwatch,
) -> StoredIndex:
    index = held.index if held else None
    if (
        isinstance(index, FileIndex)
        and held
        and release.manifest.has_index_of(held.manifest, engine)
    ):
        return index.index
    with stopwatch.stage("fetch index"):
        folder = release.part(INDEX)
    with stopwatch.stage("open index"):
        return open_index(folder, release.manifest.index.kind, open_proposer)


def _open_embedder(
    release: LocalRelease,
    engine: str,
    held: SearchEngine | None,
    inferring: Executor | None,
    stopwatch: Stopwatch,
) -> Embedder:
    if held is not None and release.manifest.has_program_of(held.manifest, engine):
        return held.embedder
    # Before its files are there: that takes as long as to verify them.
    with stopwatch.stage("import engine"):
        import_engine(engine)
    with stopwatch.stage("fetch program"):
        for part in release.manifest.programs_for(engine):
            release.part(part)
    with stopwatch.stage("open program"):
        precision = release.manifest.precision_here(engine)
        return open_embedder(
            release.folder, engine, precision=precision, inferring=inferring, take=release.take
        )
