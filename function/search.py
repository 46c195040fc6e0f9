"""Photo to products: the one place that joins embedder, index and catalogue."""

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from .catalog import ImageRow, Product, ProductCatalog, open_catalog
from .embedder import Embedder, open_embedder
from .errors import ReleaseError
from .filters import EVERYTHING, Selection
from .index import Index, open_index
from .manifest import CATALOG, GOLDEN, INDEX, Manifest
from .paging import pages_of
from .ranking import DEPTH, Ranked, rank_products
from .release import LocalRelease, current_release_id, drop_cached_releases, fetch_release
from .storage import Storage

# What a golden vector must reach: bfloat16 and float32 processors agree to 0.9999, a program with
# other weights or another preprocessing does not come near.
GOLDEN_COSINE = 0.999


@dataclass(frozen=True)
class Match:
    """A product that looks like the photo.

    Attributes:
        product: which.
        score: cosine similarity of its nearest photo, -1 to 1.
        images: its nearest photo, then others of it if more are wanted: those the search came
            by, nearest first, then the rest.
    """

    product: Product
    score: float
    images: tuple[ImageRow, ...]


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        matches: one for each product, best first.
        next_page_token: of the page that follows; "" after the last.
        timings_ms: milliseconds spent, by stage: "embed" and "search".
    """

    matches: tuple[Match, ...]
    next_page_token: str = ""
    timings_ms: dict[str, float] = field(default_factory=dict)


class SearchEngine:
    """One release, loaded. Safe to use from several threads.

    Attributes:
        manifest: what the release says about itself.
        catalog: its products.
        image_size: side of the square photo it takes, in pixels.
    """

    def __init__(
        self, embedder: Embedder, index: Index, catalog: ProductCatalog, manifest: Manifest
    ) -> None:
        self.manifest = manifest
        self.catalog = catalog
        self.image_size = manifest.model.image_size
        self._embedder = embedder
        self._index = index

    def search(
        self,
        pixels: NDArray[np.uint8],
        page_size: int = 10,
        *,
        page_token: str = "",
        score_threshold: float = -1.0,
        images_per_product: int = 1,
        selection: Selection = EVERYTHING,
        collapse_duplicates: bool = False,
    ) -> SearchResult:
        """Find the products that look most like a photo.

        A page is full wherever there are enough products. The pages of a query never repeat or
        leave out a product, and end after the first `ranking.DEPTH`.

        Args:
            pixels: RGB [image_size, image_size, 3], as `photo.load_pixels` returns it.
            page_size: how many products, at most.
            page_token: `next_page_token` of the page before, for the same query; "" for the first.
            score_threshold: the least cosine similarity of a product's nearest photo.
            images_per_product: how many of its photos each match brings, at most.
            selection: which products may be found.
            collapse_duplicates: of products whose nearest photo is the same picture, bring the
                first alone.

        Raises:
            BadRequest: the token is none, or belongs to another index or query.
        """
        fields = (
            score_threshold,
            images_per_product,
            *selection.plain_values(),
            collapse_duplicates,
        )
        pages = pages_of(self.manifest.index.index_id, pixels, fields)
        place = pages.place(page_token)
        end = min(place + page_size, DEPTH)
        start = time.perf_counter()
        (vector,) = self._embedder.embed(pixels[None])
        embedded = time.perf_counter()
        ranking = rank_products(
            self._index,
            self.catalog,
            vector,
            min(end + 1, DEPTH),
            allowed=self.catalog.allowed_rows(selection),
            score_threshold=score_threshold,
            collapse_duplicates=collapse_duplicates,
        )
        matches = self._matches(ranking[place:end], images_per_product)
        timings = {
            "embed": (embedded - start) * 1e3,
            "search": (time.perf_counter() - embedded) * 1e3,
        }
        next_page_token = pages.token(end) if len(ranking) > end else ""
        return SearchResult(matches, next_page_token, timings)

    def _matches(self, page: list[Ranked], wanted: int) -> tuple[Match, ...]:
        # All of a page's photos in one query.
        found = iter(self.catalog.images([row for item in page for row in item.rows[:wanted]]))
        return tuple(
            self._match(item, list(islice(found, min(wanted, len(item.rows)))), wanted)
            for item in page
        )

    def _match(self, item: Ranked, photos: list[ImageRow], wanted: int) -> Match:
        product = self.catalog.product(photos[0].product_id)
        if len(photos) < wanted:
            seen = set(item.rows)
            photos += [x for x in self.catalog.images_of(product.id) if x.row not in seen]
        return Match(product, item.score, tuple(photos[:wanted]))


def load_search_engine(storage: Storage, *, engine: str, cache_dir: Path) -> SearchEngine:
    """Fetch the current release, verify it, and try it.

    Args:
        storage: the root.
        engine: "openvino" or "jax".
        cache_dir: where files of gs:// roots are kept, each root in a folder of its own; other
            releases of this root are removed from there.

    Raises:
        ReleaseError: no release, or none that can be served: which file, field or vector, and why.
        StorageError: the root cannot be read.
    """
    release_id = current_release_id(storage)
    if release_id is None:
        raise ReleaseError(f"{storage.url}: expected a published release; found none.")
    cache = cache_dir / hashlib.sha256(storage.url.encode()).hexdigest()[:16]
    release = fetch_release(storage, release_id, cache, engine=engine)
    loaded = open_release(release, engine=engine)
    drop_cached_releases(cache, keep=release_id)
    return loaded


def open_release(release: LocalRelease, *, engine: str) -> SearchEngine:
    """Load a verified release, check that its parts fit together, and answer a real query.

    Raises:
        ReleaseError: a part cannot be loaded, differs from the manifest, or gives other vectors
            than the golden ones.
    """
    manifest, folder = release.manifest, release.folder
    # Both take most of their time outside Python's lock.
    with ThreadPoolExecutor(1) as pool:
        indexing = pool.submit(open_index, folder / INDEX, manifest.index.kind)
        embedder = open_embedder(folder, engine)
        index = indexing.result()
    catalog = open_catalog(folder / CATALOG)
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
        pixels, _ = check_golden(embedder, folder / GOLDEN)
        loaded = SearchEngine(embedder, index, catalog, manifest)
        if not loaded.search(pixels[0], 1).matches:
            raise ReleaseError(
                f"Release {manifest.release_id}: expected an answer to the first golden photo; "
                "found none. Publish again."
            )
    except BaseException:
        catalog.close()
        raise
    return loaded


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
    # Of unit vectors this is the cosine; vectors of another length fall short too.
    cosines = 1 - np.square(embedder.embed(pixels) - vectors).sum(axis=1) / 2
    # Not `<`: a program that gives NaN must fail too.
    for number in np.flatnonzero(~(cosines >= GOLDEN_COSINE)):
        raise ReleaseError(
            f"{GOLDEN}: vector {number} of {n}: expected a cosine of at least {GOLDEN_COSINE} "
            f"between what the program gives and what it must give; found {cosines[number]:.5f}. "
            "The program and the weights do not belong together: publish again."
        )
    return pixels, float(cosines.min())
