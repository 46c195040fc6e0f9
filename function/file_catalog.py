"""The catalogue of a release's own files: SQLite, written once, read-only ever after.

Table `image` has one line per row of the index (row number = index row); table `product` one per
product; table `posting` answers filters. What a search needs of every row lies in table `layout`
as whole arrays, which are read at once.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from . import postings
from .catalog import ImageRow, Page, Product, terms_of
from .database import Database
from .errors import ReleaseError
from .facets import Facet, FacetCounter
from .filters import EVERYTHING, Selection
from .manifest import CATALOG, Counts
from .postings import Postings

_ROW_NUMBER = np.dtype("<i4")

_SCHEMA = (
    """
CREATE TABLE product (
    number INTEGER PRIMARY KEY,   -- 0, 1, 2, ... in the publisher's order
    id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    category TEXT NOT NULL,
    price TEXT NOT NULL,
    labels TEXT NOT NULL,         -- JSON list of [key, value] pairs, in the publisher's order
    product_sets TEXT NOT NULL    -- JSON list of names
) STRICT;
CREATE TABLE image (
    row INTEGER PRIMARY KEY,      -- row of the index
    product INTEGER NOT NULL REFERENCES product (number),
    image_id TEXT NOT NULL,
    url TEXT NOT NULL,
    thumbnail_url TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    thumbnail_sha256 TEXT NOT NULL
) STRICT;
CREATE INDEX image_by_product ON image (product, row);
CREATE TABLE layout (
    name TEXT PRIMARY KEY,        -- 'product' (its number) or 'picture' (first row that shows it)
    numbers BLOB NOT NULL         -- for each row of the index: int32, little-endian
) STRICT;
"""
    + postings.SCHEMA
)

_IMAGES = """
SELECT row, id, image_id, url, thumbnail_url, sha256, thumbnail_sha256
FROM image JOIN product ON product = number
"""
_IMAGE_VALUES = len(fields(ImageRow))

_PRODUCTS = "SELECT id, title, category, price, labels, product_sets, number FROM product"

# The values of both.
_SHOWN = """
SELECT row, id, image_id, url, thumbnail_url, sha256, thumbnail_sha256,
    id, title, category, price, labels, product_sets, number
