"""Photo to products: the one place that joins embedder, index and catalogue."""

import time
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .catalog import ImageRow, Product, ProductCatalog
from .embedder import Embedder
from .index import Index
from .manifest import Manifest

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
