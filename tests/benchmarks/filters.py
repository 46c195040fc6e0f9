"""Filters for the search benchmark: rows by chance, and categories that lie together."""

import json
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

SHARES = (0.5, 0.1, 0.01, 0.001)
# So many queries are asked with each kind of filter, and so many categories are there of a size.
ASKED, CATEGORIES = 200, 16

Filters = dict[str, tuple[Bool[np.ndarray, "filters rows"], Int[np.ndarray, " asked"]]]


def make_filters(
    rows: Float[np.ndarray, "rows dim"], queries: Float[np.ndarray, "queries dim"]
) -> Filters:
    """Return, by name, the filters of a kind, and which of them each query has.

    By chance: each row with the share's probability. A category: the share of the rows that is
    nearest to one of them; its own is the one whose centre is nearest to the query, another is any
    of the rest.
    """
    random = np.random.default_rng(0)
    filters: Filters = {}
    centres = rows[np.sort(random.choice(len(rows), CATEGORIES, replace=False))]
    near = centres @ rows.T
    own = (queries[:ASKED] @ centres.T).argmax(axis=1)
    another = (own + random.integers(1, CATEGORIES, ASKED)) % CATEGORIES
    for share in SHARES:
        count = round(share * len(rows))
        least = -np.partition(-near, count - 1, axis=1)[:, count - 1]
        by_chance = random.random((1, len(rows))) < share
        filters[f"by chance, {share:.1%}"] = (by_chance, np.zeros(ASKED, np.int64))
        filters[f"the query's category, {share:.1%}"] = (near >= least[:, None], own)
        filters[f"another category, {share:.1%}"] = (near >= least[:, None], another)
    return filters


def save_filters(filters: Filters, path: Path) -> None:
    """Write them for `own_index`, which names no type of ours."""
    arrays = {"names": np.array(json.dumps(list(filters)))}
    for name, (masks, which) in filters.items():
        arrays |= {name: np.packbits(masks, axis=1), f"{name} which": which}
    np.savez(path, **arrays)
