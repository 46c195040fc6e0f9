"""A release to an engine that answers: fetched, verified, loaded and tried, side by side."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from .catalog import open_catalog
from .embedder import Embedder, import_engine, open_embedder
from .errors import ReleaseError
from .index import Index, open_index
from .manifest import CATALOG, ENGINES, GOLDEN, INDEX
from .release import LocalRelease, current_release_id, drop_cached_releases, fetching_release
from .search import SearchEngine
from .storage import Storage
from .telemetry import Stopwatch

# What a golden vector must reach: bfloat16 and float32 processors agree to 0.9999, a program with
# other weights or another preprocessing does not come near.
GOLDEN_COSINE = 0.999

type Stage = Callable[[str], AbstractContextManager[None]]


def load_search_engine(
    storage: Storage, *, engine: str, cache_dir: Path, stopwatch: Stopwatch | None = None
) -> SearchEngine:
    """Fetch the current release, verify it, and try it.

    Args:
        storage: the root.
        engine: "openvino" or "jax".
        cache_dir: where files of gs:// roots are kept, each root in a folder of its own; other
            releases of this root are removed from there.
        stopwatch: gets the stages; some run side by side.

    Raises:
        ReleaseError: no release, or none that can be served: which file, field or vector, and why.
        StorageError: the root cannot be read.
    """
    stopwatch = stopwatch or Stopwatch()
    with stopwatch.stage("pointer"):
        release_id = current_release_id(storage)
    if release_id is None:
        raise ReleaseError(f"{storage.url}: expected a published release; found none.")
    cache = cache_dir / hashlib.sha256(storage.url.encode()).hexdigest()[:16]
    with fetching_release(storage, release_id, cache, engine=engine) as release:
        loaded = open_release(release, engine=engine, stopwatch=stopwatch)
    drop_cached_releases(cache, keep=release_id)
    return loaded


def open_release(
    release: LocalRelease, *, engine: str, stopwatch: Stopwatch | None = None
) -> SearchEngine:
    """Load a release, check that its parts fit together, and answer a real query.

    Each part is loaded as soon as its files are there.

    Args:
        release: here, or on its way.
        engine: "openvino" or "jax".
        stopwatch: gets the stages, of which "…Files" is waiting until they are here and verified.

    Raises:
        ReleaseError: a part is damaged, cannot be loaded, differs from the manifest, or gives other
            vectors than the golden ones.
        StorageError: as `LocalRelease.part`.
    """
    manifest = release.manifest
    stage = (stopwatch or Stopwatch()).stage
    # Both take most of their time outside Python's lock.
    with ThreadPoolExecutor(1) as pool:
        indexing = pool.submit(_open_index, release, stage)
        embedder = _open_embedder(release, engine, stage)
        index = indexing.result()
    with stage("catalog"):
        catalog = open_catalog(release.part(CATALOG))
    try:
        for part, found, field_name, expected in (
            (
                "embedder's embedding size",
                embedder.dim,
                "model.embedding_dim",
                manifest.model.embedding_dim,
            ),
            (
                "embedder's image size",
                embedder.image_size,
                "model.image_size",
                manifest.model.image_size,
            ),
            (
                "index's embedding size",
                index.dim,
                "model.embedding_dim",
                manifest.model.embedding_dim,
            ),
            ("index's rows", index.rows, "index.rows", manifest.index.rows),
            ("catalogue's counts", catalog.counts, "counts", manifest.counts),
        ):
            if found != expected:
                raise ReleaseError(
                    f"Release {manifest.release_id}: the {part}: expected {expected}, as "
                    f"{field_name} of the manifest says; found {found}. Publish again."
                )
        with stage("golden"):
            pixels, _ = check_golden(embedder, release.part(GOLDEN))
        loaded = SearchEngine(embedder, index, catalog, manifest)
        with stage("query"):
            answered = loaded.search(pixels[0], 1).matches
        if not answered:
            raise ReleaseError(
                f"Release {manifest.release_id}: expected an answer to the first golden photo; "
                "found none. Publish again."
            )
    except BaseException:
        catalog.close()
        raise
    return loaded


def _open_index(release: LocalRelease, stage: Stage) -> Index:
    with stage("indexFiles"):
        folder = release.part(INDEX)
    with stage("index"):
        return open_index(folder, release.manifest.index.kind)


def _open_embedder(release: LocalRelease, engine: str, stage: Stage) -> Embedder:
    # Before its files are there: that takes as long as to verify them.
    with stage("engineImport"):
        import_engine(engine)
    with stage("programFiles"):
        for part in ENGINES[engine]:
            release.part(part)
    with stage("program"):
        return open_embedder(release.folder, engine)


def check_golden(embedder: Embedder, path: Path) -> tuple[NDArray[np.uint8], float]:
    """Compare what the embedder gives for the golden photos with what it must give.

    Args:
        embedder: the program to try.
        path: golden.npz: `pixels` uint8 [n, size, size, 3], `vectors` float32 unit rows [n, dim].

    Returns:
        The pixels, and the lowest cosine similarity.

    Raises:
        ReleaseError: a file of another form, or a vector below GOLDEN_COSINE: which, and its
            cosine.
    """
    try:
        with np.load(path) as golden:
            pixels, vectors = golden["pixels"], golden["vectors"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise ReleaseError(f"{GOLDEN}: expected pixels and vectors; it cannot be read.") from error
    size, dim = embedder.image_size, embedder.dim
    n = len(vectors)
    if pixels.shape != (n, size, size, 3) or vectors.shape != (n, dim) or n == 0:
        raise ReleaseError(
            f"{GOLDEN}: expected pixels [n, {size}, {size}, 3] and vectors [n, {dim}]; "
            f"found {list(pixels.shape)} and {list(vectors.shape)}."
        )
    # One by one, as queries come: an engine prepares itself anew for each size of a batch.
    found = np.concatenate([embedder.embed(photo[None]) for photo in pixels])
    # Of unit vectors this is the cosine; vectors of another length fall short too.
    cosines = 1 - np.square(found - vectors).sum(axis=1) / 2
    # Not `<`: a program that gives NaN must fail too.
    for number in np.flatnonzero(~(cosines >= GOLDEN_COSINE)):
        raise ReleaseError(
            f"{GOLDEN}: vector {number} of {n}: expected a cosine of at least {GOLDEN_COSINE} "
            f"between what the program gives and what it must give; found {cosines[number]:.5f}. "
            "The program and the weights do not belong together: publish again."
        )
    return pixels, float(cosines.min())
