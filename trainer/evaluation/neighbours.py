"""What lies nearest to a query, and what should: for pictures and reports."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int, Int64

from trainer.evaluation.tasks import Task

_BLOCK = 512


@dataclass(frozen=True)
class Neighbour:
    """A gallery photo, as one query sees it."""

    row: int
    """In the gallery."""
    similarity: float
    """Cosine."""
    right: bool
    """Whether it shows the query's product."""


def neighbours(
    query: Float32[np.ndarray, " dim"],
    gallery: Float32[np.ndarray, "gallery dim"],
    right: Bool[np.ndarray, " gallery"],
    *,
    own_row: int = -1,
    count: int,
) -> tuple[list[Neighbour], Neighbour | None]:
    """Return the gallery photos nearest to a query, and the one that should be first.

    Args:
        query: unit vector.
        gallery: unit rows.
        right: which rows show the query's product.
        own_row: the row that is the query photo itself, and is left out; -1 where there is none.
        count: how many, at most.

    Returns:
        The nearest, other products' photos first among ties, as in the metrics; and the nearest
        photo of the query's product, None where there is none.
    """
    scores = gallery @ query
    ranking = [row for row in np.lexsort((right, -scores.round(6))).tolist() if row != own_row]

    def neighbour(row: int) -> Neighbour:
        return Neighbour(row, float(scores[row]), bool(right[row]))

    best = next((neighbour(row) for row in ranking if right[row]), None)
    return [neighbour(row) for row in ranking[:count]], best


def nearest_others(
    vectors: Float32[np.ndarray, "photos dim"],
    product: Int[np.ndarray, " photos"],
    task: Task,
) -> Int64[np.ndarray, " queries"]:
    """Return, for each query, the nearest gallery photo of another product; -1 where none is.

    Args:
        vectors: unit rows.
        product: a number for each product.
        task: who searches among whom.

    Returns:
        Photo numbers.
    """
    gallery = np.array(task.gallery)
    found = np.full(len(task.queries), -1, np.int64)
    for start, queries in _blocks(np.array(task.queries)):
        scores = vectors[queries] @ vectors[gallery].T
        other: Bool[np.ndarray, "block gallery"] = product[queries][:, None] != product[gallery]
        scores[~other] = -np.inf
        best = scores.argmax(axis=1)
        found[start : start + queries.size] = np.where(other.any(axis=1), gallery[best], -1)
    return found


def _blocks(
    items: Int[np.ndarray, " items"],
) -> Iterator[tuple[int, Int[np.ndarray, " block"]]]:
    for start in range(0, len(items), _BLOCK):
        yield start, items[start : start + _BLOCK]
