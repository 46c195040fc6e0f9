"""Facets: how many products there are of each value of a label's key, or of each category.

They are counted in the inverted index (`postings.py`): a value's count is how many of its list's
products are allowed, and no row of a product is read.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .database import Database
from .postings import NUMBER

# The key that counts categories; a label's key of that name cannot be counted.
CATEGORY = "productCategory"

# Values of a key that are told: those of the most products.
MAX_FACET_VALUES = 100


@dataclass(frozen=True)
class Facet:
    """A key's values.

    Attributes:
        key: of labels, or CATEGORY.
        values: (value, its products), at least one each; most first, equal ones in the order of
            their code points; at most MAX_FACET_VALUES.
    """

    key: str
    values: tuple[tuple[str, int], ...]


def count_facet(database: Database, key: str, allowed: NDArray[np.bool_] | None) -> Facet:
    """Count a key's values.

    Args:
        database: has the table of postings.
        key: of labels, or CATEGORY.
        allowed: [products], which are counted; None: all.
    """
    term = ("category", "") if key == CATEGORY else ("label", key)
    found = database.all(
        "SELECT value, products FROM posting WHERE kind = ? AND key = ? ORDER BY value", term
    )
    if not found:
        return Facet(key, ())
    values, lists = zip(*found, strict=True)
    lengths = np.array([len(numbers) for numbers in lists]) // NUMBER.itemsize
    counts = lengths
    if allowed is not None:
        counted = allowed[np.frombuffer(b"".join(lists), NUMBER)]
        counts = np.add.reduceat(counted, np.cumsum(lengths) - lengths, dtype=np.int64)
    most = np.argsort(-counts, kind="stable")[:MAX_FACET_VALUES]
    return Facet(key, tuple((values[place], int(counts[place])) for place in most if counts[place]))
