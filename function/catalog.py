"""The products behind the index's rows: a SQLite file, written once, read-only ever after.

Table `image` has one line per row of the index (row number = index row); table `product` the rest.
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import ReleaseError
from .manifest import CATALOG, Counts

# Fewer than SQLite's smallest limit of host parameters, 999.
_ROWS_PER_QUERY = 900

_SCHEMA = """
CREATE TABLE product (
    id TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    category TEXT NOT NULL,
    price TEXT NOT NULL,
    labels TEXT NOT NULL          -- JSON list of [key, value] pairs, in the publisher's order
) STRICT, WITHOUT ROWID;
CREATE TABLE image (
    row INTEGER PRIMARY KEY,      -- row of the index
    product_id TEXT NOT NULL REFERENCES product (id),
    image_id TEXT NOT NULL,
    url TEXT NOT NULL,
    thumbnail_url TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    thumbnail_sha256 TEXT NOT NULL
) STRICT;
CREATE INDEX image_by_product ON image (product_id, row);
"""


@dataclass(frozen=True)
class Product:
    """A product of the shop.

    Attributes:
        id: the shop's own.
        title: for people; may be empty.
        category: may be empty.
        price: as the shop writes it, with its currency; may be empty.
        labels: (key, value) pairs; a key may repeat.
    """

    id: str
    title: str = ""
    category: str = ""
    price: str = ""
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ImageRow:
    """A photo of a product, and where a browser finds it.

    A photo that came without a URL is stored under the root's images/ by its hash instead.

    Attributes:
        row: its row in the index.
        product_id: whose photo it is.
        image_id: its name; unique within the product.
        url: of the photo; "" where it is stored.
        thumbnail_url: of a smaller one; "" where there is none or it is stored.
        sha256: of the stored photo, images/<sha256>.jpg; "" where there is a url.
        thumbnail_sha256: of the stored thumbnail; "" where there is none.
    """

    row: int
    product_id: str
    image_id: str
    url: str = ""
    thumbnail_url: str = ""
    sha256: str = ""
    thumbnail_sha256: str = ""


def write_catalog(path: Path, products: Iterable[Product], images: Iterable[ImageRow]) -> Counts:
    """Write a new catalogue.

    Args:
        path: a file that does not exist yet.
        products: each id once.
        images: rows 0, 1, 2, … in any order, each of a product given.

    Returns:
        How many there are of each.

    Raises:
        ValueError: an id or row twice, a gap in the rows, or an image of no product.
    """
    if path.exists():
        raise ValueError(f"{path}: expected no file yet; found one.")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(_SCHEMA)
        connection.execute("PRAGMA foreign_keys = ON")
        try:
            connection.executemany(
                "INSERT INTO product VALUES (?, ?, ?, ?, ?)",
                (
                    (item.id, item.title, item.category, item.price, json.dumps(item.labels))
                    for item in products
                ),
            )
            connection.executemany(
                "INSERT INTO image VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    (
                        image.row,
                        image.product_id,
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
    return counts


def open_catalog(path: Path) -> "ProductCatalog":
    """Open a catalogue for reading; ReleaseError where the file is none of ours."""
    # immutable: no locks and no journal, so it works on a read-only disk too.
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    try:
        connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
        try:
            return ProductCatalog(connection)
        except sqlite3.Error:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise ReleaseError(f"{CATALOG}: expected a catalogue of products; {error}.") from error


class ProductCatalog:
    """A read-only catalogue; safe to use from several threads.

    Attributes:
        counts: of products and images.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        # One connection for all threads: it keeps the file open even when its name is removed, and
        # a look-up takes microseconds.
        self._connection = connection
        self._lock = threading.Lock()
        self.counts = _counts(connection)

    def image(self, row: int) -> ImageRow:
        """Return the photo at an index row; KeyError where there is none."""
        return self.images([row])[0]

    def images(self, rows: Sequence[int]) -> list[ImageRow]:
        """Return the photos at several index rows, in their order; KeyError names a missing one."""
        found: dict[int, ImageRow] = {}
        for start in range(0, len(rows), _ROWS_PER_QUERY):
            some = [int(row) for row in rows[start : start + _ROWS_PER_QUERY]]
            marks = ",".join("?" * len(some))
            for values in self._all(f"SELECT * FROM image WHERE row IN ({marks})", some):  # noqa: S608
                found[values[0]] = ImageRow(*values)
        return [found[row] for row in rows]

    def product(self, product_id: str) -> Product:
        """Return a product; KeyError where there is none."""
        rows = self._all("SELECT * FROM product WHERE id = ?", [product_id])
        if not rows:
            raise KeyError(product_id)
        found, title, category, price, labels = rows[0]
        pairs = tuple((key, value) for key, value in json.loads(labels))
        return Product(found, title, category, price, pairs)

    def images_of(self, product_id: str) -> list[ImageRow]:
        """Return a product's photos by row; none where there is no such product."""
        query = "SELECT * FROM image WHERE product_id = ? ORDER BY row"
        return [ImageRow(*values) for values in self._all(query, [product_id])]

    def close(self) -> None:
        """Free the file."""
        with self._lock:
            self._connection.close()

    def _all(self, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()


def _counts(connection: sqlite3.Connection) -> Counts:
    return Counts(
        *connection.execute(
            "SELECT (SELECT count(*) FROM product), (SELECT count(*) FROM image)"
        ).fetchone()
    )