FROM image JOIN product ON product = number
"""


def write_catalog(
    path: Path,
    products: Iterable[Product],
    images: Iterable[ImageRow],
    pictures: NDArray[np.integer[Any]] | None = None,
) -> Counts:
    """Write a new catalogue.

    Args:
        path: a file that does not exist yet.
        products: each id once.
        images: rows 0, 1, 2, … in any order, each of a product given.
        pictures: for each row, the first row that shows the same picture; None: each its own.

    Returns:
        How many there are of each.

    Raises:
        ValueError: an id or row twice, a gap in the rows, or an image of no product.
    """
    if path.exists():
        raise ValueError(f"{path}: expected no file yet; found one.")
    products = list(products)
    numbers = {product.id: number for number, product in enumerate(products)}
    images = list(images)
    if strangers := {image.product_id for image in images} - numbers.keys():
        raise ValueError(
            f"{path.name}: expected images of the products given; found one of {min(strangers)!r}."
        )
    with closing(sqlite3.connect(path)) as connection, connection:
        # Nobody reads it before it is whole, so nothing need reach the disk before the rest.
        connection.executescript("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;")
        connection.executescript(_SCHEMA)
        try:
            connection.executemany(
                "INSERT INTO product VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    (
                        number,
                        item.id,
                        item.title,
                        item.category,
                        item.price,
                        json.dumps(item.labels),
                        json.dumps(item.product_sets),
                    )
                    for number, item in enumerate(products)
                ),
            )
            connection.executemany(
                "INSERT INTO image VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    (
                        image.row,
                        numbers[image.product_id],
                        image.image_id,
                        image.url,
                        image.thumbnail_url,
                        image.sha256,
                        image.thumbnail_sha256,
                    )
                    for image in images
                ),
            )
        except sqlite3.IntegrityError as error:
            raise ValueError(f"{path.name}: {error}") from error
        counts = _counts(connection)
        lowest, highest = connection.execute("SELECT min(row), max(row) FROM image").fetchone()
        if counts.images and (lowest, highest) != (0, counts.images - 1):
            raise ValueError(
                f"{path.name}: expected rows 0 to {counts.images - 1}, "
                f"one for each image; found {lowest} to {highest}."
            )
        in_order = connection.execute("SELECT product FROM image ORDER BY row")
        layout = {
            "product": [product for (product,) in in_order],
            "picture": np.arange(counts.images) if pictures is None else pictures,
        }
        if len(layout["picture"]) != counts.images:
            raise ValueError(
                f"{path.name}: expected pictures of {counts.images} rows; "
                f"found {len(layout['picture'])}."
            )
        connection.executemany(
            "INSERT INTO layout VALUES (?, ?)",
            ((name, np.asarray(rows, _ROW_NUMBER).tobytes()) for name, rows in layout.items()),
        )
        postings.write_postings(connection, map(terms_of, products))
    return counts


def open_catalog(path: Path) -> "FileCatalog":
    """Open a catalogue for reading; ReleaseError where the file is none of ours."""
    # immutable: no locks and no journal, so it works on a read-only disk too.
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    try:
        connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
        try:
            return FileCatalog(connection)
        except sqlite3.Error:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise ReleaseError(f"{CATALOG}: expected a catalogue of products; {error}.") from error


class FileCatalog:
    """A read-only catalogue; safe to use from several threads.

    Attributes:
        counts: of products and images.
        product_of_row: int32 [images], a number for each product.
        picture_of_row: int32 [images]; rows with the same number show the same picture.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._database = Database(connection)
        self.counts = _counts(connection)
        layout = dict(self._database.all("SELECT name, numbers FROM layout"))
        self.product_of_row = np.frombuffer(layout["product"], _ROW_NUMBER)
        self.picture_of_row = np.frombuffer(layout["picture"], _ROW_NUMBER)
        self._postings = Postings(self._database, self.counts.products, self.product_of_row)
        self._facets = FacetCounter(self._database, self.counts.products)

    def image(self, row: int) -> ImageRow:
        """Return the photo at an index row; KeyError where there is none."""
        return self.images([row])[0]

    def images(self, rows: Sequence[int]) -> list[ImageRow]:
        """Return the photos at several index rows, in their order; KeyError names a missing one."""
        found = self._database.all_in(f"{_IMAGES} WHERE row", list(map(int, rows)))
        by_row = {values[0]: ImageRow(*values) for values in found}
        return [by_row[row] for row in rows]

    def product(self, product_id: str) -> Product:
        rows = self._database.all(f"{_PRODUCTS} WHERE id = ?", [product_id])
        if not rows:
            raise KeyError(product_id)
        return _product(rows[0])

    def products(self, numbers: Sequence[int]) -> list[tuple[Product, ImageRow]]:
        """Return several products with the first photo of each, in the order of their numbers."""
        found = self._database.all_in(f"{_PRODUCTS} WHERE number", numbers)
        by_number = {values[-1]: _product(values) for values in found}
        first = [
            self._database.all("SELECT min(row) FROM image WHERE product = ?", [number])[0][0]
            for number in numbers
        ]
        pairs = zip(numbers, self.images(first), strict=True)
        return [(by_number[number], image) for number, image in pairs]

    def shown(self, rows: Sequence[int]) -> list[tuple[Product, ImageRow]]:
        found = self._database.all_in(f"{_SHOWN} WHERE row", list(map(int, rows)))
        by_row = {
            values[0]: (_product(values[_IMAGE_VALUES:]), ImageRow(*values[:_IMAGE_VALUES]))
            for values in found
        }
        return [by_row[row] for row in rows]

    def images_of(self, product_id: str) -> list[ImageRow]:
        found = self._database.all(f"{_IMAGES} WHERE id = ? ORDER BY row", [product_id])
        return [ImageRow(*values) for values in found]

    def allowed_rows(self, selection: Selection) -> NDArray[np.bool_] | None:
        """Return which rows [images] are photos of products that a selection allows; None: all.

        The mask is not to be written to.
        """
        # What is excluded differs from caller to caller, so only the rest is worth keeping.
        shared = replace(selection, excluded=frozenset())
        mask = None if shared == EVERYTHING else self._postings.matching_rows(shared)
        excluded = [
            row
            for (row,) in self._database.all_in(
                "SELECT row FROM product JOIN image ON product = number WHERE id",
                sorted(selection.excluded),
            )
        ]
        if excluded:
            mask = np.ones(self.counts.images, bool) if mask is None else mask.copy()
            mask[excluded] = False
        return mask

    def allowed_products(self, selection: Selection) -> NDArray[np.bool_] | None:
        """Return which products [products] a selection allows, by their numbers; None: all."""
        if selection == EVERYTHING:
            return None
        mask = self._postings.matching_products(selection)
        excluded = self._database.all_in(
            "SELECT number FROM product WHERE id", sorted(selection.excluded)
        )
        mask[[number for (number,) in excluded]] = False
        return mask

    def page(self, selection: Selection, first_number: int, size: int) -> Page:
        allowed = self.allowed_products(selection)
        numbers = np.arange(self.counts.products) if allowed is None else np.flatnonzero(allowed)
        start = int(np.searchsorted(numbers, first_number))
        end = start + size
        after = int(numbers[end]) if end < len(numbers) else None
        return Page(self.products(numbers[start:end].tolist()), after, len(numbers))

    def facets(self, keys: Sequence[str], selection: Selection) -> tuple[Facet, ...]:
        return self._count(keys, self.allowed_products(selection)) if keys else ()

    def facets_among(self, keys: Sequence[str], numbers: Sequence[int]) -> tuple[Facet, ...]:
        allowed = np.zeros(self.counts.products, bool)
        allowed[np.asarray(numbers, np.int64)] = True
        return self._count(keys, allowed)

    def _count(self, keys: Sequence[str], allowed: NDArray[np.bool_] | None) -> tuple[Facet, ...]:
        return tuple(self._facets.count(key, allowed) for key in keys)

    def categories(self, limit: int) -> list[str]:
        return self._postings.values("category", limit)

    def product_sets(self, limit: int) -> list[str]:
        return self._postings.values("product set", limit)

    def label_keys(self, limit: int) -> list[str]:
        return self._postings.label_keys(limit)

    def until(self, deadline: float) -> Self:
        return self

    def close(self) -> None:
        """Free the file."""
        self._database.close()


def _product(values: tuple[Any, ...]) -> Product:
    found, title, category, price, labels, product_sets, _ = values
    pairs = tuple((key, value) for key, value in json.loads(labels))
    return Product(found, title, category, price, pairs, tuple(json.loads(product_sets)))


def _counts(connection: sqlite3.Connection) -> Counts:
    return Counts(
        *connection.execute(
            "SELECT (SELECT count(*) FROM product), (SELECT count(*) FROM image)"
        ).fetchone()
    )
