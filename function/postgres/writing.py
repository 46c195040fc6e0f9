"""Rows into a release's tables, by COPY, before the release is served.

Memory holds the names of all terms, and what is given at once. Which products and photos are there
already is asked of the server, by the block: a product that is told of again is merged, and a photo
that comes again, by its product's id and its own, is not loaded twice. So a catalogue of any size
streams, and a part of it may come twice.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector, Vector
from pgvector.psycopg import register_vector
from psycopg import Connection, Cursor
from psycopg.sql import SQL, Identifier
from psycopg.types.json import Json

from ..catalog import ImageRow, Product, merged_product, terms_of
from ..manifest import Counts
from ..postings import Term
from .schema import AccessMethod

# Rows that are sent and committed at once: some ten megabytes.
BLOCK_ROWS = 10_000

_TERM_TYPES = ("int4", "text", "text", "text", "int8")
_PRODUCT_TYPES = ("int8", "text", "text", "text", "text", "json", "json", "int4[]")
_IMAGE_TYPES = ("int8", "int8", "int8", *(("text",) * 5), "int4[]")


class Writer:
    """Fills and changes the tables of a release that nobody is served from yet.

    Args:
        connection: in autocommit, to a host that takes writes; nobody else uses it meanwhile.
        release_id: names the namespace; its `term`, `product` and `image` have their keys.
        method: of the vectors' index.
    """

    def __init__(self, connection: Connection[Any], release_id: str, method: AccessMethod) -> None:
        register_vector(connection)
        self._connection = connection
        self._schema = Identifier(release_id)
        self._vector_type = method.vector_type
        self._terms: dict[Term, int] = {
            (kind, key, value): number
            for number, kind, key, value in self._ask(
                "SELECT number, kind, key, value FROM {}.term"
            )
        }
        # No number is given twice.
        self._next_term = max(self._terms.values(), default=-1) + 1
        ((self._products, self._images),) = self._ask(
            "SELECT (SELECT coalesce(max(number), -1) + 1 FROM {0}.product), "
            "(SELECT coalesce(max(number), -1) + 1 FROM {0}.image)"
        )

    def add(
        self,
        products: Iterable[Product],
        images: Sequence[ImageRow],
        vectors: NDArray[np.float32],
        pictures: NDArray[np.integer[Any]] | None = None,
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Load photos, block by block, each in a transaction of its own.

        Args:
            products: of the photos, each once.
            images: in the order of rows; their own row numbers are not read.
            vectors: unit vectors [images, dim].
            pictures: for each image the first of these that shows the same picture; None: each its
                own.

        Yields:
            After each block, the numbers of the rows that were not there before, and their vectors.
        """
        told = {product.id: product for product in products}
        first = np.arange(len(images)) if pictures is None else np.asarray(pictures)
        # Of each image, its row's number here.
        numbers = np.full(len(images), -1, np.int64)
        for start in range(0, len(images), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            given = images[block]
            names = dict.fromkeys(image.product_id for image in given)
            with self._connection.transaction():
                owners = self._put_products([told[name] for name in names], merged_product)
                there = self._there(owners.values())
                fresh = []
                for place, image in enumerate(given):
                    key = owners[image.product_id].number, image.image_id
                    if key not in there:
                        there[key] = self._images
                        self._images += 1
                        fresh.append(place)
                    numbers[start + place] = there[key]
                added = numbers[block][fresh]
                self._copy_images(
                    [given[place] for place in fresh],
                    owners,
                    vectors[block][fresh],
                    added,
                    numbers[first[block][fresh]],
                )
            yield added, vectors[block][fresh]

    def replace(
        self,
        products: Iterable[Product],
        images: Sequence[ImageRow],
        vectors: NDArray[np.float32],
    ) -> None:
        """Put photos in the place of those of the same ids, and add those that are new.

        Args:
            products: of the photos, as they are from now on.
            images, vectors: as for `add`.
        """
        with self._connection.transaction():
            owners = self._put_products(list(products), lambda known, told: told)
            there = self._there(owners.values())
            keys = [(owners[image.product_id].number, image.image_id) for image in images]
            gone = [there[key] for key in keys if key in there]
            self._ask("DELETE FROM {}.image WHERE number = ANY(%s) RETURNING number", gone)
            numbers = np.empty(len(images), np.int64)
            for place, key in enumerate(keys):
                numbers[place] = there.get(key, self._images)
                self._images += key not in there
            self._copy_images(images, owners, vectors, numbers, numbers)

    def delete(self, product_ids: Iterable[str]) -> None:
        """Take products out, with all their photos; unknown ids are no error."""
        with self._connection.transaction():
            gone = self._ask(
                "DELETE FROM {}.product WHERE id = ANY(%s) RETURNING number", [*product_ids]
            )
            numbers = [number for (number,) in gone]
            self._do("DELETE FROM {}.image WHERE product = ANY(%s)", numbers)

    def finish(self) -> Counts:
        """Count what is there, of each term too; the writer is done.

        Returns:
            How many products and photos there are.
        """
        self._do("UPDATE {}.term SET products = 0 WHERE products <> 0")
        self._do(
            "UPDATE {0}.term SET products = found.products FROM (SELECT term, count(*) AS products "
            "FROM {0}.product, unnest(terms) AS term GROUP BY term) AS found WHERE number = term"
        )
        self._do("DELETE FROM {}.term WHERE products = 0")
        ((products, images),) = self._ask(
            "SELECT (SELECT count(*) FROM {0}.product), (SELECT count(*) FROM {0}.image)"
        )
        return Counts(products, images)

    def _put_products(
        self, told: Sequence[Product], merge: Callable[[Product, Product], Product]
    ) -> dict[str, "_Owner"]:
        """Load products that are new, and change those that are not and differ now.

        Args:
            told: each once.
            merge: what becomes of one that is there, and what is told of it.
        """
        found = self._ask(
            "SELECT number, id, title, category, price, labels, product_sets FROM {}.product "
            "WHERE id = ANY(%s)",
            [product.id for product in told],
        )
        known = {
            name: (number, Product(name, title, category, price, _pairs(labels), (*sets,)))
            for number, name, title, category, price, labels, sets in found
        }
        owners: dict[str, _Owner] = {}
        fresh = []
        met: list[Term] = []
        for product in told:
            if product.id in known:
                number, before = known[product.id]
                now = merge(before, product)
                owners[product.id] = _Owner(number, self._numbers_of(now, met), known=True)
                if now != before:
                    self._change_product(now, owners[product.id])
            else:
                owner = _Owner(self._products, self._numbers_of(product, met), known=False)
                self._products += 1
                owners[product.id] = owner
                texts = product.id, product.title, product.category, product.price
                lists = product.labels, product.product_sets, owner.terms
                fresh.append((owner.number, *texts, *lists))
        self._copy("term", _TERM_TYPES, ((self._terms[term], *term, 0) for term in met))
        self._copy("product", _PRODUCT_TYPES, fresh)
        return owners

    def _change_product(self, product: Product, owner: "_Owner") -> None:
        self._do(
            "UPDATE {}.product SET title = %s, category = %s, price = %s, labels = %s, "
            "product_sets = %s, terms = %s WHERE number = %s",
            product.title,
            product.category,
            product.price,
            Json(product.labels),
            Json(product.product_sets),
            owner.terms,
            owner.number,
        )
        # Its photos are found by the same.
        self._do(
            "UPDATE {}.image SET terms = %s WHERE product = %s AND terms <> %s::int4[]",
            owner.terms,
            owner.number,
            owner.terms,
        )

    def _numbers_of(self, product: Product, met: list[Term]) -> list[int]:
        """The numbers of all that a product can be found by; `met` gets what was new."""
        terms = set(terms_of(product))
        for term in sorted(terms - self._terms.keys()):
            self._terms[term] = self._next_term
            self._next_term += 1
            met.append(term)
        return sorted(self._terms[term] for term in terms)

    def _there(self, owners: Iterable["_Owner"]) -> dict[tuple[int, str], int]:
        """The numbers of the photos that these products have, by product and image id."""
        found = self._ask(
            "SELECT product, image_id, number FROM {}.image WHERE product = ANY(%s)",
            [owner.number for owner in owners if owner.known],
        )
        return {(product, image_id): number for product, image_id, number in found}

    def _copy_images(
        self,
        images: Sequence[ImageRow],
        owners: Mapping[str, "_Owner"],
        vectors: NDArray[np.float32],
        numbers: NDArray[np.int64],
        pictures: NDArray[np.int64],
    ) -> None:
        packed = map(HalfVector if self._vector_type == "halfvec" else Vector, vectors)
        rows = (
            (
                number,
                owners[image.product_id].number,
                picture,
                image.image_id,
                image.url,
                image.thumbnail_url,
                image.sha256,
                image.thumbnail_sha256,
                owners[image.product_id].terms,
                vector,
            )
            for image, vector, number, picture in zip(
                images, packed, numbers.tolist(), pictures.tolist(), strict=True
            )
        )
        self._copy("image", (*_IMAGE_TYPES, self._vector_type), rows)

    def _copy(self, table: str, types: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
        statement = SQL("COPY {}.{} FROM STDIN (FORMAT binary)").format(
            self._schema, Identifier(table)
        )
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    def _ask(self, statement: LiteralString, *values: Any) -> list[tuple[Any, ...]]:
        return self._do(statement, *values).fetchall()

    def _do(self, statement: LiteralString, *values: Any) -> Cursor[Any]:
        """Run a statement, in which the namespace stands for {} or {0}."""
        return self._connection.execute(SQL(statement).format(self._schema), values)


@dataclass(frozen=True)
class _Owner:
    """A product's number, its terms' numbers, and whether it was there before."""

    number: int
    terms: list[int]
    known: bool


def _pairs(labels: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((key, value) for key, value in labels)
