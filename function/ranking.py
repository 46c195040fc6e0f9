"""From nearest rows to products: one place for each product, in an order that pages can share.

A ranking is made in stages. The first looks for the first 25 products, the next for 101, the last
for 500; each keeps what the one before found and adds what is new to it. So a longer ranking
always begins with the shorter one, whatever an approximate index finds when it is asked for more,
and pages of any size are cuts of the same list. A product that only a later stage finds comes
after those of the stage before, even if it is nearer.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from .catalog import ProductCatalog
from .index import Index

# How deep a ranking goes, in products.
DEPTH = 500

# Products wanted of each stage; 25 and 101 tell of pages of 24 and of 100 whether another follows.
_STAGES = (25, 101, DEPTH)

# Rows asked for at first, for each product wanted: photos of the average product, and some more.
# With 15,143 products of four photos each that filled every stage at once, for 100 of 100 queries.
_AVERAGES_PER_PRODUCT = 1.5
_ROWS_PER_PRODUCT = 4

# Growth of the number of rows until the stage is full.
_MORE_ROWS = 4


@dataclass(frozen=True)
class Ranked:
    """A product at its place.

    Attributes:
        score: cosine similarity of its nearest photo, -1 to 1.
        rows: its photos that the search came by, nearest first.
    """

    score: float
    rows: tuple[int, ...]


def rank_products(
    index: Index,
    catalog: ProductCatalog,
    vector: NDArray[np.float32],
    wanted: int,
    *,
    allowed: NDArray[np.bool_] | None = None,
    score_threshold: float = -1.0,
    collapse_duplicates: bool = False,
) -> list[Ranked]:
    """Rank the products nearest to a vector, each at the place of its nearest photo.

    The index is asked at most ⌈log₄ rows⌉ times for each of three stages, or once.

    Args:
        index: over the catalogue's photos.
        catalog: its rows are those of the index.
        vector: unit vector [dim].
        wanted: how many products, at most DEPTH.
        allowed: [rows], whose products may be found; None: all.
        score_threshold: the least cosine similarity of a product's nearest photo.
        collapse_duplicates: leave out products whose nearest photo shows the same picture as that
            of a product before.

    Returns:
        `wanted` products, or all there are; best first within each stage.
    """
    search = _Search(index, catalog, vector, allowed, score_threshold, collapse_duplicates)
    ranking: list[Ranked] = []
    seen: set[object] = set()
    for depth in _STAGES:
        found = search.nearest(depth)
        for item in found:
            names = search.names(item)
            if len(ranking) < depth and seen.isdisjoint(names):
                seen.update(names)
                ranking.append(item)
        if len(ranking) >= wanted or len(found) < depth:
            break
    return ranking[:wanted]


@dataclass(frozen=True)
class _Search:
    """What `rank_products` was asked."""

    index: Index
    catalog: ProductCatalog
    vector: NDArray[np.float32]
    allowed: NDArray[np.bool_] | None
    score_threshold: float
    collapse_duplicates: bool

    def nearest(self, wanted: int) -> list[Ranked]:
        """Find so many products, or all there are, asking for more rows until they are enough."""
        rows_left = self.index.rows if self.allowed is None else np.count_nonzero(self.allowed)
        if rows_left == 0:
            return []
        average = self.catalog.counts.images / self.catalog.counts.products
        k = ceil(wanted * max(_ROWS_PER_PRODUCT, _AVERAGES_PER_PRODUCT * average))
        while True:
            rows, scores = self.index.search(self.vector, k, self.allowed)
            keep = scores >= self.score_threshold
            found = self._grouped(rows[keep], np.clip(scores[keep], -1, 1))
            # Rows below the threshold came into sight, so all above it did.
            if len(found) >= wanted or k >= rows_left or not keep.all():
                return found[:wanted]
            k *= _MORE_ROWS

    def names(self, item: Ranked) -> set[object]:
        """What no other place of the ranking may have: the product and, perhaps, the picture."""
        row = item.rows[0]
        names: set[object] = {("product", self.catalog.product_of_row[row])}
        if self.collapse_duplicates:
            names.add(("picture", self.catalog.picture_of_row[row]))
        return names

    def _grouped(self, rows: NDArray[np.int64], scores: NDArray[np.float32]) -> list[Ranked]:
        """Gather rows, nearest first, by product."""
        products = self.catalog.product_of_row[rows]
        _, first = np.unique(products, return_index=True)
        first.sort()
        if self.collapse_duplicates:
            _, shown = np.unique(self.catalog.picture_of_row[rows[first]], return_index=True)
            first = first[np.sort(shown)]
        photos: dict[int, list[int]] = {product: [] for product in products[first].tolist()}
        for row, product in zip(rows.tolist(), products.tolist(), strict=True):
            if product in photos:
                photos[product].append(row)
        return [
            Ranked(score, tuple(its_rows))
            for score, its_rows in zip(scores[first].tolist(), photos.values(), strict=True)
        ]
