"""Photo to products: the one place that joins embedder, index and catalogue."""

import hashlib
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .catalog import ImageRow, Product, ProductCatalog, open_catalog
from .embedder import Embedder, open_embedder
from .errors import ReleaseError
from .golden import check_golden
from .index import Index, open_index
from .manifest import CATALOG, GOLDEN, INDEX, Manifest
from .release import LocalRelease, current_release_id, drop_cached_releases, fetch_release
from .storage import Storage

# Rows asked for, for each product wanted: products have several photos that look alike.
_ROWS_PER_PRODUCT = 4

# Growth of the number of rows until the page is full.
_MORE_ROWS = 4


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
        timings_ms: milliseconds spent, by stage: "embed" and "search".
    """

    matches: tuple[Match, ...]
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
        score_threshold: float = -1.0,
        images_per_product: int = 1,
        exclude_product_ids: Collection[str] = (),
    ) -> SearchResult:
        """Find the products that look most like a photo.

        Args:
            pixels: RGB [image_size, image_size, 3], as `photo.load_pixels` returns it.
            page_size: how many products, at most.
            score_threshold: the least cosine similarity of a product's nearest photo.
            images_per_product: how many of its photos each match brings, at most.
            exclude_product_ids: products that are left out.
        """
        start = time.perf_counter()
        (vector,) = self._embedder.embed(pixels[None])
        embedded = time.perf_counter()
        nearest = nearest_products(
            self._index,
            self.catalog,
            vector,
            page_size,
            score_threshold=score_threshold,
            exclude_product_ids=exclude_product_ids,
        )
        matches = tuple(
            Match(
                self.catalog.product(product_id),
                score,
                self._photos(product_id, photos, images_per_product),
            )
            for product_id, (score, photos) in nearest.items()
        )
        timings = {
            "embed": (embedded - start) * 1e3,
            "search": (time.perf_counter() - embedded) * 1e3,
        }
        return SearchResult(matches, timings)

    def _photos(self, product_id: str, found: list[ImageRow], wanted: int) -> tuple[ImageRow, ...]:
        if len(found) < wanted:
            seen = {image.row for image in found}
            others = self.catalog.images_of(product_id)
            found = found + [image for image in others if image.row not in seen]
        return tuple(found[:wanted])


def nearest_products(
    index: Index,
    catalog: ProductCatalog,
    vector: NDArray[np.float32],
    wanted: int,
    *,
    score_threshold: float = -1.0,
    exclude_product_ids: Collection[str] = (),
) -> dict[str, tuple[float, list[ImageRow]]]:
    """Find the products nearest to a vector, each at the place of its nearest photo.

    Args:
        index: over the catalogue's photos.
        catalog: its rows are those of the index.
        vector: unit vector [dim].
        wanted: how many products, at most.
        score_threshold: the least cosine similarity of a product's nearest photo.
        exclude_product_ids: products that are left out.

    Returns:
        By product id, best first: the cosine similarity of its nearest photo, -1 to 1, and its
        photos that the search came by, nearest first.
    """
    excluded = frozenset(exclude_product_ids)
    # Else a page larger than the catalogue would be looked for in every row of it.
    wanted = min(wanted, catalog.counts.products)
    k = _ROWS_PER_PRODUCT * wanted
    while True:
        rows, scores = index.search(vector, k)
        scores = np.clip(scores, -1, 1)
        keep = scores >= score_threshold
        products: dict[str, tuple[float, list[ImageRow]]] = {}
        images = catalog.images(rows[keep].tolist())
        for image, score in zip(images, scores[keep].tolist(), strict=True):
            if image.product_id in products:
                products[image.product_id][1].append(image)
            elif image.product_id not in excluded and len(products) < wanted:
                products[image.product_id] = (score, [image])
        # Rows below the threshold came into sight, so all above it did.
        if len(products) == wanted or k >= index.rows or not keep.all():
            return products
        k *= _MORE_ROWS


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
        embedder = open_embedder(folder, engine, precision=manifest.precision_here(engine))
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
