"""Which products carry a label, belong to a category or to a product set: an inverted index.

For each of them table `posting` holds one list: the products' numbers, ascending, as uint32
(Zobel and Moffat, "Inverted files for text search engines", ACM Computing Surveys 2006). A filter
is answered from a few such lists, each read at once, where a join would visit every product.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache, partial, reduce
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .database import Database
from .filters import And, Filter, Label, Not, Selection

SCHEMA = """
CREATE TABLE posting (
    kind TEXT NOT NULL,           -- 'label', 'category' or 'product set'
    key TEXT NOT NULL,            -- of the label; else empty
    value TEXT NOT NULL,          -- of the label; else the category or the set
    products BLOB NOT NULL,       -- product.number, ascending: uint32, little-endian
    PRIMARY KEY (kind, key, value)
) STRICT;
"""

Kind = Literal["label", "category", "product set"]
type Term = tuple[Kind, str, str]
type Mask = NDArray[np.bool_]

NUMBER = np.dtype("<u4")

# Answers that are kept, of one byte for each row: so many bytes, and never more answers than that.
_ANSWERS_BYTES = 16 << 20
_ANSWERS = 64


def write_postings(connection: sqlite3.Connection, terms: Iterable[Iterable[Term]]) -> None:
    """Write the lists.

    Args:
        connection: has the table, empty.
        terms: for each product, by its number: (kind, key, value) of all it can be found by.
    """
    lists: defaultdict[Term, list[int]] = defaultdict(list)
    for number, its_terms in enumerate(terms):
        for term in dict.fromkeys(its_terms):
            lists[term].append(number)
    connection.executemany(
        "INSERT INTO posting VALUES (?, ?, ?, ?)",
        ((*term, np.array(numbers, NUMBER).tobytes()) for term, numbers in sorted(lists.items())),
    )


class Postings:
    """The lists of one catalogue, read as they are needed; the last answers are kept.

    Args:
        database: has the table.
        products: how many there are.
        product_of_row: int32 [rows], whose photo each is.
    """

    def __init__(
        self, database: Database, products: int, product_of_row: NDArray[np.int32]
    ) -> None:
        self._database = database
        kept = max(1, min(_ANSWERS, _ANSWERS_BYTES // max(1, len(product_of_row))))
        self._lists = _Lists(database, products)
        # It holds nothing of this object, so that a catalogue that is let go is freed at once.
        self._answer = lru_cache(kept)(partial(_matching_rows, self._lists, product_of_row))

    def matching_rows(self, selection: Selection) -> Mask:
        """Return which rows are of products that satisfy a selection, but for those it excludes.

        It cannot be written to, as several threads may hold it.
        """
        return self._answer(selection)

    def matching_products(self, selection: Selection) -> Mask:
        """Return which products [products] satisfy a selection, but for those it excludes."""
        return self._lists.matching(selection)

    def values(self, kind: Kind, limit: int) -> list[str]:
        """Return the first categories or product sets in the order of their code points."""
        rows = self._database.all(
            "SELECT value FROM posting WHERE kind = ? ORDER BY value LIMIT ?", [kind, limit]
        )
        return [value for (value,) in rows]

    def label_keys(self, limit: int) -> list[str]:
        """Return the first keys of labels in the order of their code points."""
        rows = self._database.all(
            "SELECT DISTINCT key FROM posting WHERE kind = 'label' ORDER BY key LIMIT ?", [limit]
        )
        return [key for (key,) in rows]


def _matching_rows(
    lists: "_Lists", product_of_row: NDArray[np.int32], selection: Selection
) -> Mask:
    rows: Mask = lists.matching(selection)[product_of_row]
    rows.flags.writeable = False
    return rows


@dataclass(frozen=True)
class _Lists:
    """The lists as masks over the products."""

    database: Database
    products: int

    def matching(self, selection: Selection) -> Mask:
        restrictions = [np.ones(self.products, bool)]
        if selection.where is not None:
            restrictions.append(self.filtered(selection.where))
        if selection.categories:
            restrictions.append(
                reduce(np.logical_or, (self.of("category", "", x) for x in selection.categories))
            )
        if selection.product_set:
            restrictions.append(self.of("product set", "", selection.product_set))
        return reduce(np.logical_and, restrictions)

    def filtered(self, where: Filter) -> Mask:
        if isinstance(where, Label):
            return self.of("label", where.key, where.value)
        if isinstance(where, Not):
            return ~self.filtered(where.part)
        combine = np.logical_and if isinstance(where, And) else np.logical_or
        return reduce(combine, map(self.filtered, where.parts))

    def of(self, kind: Kind, key: str, value: str) -> Mask:
        mask = np.zeros(self.products, bool)
        for (numbers,) in self.database.all(
            "SELECT products FROM posting WHERE kind = ? AND key = ? AND value = ?",
            [kind, key, value],
        ):
            mask[np.frombuffer(numbers, NUMBER)] = True
        return mask
