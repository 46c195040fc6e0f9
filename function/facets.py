"""Facets: how many products there are of each value of a label's key, or of each category.

They are counted in the inverted index (`postings.py`): a value's count is how many of its list's
products are allowed, and no row of a product is read.
"""

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .database import Database
from .postings import NUMBER

# The key that counts categories; a label's key of that name cannot be counted.
CATEGORY = "productCategory"

# Values of a key that are told: those of the most products.
MAX_FACET_VALUES = 100

# Keys that are kept, of four bytes for each product and value, and the values' text: so many bytes,
# and never more keys than one request may count.
_KEYS_BYTES = 16 << 20
_KEYS = 20


class _Lists(NamedTuple):
    """A key's values in the order of their code points, and its lists, one behind the other."""

    values: list[str]
    numbers: NDArray[np.uint32]
    lengths: NDArray[np.int64]


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


class FacetCounter:
    """Counts over one catalogue; the keys that were counted last are kept as arrays.

    Args:
        database: has the table of postings.
        products: how many there are.
    """

    def __init__(self, database: Database, products: int) -> None:
        kept = max(1, min(_KEYS, _KEYS_BYTES // max(1, products * NUMBER.itemsize)))
        # As in `Postings`, it holds nothing of this object.
        self._lists = lru_cache(kept)(partial(_read_lists, database))

    def count(self, key: str, allowed: NDArray[np.bool_] | None) -> Facet:
        """Count a key's values.

        Args:
            key: of labels, or CATEGORY.
            allowed: [products], which are counted; None: all.
        """
        values, numbers, lengths = self._lists(key)
        counts = lengths
        if values and allowed is not None:
            starts = np.cumsum(lengths) - lengths
            counts = np.add.reduceat(allowed[numbers], starts, dtype=np.int64)
        most = np.argsort(-counts, kind="stable")[:MAX_FACET_VALUES]
        return Facet(
            key, tuple((values[place], int(counts[place])) for place in most if counts[place])
        )


def _read_lists(database: Database, key: str) -> _Lists:
    found = database.all(
        "SELECT value, products FROM posting WHERE kind = ? AND key = ? ORDER BY value",
        ("category", "") if key == CATEGORY else ("label", key),
    )
    lengths = np.array([len(numbers) for _, numbers in found], np.int64) // NUMBER.itemsize
    numbers = np.frombuffer(b"".join(numbers for _, numbers in found), NUMBER)
    return _Lists([value for value, _ in found], numbers, lengths)
