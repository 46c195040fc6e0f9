"""Photos of unseen products that a release can be asked with, and what it should find."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.data.records import Photo
from trainer.evaluation.attribution import Queries

# Enough that one query more or less is 0.05 %.
MAX_QUERIES = 2000


@dataclass(frozen=True, eq=False)
class Asked:
    """The queries, and how they were chosen.

    Attributes:
        task: "query_to_catalog" or "leave_one_out".
        photos: what is asked with.
        queries: what each should find; its own row where it is in the release.
        available: queries before sampling.
        without_relevant: those left out because the release holds no (other) photo of their
            product.
    """

    task: str
    photos: Sequence[Photo]
    queries: Queries
    available: int
    without_relevant: int


def choose_queries(
    unseen: Sequence[Photo], gallery: Sequence[Photo], max_queries: int = MAX_QUERIES
) -> Asked:
    """Choose the unseen products' photos with role "query", or, where there is none, all others.

    Args:
        unseen: photos of products that were not trained on, in the gallery or not.
        gallery: the release's photos, in the order of its rows.
        max_queries: of more, a sample is drawn by a fixed seed.
    """
    known = [photo for photo in unseen if photo.product_id]
    by_role = [photo for photo in known if photo.role == "query"]
    candidates = by_role or known
    row_of = {photo: row for row, photo in enumerate(gallery)}
    listed = Counter(photo.product_id for photo in gallery)
    able = [photo for photo in candidates if listed[photo.product_id] > (photo in row_of)]
    sample = np.random.default_rng(0).permutation(len(able))[:max_queries]
    photos = [able[number] for number in np.sort(sample)]
    return Asked(
        task="query_to_catalog" if by_role else "leave_one_out",
        photos=photos,
        queries=Queries(
            [photo.product_id for photo in photos],
            np.array([row_of.get(photo, -1) for photo in photos], np.int64),
        ),
        available=len(able),
        without_relevant=len(candidates) - len(able),
    )
