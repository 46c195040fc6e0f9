"""Photo to products: the one place that joins embedder, index and catalogue."""

import time
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from .catalog import ImageRow, Product, ProductCatalog
from .embedder import Embedder
from .filters import EVERYTHING, Selection
from .index import Index
from .manifest import Manifest
from .paging import pages_of
from .ranking import DEPTH, Ranked, rank_products


@dataclass(frozen=True)
class Match:
    """A product that looks like the photo.

    Attributes:
        product: which.
        score: cosine similarity of its nearest photo, -1 to 1.
        images: its nearest photo, then others of it if more are wanted: those the search came
            by, nearest first, then the rest.
        probability: that it is the photo's product; None where the release is not calibrated.
    """

    product: Product
    score: float
    images: tuple[ImageRow, ...]
    probability: float | None = None


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        matches: one for each product, best first.
        next_page_token: of the page that follows; "" after the last.
        timings_ms: milliseconds spent, by stage: "embed" and "search".
        confident: whether the best of all pages is a confident match; None where the release is
            not calibrated.
    """

    matches: tuple[Match, ...]
    next_page_token: str = ""
    timings_ms: dict[str, float] = field(default_factory=dict)
    confident: bool | None = None


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
        matches = self._matches(ranking[place:end], images_per_product, place)
        timings = {
            "embed": (embedded - start) * 1e3,
            "search": (time.perf_counter() - embedded) * 1e3,
        }
        next_page_token = pages.token(end) if len(ranking) > end else ""
        return SearchResult(matches, next_page_token, timings, self._is_confident(ranking))

    def _is_confident(self, ranking: list[Ranked]) -> bool | None:
        calibration = self.manifest.calibration
        best = ranking[0].score if ranking else None
        return calibration.is_confident(best) if calibration else None

    def _matches(self, page: list[Ranked], wanted: int, place: int) -> tuple[Match, ...]:
        # All of a page's photos in one query.
        found = iter(self.catalog.images([row for item in page for row in item.rows[:wanted]]))
        return tuple(
            self._match(item, list(islice(found, min(wanted, len(item.rows)))), wanted, number)
            for number, item in enumerate(page, place)
        )

    def _match(self, item: Ranked, photos: list[ImageRow], wanted: int, place: int) -> Match:
        product = self.catalog.product(photos[0].product_id)
        if len(photos) < wanted:
            seen = set(item.rows)
            photos += [x for x in self.catalog.images_of(product.id) if x.row not in seen]
        calibration = self.manifest.calibration
        probability = calibration.match_probability(item.score, place) if calibration else None
        return Match(product, item.score, tuple(photos[:wanted]), probability)
