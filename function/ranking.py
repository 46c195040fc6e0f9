"""From nearest rows to products: one place for each product, in an order that pages can share.

A ranking is made in stages: the first looks for 26 products, and each that follows looks for more,
keeps what was found before and adds what is new to it. So a longer ranking always begins with the
shorter one, whatever an approximate index finds when it is asked for more, and pages of any size
are cuts of the same list. A product that only a later stage finds comes after those of the stages
before, even if it is nearer.
"""

from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .catalog import ProductCatalog
from .index import Index

# How deep a ranking goes, in products.
DEPTH = 500

# Products that each stage looks for: enough to tell of a page of 25, or of the largest, whether
# another follows. A first page of ten products takes a quarter of what a hundred take.
_STAGES = (26, 101, DEPTH)

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


def rank_products(
    index: Index,
    catalog: ProductCatalog,
    vectors: NDArray[np.float32],
    wanted: int,
    *,
    allowed: NDArray[np.bool_] | None = None,
    score_threshold: float = -1.0,
    collapse_duplicates: bool = False,
) -> list[Ranked]:
    """Rank the products nearest to a vector, each at the place of its nearest photo.

    The index is asked at most ⌈log₄ rows⌉ times for each stage, or once; of each of the vectors.

    Args:
        index: over the catalogue's photos.
        catalog: its rows are those of the index.
        vectors: a unit vector [dim]; or several [vectors, dim], to the nearest of which a photo is
            as near as its score says.
        wanted: how many products, at most DEPTH.
        allowed: [rows], whose products may be found; None: all.
        score_threshold: the least cosine similarity of a product's nearest photo.
        collapse_duplicates: leave out products whose nearest photo shows the same picture as that
            of a product before.

    Returns:
        `wanted` products, or all there are; best first within each stage.
    """
    rows_left = index.rows if allowed is None else int(np.count_nonzero(allowed))
    ranking: list[Ranked] = []
    products: set[int] = set()
    pictures: set[int] = set()
    for depth in _STAGES if rows_left else ():
        k = _first_rows(catalog, depth)
        while True:
            rows, scores = _nearest(index, vectors, k, allowed)
            keep = scores >= score_threshold
            found = _grouped(catalog, rows[keep], scores[keep], depth, collapse_duplicates)
            # Rows below the threshold came into sight, so all above it did.
            if len(found) == depth or k >= rows_left or not keep.all():
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


def _first_rows(catalog: ProductCatalog, products: int) -> int:
    average = catalog.counts.images / catalog.counts.products
    return ceil(products * max(_ROWS_PER_PRODUCT, _AVERAGES_PER_PRODUCT * average))


def _nearest(
    index: Index, vectors: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """As `Index.search`. Among the k nearest to any vector are only those of k nearest to each."""
    if vectors.ndim == 1:
        return index.search(vectors, k, allowed)
    found = [index.search(vector, k, allowed) for vector in vectors]
    rows, scores = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.lexsort((rows, -scores))
    _, first = np.unique(rows[order], return_index=True)
    best = order[np.sort(first)[:k]]
    return rows[best], scores[best]


def _grouped(
    catalog: ProductCatalog,
    rows: NDArray[np.int64],
    scores: NDArray[np.float32],
    wanted: int,
    collapse_duplicates: bool,
) -> list[Ranked]:
    """Gather rows, nearest first, by product; the first `wanted` products."""
    products = catalog.product_of_row[rows]
    by_product = rows[np.argsort(products, kind="stable")].tolist()
    names, first, counts = np.unique(products, return_index=True, return_counts=True)
    ends = np.cumsum(counts)
    pictures = catalog.picture_of_row[rows[first]]
    order = np.argsort(first)
    if collapse_duplicates:
        _, shown = np.unique(pictures[order], return_index=True)
        order = order[np.sort(shown)]
    order = order[:wanted]
    return [
        Ranked(product, picture, score, by_product[start:end])
        for product, picture, score, start, end in zip(
            names[order].tolist(),
            pictures[order].tolist(),
            np.clip(scores[first[order]], -1, 1).tolist(),
            (ends - counts)[order].tolist(),
            ends[order].tolist(),
            strict=True,
        )
    ]
