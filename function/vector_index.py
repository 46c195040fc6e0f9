"""The contract of an index: a catalogue's unit vectors, found by nearness, whoever holds them.

Two keep it: `file_index.FileIndex` over the files of a release, which a function holds or maps, and
`postgres.index.PostgresIndex` over the tables of one, which a database holds. What a caller sees is
the same: `tests/function/test_vector_index.py` asks both alike.

What may be found is a `Selection`, the one tree of filters; each index compiles it to what it can
look up by: masks over rows, or a condition in SQL.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .catalog import ImageRow, Product
from .filters import Selection
from .manifest import Counts


class Hits(NamedTuple):
    """The rows nearest to one vector, best first, equal ones by row.

    Attributes:
        rows: int64 [found], their numbers.
        scores: float32 [found], cosine similarities.
        products: whole numbers [found], one for each one's product.
        pictures: whole numbers [found]; rows with the same one show the same picture.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float32]
    products: NDArray[np.signedinteger[Any]]
    pictures: NDArray[np.signedinteger[Any]]

    def at(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> "Hits":
        """Return some of them, by a mask or by their places."""
        return Hits(
            self.rows[which], self.scores[which], self.products[which], self.pictures[which]
        )


@dataclass(frozen=True, eq=False)
class Entry:
    """A photo to be found, and its product.

    Attributes:
        product: as it is from now on; the last of several entries counts.
        image: its `row` is not read: the index gives it one.
        vector: unit vector, float32 [dim].
    """

    product: Product
    image: ImageRow
    vector: NDArray[np.float32]


@runtime_checkable
class Searchable[Allowed](Protocol):
    """What can be searched."""

    def search(
        self, vectors: NDArray[np.float32], k: int, allowed: Allowed | None = None
    ) -> list[Hits]:
        """Find the rows nearest to each of some vectors.

        Args:
            vectors: unit vectors [vectors, dim].
            k: how many rows are wanted for each, 1 or more; may exceed the rows there are.
            allowed: which may be found; None: all.

        Returns:
            Of each vector the k nearest, or all that are allowed if those are fewer.

        Raises:
            Unavailable: what holds the vectors is away.
            DeadlineExceeded: it took too long.
        """

    def count(self) -> Counts:
        """Return how many products there are, and photos of them: the rows."""


class VectorIndex[Allowed](Searchable[Allowed], Protocol):
    """An index. Safe to use from several threads, but for `load`, `upsert` and `delete`.

    These three make a release and change it before the pointer names it: a release that is served
    never changes. A photo is known by its product's id and its own.
    """

    def allowed(self, selection: Selection) -> Allowed | None:
        """Compile a selection: which rows may be found; None: all."""

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return rows as they are stored, in their order: unit vectors, but for rounding.

        Raises:
            Unavailable, DeadlineExceeded: as `search`.
        """

    def until(self, deadline: float) -> "VectorIndex[Allowed]":
        """Return the same index, which gives up at a time of `time.monotonic`."""

    def load(self, entries: Iterable[Entry]) -> None:
        """Take the photos of a new release, in the order of rows; there are none yet.

        Raises:
            ValueError: a photo twice, or vectors of another length.
        """

    def upsert(self, entries: Sequence[Entry]) -> None:
        """Put photos in the place of those of the same ids, and add those that are new.

        Raises:
            ValueError: a photo twice, or vectors of another length.
        """

    def delete(self, product_ids: Iterable[str]) -> None:
        """Take products out, with all their photos; unknown ids are no error."""


def check_entries(entries: Sequence[Entry], dim: int) -> None:
    """Raise ValueError for a photo that comes twice, or a vector of another length than `dim`."""
    seen: set[tuple[str, str]] = set()
    for entry in entries:
        name = entry.product.id, entry.image.image_id
        if name in seen:
            raise ValueError(f"Photo {name[1]!r} of product {name[0]!r}: expected it once.")
        if entry.vector.shape != (dim,):
            raise ValueError(
                f"Photo {name[1]!r} of product {name[0]!r}: expected a vector of {dim} numbers; "
                f"found {list(entry.vector.shape)}."
            )
        seen.add(name)
