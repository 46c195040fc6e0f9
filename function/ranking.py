"""From nearest rows to products: one place for each product, in an order that pages can share.

A ranking is made in stages: the first looks for 13 products, and each that follows looks for more,
keeps what was found before and adds what is new to it. So a longer ranking always begins with the
shorter one, whatever an approximate index finds when it is asked for more, and pages of any size
are cuts of the same list. A product that only a later stage finds comes after those of the stages
before, even if it is nearer.
"""

from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .manifest import Counts
from .vector_index import Hits, Searchable

# How deep a ranking goes, in products.
DEPTH = 500

# Products that each stage looks for: enough to tell of a page of twelve, as the demo page's, of 25,
# or of the largest, whether another follows. Of 200,000 photos, eight of each product, the first
# takes two thirds of the time of 26, and a third of 101's.
_STAGES = (13, 26, 101, DEPTH)

# Rows asked for at first, for each product wanted: photos of the average product, and some more.
# With 15,143 products of four photos each that filled every stage at once, for 100 of 100 queries.
_AVERAGES_PER_PRODUCT = 1.5
_ROWS_PER_PRODUCT = 4

# Growth of the number of rows until the stage is full.
_MORE_ROWS = 4


class Ranked(NamedTuple):
    """A product at its place.

    Attributes:
        product: its number in the catalogue.
        picture: the number of the picture that its nearest photo shows.
        score: cosine similarity of its nearest photo, -1 to 1.
        rows: its photos that the search came by, nearest first.
    """

    product: int
    picture: int
    score: float
    rows: list[int]


def rank_products[Allowed](
    index: Searchable[Allowed],
    vectors: NDArray[np.float32],
    wanted: int,
    *,
    allowed: Allowed | None = None,
    score_threshold: float = -1.0,
    collapse_duplicates: bool = False,
) -> list[Ranked]:
    """Rank the products nearest to a vector, each at the place of its nearest photo.

    The index is asked at most ⌈log₄ rows⌉ times for each stage, or once, for all vectors together.

    Args:
        index: over the catalogue's photos.
        vectors: a unit vector [dim]; or several [vectors, dim], to the nearest of which a photo is
            as near as its score says.
        wanted: how many products, at most DEPTH.
        allowed: whose products may be found, as the index compiled it; None: all.
        score_threshold: the least cosine similarity of a product's nearest photo.
        collapse_duplicates: leave out products whose nearest photo shows the same picture as that
            of a product before.

    Returns:
        `wanted` products, or all there are; best first within each stage.
    """
    vectors = np.atleast_2d(vectors)
    counts = index.count()
    ranking: list[Ranked] = []
    products: set[int] = set()
    pictures: set[int] = set()
    for depth in _STAGES if counts.images else ():
        k = _first_rows(counts, depth)
        while True:
            hits = _nearest(index, vectors, k, allowed)
            keep = hits.scores >= score_threshold
            is_cut = not keep.all()
            found = _grouped(hits.at(keep) if is_cut else hits, depth, collapse_duplicates)
            # There are no more rows; or some below the threshold are here, so all above it are.
            if len(found) == depth or len(hits.rows) < k or is_cut:
                break
            k *= _MORE_ROWS
        for item in found:
            known = item.product in products or (collapse_duplicates and item.picture in pictures)
            if not known and len(ranking) < depth:
                ranking.append(item)
                products.add(item.product)
                pictures.add(item.picture)
        if len(ranking) >= wanted or len(found) < depth:
            break
    return ranking[:wanted]


def _first_rows(counts: Counts, products: int) -> int:
    average = counts.images / counts.products
    return ceil(products * max(_ROWS_PER_PRODUCT, _AVERAGES_PER_PRODUCT * average))


def _nearest[Allowed](
    index: Searchable[Allowed], vectors: NDArray[np.float32], k: int, allowed: Allowed | None
) -> Hits:
    """Find the k rows nearest to any vector: among those are only rows of the k nearest to each."""
    found = index.search(vectors, k, allowed)
    if len(found) == 1:
        return found[0]
    hits = Hits(*(np.concatenate(part) for part in zip(*found, strict=True)))
    hits = hits.at(np.lexsort((hits.rows, -hits.scores)))
    _, first = np.unique(hits.rows, return_index=True)
    return hits.at(np.sort(first)[:k])


def _grouped(hits: Hits, wanted: int, collapse_duplicates: bool) -> list[Ranked]:
    """Gather rows, nearest first, by product; the first `wanted` products."""
    found: dict[int, Ranked] = {}
    pictures: set[int] = set()
    repeated: set[int] = set()
    # Of a page's hundred rows, NumPy takes twice as long; of the thousands of a deep one, less.
    for row, score, product, picture in zip(*(part.tolist() for part in hits), strict=True):
        if product in found:
            found[product].rows.append(row)
        elif collapse_duplicates and (picture in pictures or product in repeated):
            repeated.add(product)
        elif len(found) < wanted:
            pictures.add(picture)
            found[product] = Ranked(product, picture, min(max(score, -1.0), 1.0), [row])
    return list(found.values())
