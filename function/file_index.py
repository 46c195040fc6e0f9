"""The index of a release's own files, which a function holds or maps.

Rows are found by `index.py`, and the catalogue says whose photos they are. A release's files are
immutable, so what changes is written anew, as exact rows: that is for a catalogue small enough to
be rewritten. `lookalike publish --update` embeds, tunes and publishes, and is what a shop uses.
"""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from .catalog import Product
from .file_catalog import FileCatalog, open_catalog, write_catalog
from .filters import Selection
from .index import Index, NumpyIndex, StoredIndex, open_index
from .manifest import CATALOG, INDEX, Counts
from .vector_index import Entry, Hits, check_entries
from .vectors import save_vectors


class SearchableRows:
    """Rows of any index with the products that they are photos of.

    Attributes:
        index: finds rows.
        catalog: of the same rows.
    """

    def __init__(self, index: Index, catalog: FileCatalog) -> None:
        self.index = index
        self.catalog = catalog

    def search(
        self, vectors: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> list[Hits]:
        """Find the rows nearest to each vector; see `VectorIndex.search`."""
        found = (self.index.search(vector, k, allowed) for vector in vectors)
        products, pictures = self.catalog.product_of_row, self.catalog.picture_of_row
        return [Hits(rows, scores, products[rows], pictures[rows]) for rows, scores in found]

    def count(self) -> Counts:
        """Return how many products and rows there are."""
        return self.catalog.counts


class FileIndex(SearchableRows):
    """A `VectorIndex` over the files of a release.

    Args:
        index: finds rows.
        catalog: of the same rows.
        folder: where both lie, whose files may be written anew; None: nowhere.
    """

    index: StoredIndex

    def __init__(
        self, index: StoredIndex, catalog: FileCatalog, folder: Path | None = None
    ) -> None:
        super().__init__(index, catalog)
        self._folder = folder

    @classmethod
    def create(cls, folder: Path, dim: int) -> "FileIndex":
        """Make one without rows in an empty folder, for vectors of length `dim`."""
        index, catalog = _written(folder, [], [], dim)
        return cls(index, catalog, folder)

    def allowed(self, selection: Selection) -> NDArray[np.bool_] | None:
        return self.catalog.allowed_rows(selection)

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return self.index.vectors(rows)

    def until(self, deadline: float) -> Self:
        return self

    def load(self, entries: Iterable[Entry]) -> None:
        if self.count().images:
            raise ValueError(f"load: expected no photos yet; found {self.count().images}.")
        self.upsert(list(entries))

    def upsert(self, entries: Sequence[Entry]) -> None:
        check_entries(entries, self.index.dim)
        products = {entry.product.id: entry.product for entry in entries}
        rows = self._rows()
        for entry in entries:
            rows.setdefault(entry.product.id, {})[entry.image.image_id] = (entry, None)
        self._write(rows, products)

    def delete(self, product_ids: Iterable[str]) -> None:
        gone = frozenset(product_ids)
        rows = {name: photos for name, photos in self._rows().items() if name not in gone}
        self._write(rows, {})

    def _rows(self) -> dict[str, dict[str, tuple[Entry, int | None]]]:
        """By product and photo: each entry, and the number of the picture that it shows."""
        count = self.count().images
        shown = self.catalog.shown(range(count))
        stored = self.vectors(np.arange(count))
        pictures = self.catalog.picture_of_row.tolist()
        rows: dict[str, dict[str, tuple[Entry, int | None]]] = {}
        for (product, image), vector, picture in zip(shown, stored, pictures, strict=True):
            entry = Entry(product, image, vector)
            rows.setdefault(product.id, {})[image.image_id] = (entry, picture)
        return rows

    def _write(
        self,
        rows: dict[str, dict[str, tuple[Entry, int | None]]],
        changed: dict[str, Product],
    ) -> None:
        if self._folder is None:
            raise ValueError("A release that is served never changes: publish another.")
        listed = [
            (replace(entry, product=changed.get(name, entry.product)), picture)
            for name, photos in rows.items()
            for entry, picture in photos.values()
        ]
        first_rows: dict[int | None, int] = {}
        pictures = [
            row if picture is None else first_rows.setdefault(picture, row)
            for row, (_, picture) in enumerate(listed)
        ]
        self.catalog.close()
        entries = [entry for entry, _ in listed]
        self.index, self.catalog = _written(self._folder, entries, pictures, self.index.dim)


def _written(
    folder: Path, entries: Sequence[Entry], pictures: Sequence[int], dim: int
) -> tuple[StoredIndex, FileCatalog]:
    """Write entries as the only ones of a folder, whole before the old ones go, and open them."""
    fresh = folder / "fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    (fresh / INDEX).mkdir(parents=True)
    vectors = np.array([entry.vector for entry in entries], np.float32).reshape(-1, dim)
    save_vectors(vectors, fresh / INDEX, "float32")
    products = {entry.product.id: entry.product for entry in entries}
    images = [
        replace(entry.image, row=row, product_id=entry.product.id)
        for row, entry in enumerate(entries)
    ]
    write_catalog(fresh / CATALOG, products.values(), images, np.array(pictures, np.int64))
    shutil.rmtree(folder / INDEX, ignore_errors=True)
    for part in (INDEX, CATALOG):
        (fresh / part).replace(folder / part)
    fresh.rmdir()
    # Nothing cannot be mapped.
    index = open_index(folder / INDEX, "exact") if entries else NumpyIndex(vectors)
    return index, open_catalog(folder / CATALOG)
