"""A release's rows into a database, block by block, so that a catalogue of any size streams.

Memory holds a chunk of the catalogue and the names of all terms. Which products and photos are
there already is asked of the server, by the block: a product whose photos lie in several chunks is
merged as in one, and a photo that comes twice, by its product and image id, is loaded once.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import numpy as np
from jaxtyping import Float32, Int64
from pgvector import HalfVector, Vector
from psycopg import Connection, Cursor
from psycopg.sql import SQL, Identifier
from psycopg.types.json import Json

from function.catalog import ImageRow, Product, terms_of
from function.manifest import Counts
from function.postgres.schema import AccessMethod
from function.postings import Term
from trainer.release.contents import Contents, merged_product
from trainer.release.copies import same_pictures

# Rows that are sent and committed at once: some ten megabytes.
BLOCK_ROWS = 10_000

# Told of the rows' numbers and vectors, as they are loaded.
type Witness = Callable[[Int64[np.ndarray, " rows"], Float32[np.ndarray, "rows dim"]], None]

_TERM_TYPES = ("int4", "text", "text", "text", "int8")
_PRODUCT_TYPES = ("int8", "text", "text", "text", "text", "json", "json", "int4[]")
_IMAGE_TYPES = ("int8", "int8", "int8", *(("text",) * 5), "int4[]")


class Loader:
    """Fills the empty tables of a namespace.

    Args:
        connection: in autocommit, with pgvector's types registered.
        loading: the namespace; `product` and `image` have their keys.
        method: of the vectors' index that is to come.
        witness: told of every row.
    """

    def __init__(
        self,
        connection: Connection[Any],
        loading: str,
        method: AccessMethod,
        witness: Witness = lambda numbers, vectors: None,
    ) -> None:
        self._connection = connection
        self._schema = Identifier(loading)
        self._method = method
        self._witness = witness
        self._terms: dict[Term, int] = {}
        self._products = 0
        self._images = 0

    def load(
        self, contents: Contents, on_progress: Callable[[int], None] = lambda rows: None
    ) -> None:
        """Load a chunk, each block in a transaction of its own; copies are found within the chunk.

        Args:
            contents: the chunk.
            on_progress: told how many more of its rows are loaded, or were there.
        """
        rows = len(contents.images)
        told = {product.id: product for product in contents.products}
        first = None if contents.signatures is None else same_pictures(contents.signatures)
        pictures = np.arange(rows) if first is None else np.asarray(first)
        # Of each of the chunk's rows, its number here.
        numbers = np.full(rows, -1, np.int64)
        for start in range(0, rows, BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            images = contents.images[block]
            with self._connection.transaction():
                products = self._merge_products(
                    [told[name] for name in dict.fromkeys(image.product_id for image in images)]
                )
                fresh = self._number_images(images, products, numbers[block])
                self._copy_images(
                    [images[place] for place in fresh],
                    contents.vectors[block][fresh],
                    products,
                    numbers[block][fresh],
                    numbers[pictures[block][fresh]],
                )
            on_progress(len(images))

    def finish(self) -> Counts:
        """Count the products of each term; return how many products and photos there are."""
        self._execute(
            "UPDATE {0}.term SET products = found.products FROM (SELECT term, count(*) AS products "
            "FROM {0}.product, unnest(terms) AS term GROUP BY term) AS found WHERE number = term"
        )
        return Counts(self._products, self._images)

    def _merge_products(self, told: Sequence[Product]) -> dict[str, "_Numbered"]:
        """Load products that are new, change those that are not and of which more is told now."""
        found = self._execute(
            "SELECT number, id, title, category, price, labels, product_sets FROM {}.product "
            "WHERE id = ANY(%s)",
            [product.id for product in told],
        )
        known = {
            name: (number, Product(name, title, category, price, _pairs(labels), (*sets,)))
            for number, name, title, category, price, labels, sets in found
        }
        numbered: dict[str, _Numbered] = {}
        fresh = []
        terms = len(self._terms)
        for product in told:
            if product.id in known:
                number, before = known[product.id]
                merged = merged_product(before, product)
                numbered[product.id] = _Numbered(number, self._term_numbers(merged), known=True)
                if merged != before:
                    self._change_product(merged, numbered[product.id])
            else:
                one = _Numbered(self._products, self._term_numbers(product), known=False)
                self._products += 1
                numbered[product.id] = one
                fresh.append(
                    (one.number, *_texts(product), product.labels, product.product_sets, one.terms)
                )
        met = list(self._terms.items())[terms:]
        self._copy("term", _TERM_TYPES, ((number, *term, 0) for term, number in met))
        self._copy("product", _PRODUCT_TYPES, fresh)
        return numbered

    def _change_product(self, product: Product, numbered: "_Numbered") -> None:
        self._execute(
            "UPDATE {}.product SET id = %s, title = %s, category = %s, price = %s, labels = %s, "
            "product_sets = %s, terms = %s WHERE number = %s",
            *_texts(product),
            Json(product.labels),
            Json(product.product_sets),
            numbered.terms,
            numbered.number,
        )
        self._execute(
            "UPDATE {}.image SET terms = %s WHERE product = %s", numbered.terms, numbered.number
        )

    def _term_numbers(self, product: Product) -> list[int]:
        """The numbers of all that a product can be found by; new ones follow those that are."""
        return sorted(
            self._terms.setdefault(term, len(self._terms)) for term in set(terms_of(product))
        )

    def _number_images(
        self,
        images: Sequence[ImageRow],
        products: dict[str, "_Numbered"],
        numbers: Int64[np.ndarray, " images"],
    ) -> list[int]:
        """Give each photo its number, into `numbers`; return the places of those to load."""
        seen = [product.number for product in products.values() if product.known]
        found = self._execute(
            "SELECT product, image_id, number FROM {}.image WHERE product = ANY(%s)", seen
        )
        there = {(product, image_id): number for product, image_id, number in found}
        fresh = []
        for place, image in enumerate(images):
            key = (products[image.product_id].number, image.image_id)
            if key not in there:
                there[key] = self._images
                self._images += 1
                fresh.append(place)
            numbers[place] = there[key]
        return fresh

    def _copy_images(
        self,
        images: Sequence[ImageRow],
        vectors: Float32[np.ndarray, "rows dim"],
        products: dict[str, "_Numbered"],
        numbers: Int64[np.ndarray, " rows"],
        pictures: Int64[np.ndarray, " rows"],
    ) -> None:
        rows = (
            (
                number,
                products[image.product_id].number,
                picture,
                image.image_id,
                image.url,
                image.thumbnail_url,
                image.sha256,
                image.thumbnail_sha256,
                products[image.product_id].terms,
                vector,
            )
            for image, vector, number, picture in zip(
                images,
                _packed(vectors, self._method.vector_type),
                numbers.tolist(),
                pictures.tolist(),
                strict=True,
            )
        )
        self._copy("image", (*_IMAGE_TYPES, self._method.vector_type), rows)
        self._witness(numbers, vectors)

    def _copy(self, table: str, types: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
        statement = SQL("COPY {}.{} FROM STDIN (FORMAT binary)").format(
            self._schema, Identifier(table)
        )
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    def _execute(self, statement: LiteralString, *values: Any) -> Cursor[Any]:
        """Run a statement, in which the namespace stands for {} or {0}."""
        return self._connection.execute(SQL(statement).format(self._schema), values)


@dataclass(frozen=True)
class _Numbered:
    """A product's number, its terms' numbers, and whether it was there before this block."""

    number: int
    terms: list[int]
    known: bool


def _texts(product: Product) -> tuple[str, str, str, str]:
    return product.id, product.title, product.category, product.price


def _pairs(labels: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((key, value) for key, value in labels)


def _packed(vectors: Float32[np.ndarray, "rows dim"], vector_type: str) -> Iterator[Any]:
    """Each row as the driver sends it to a column of that type."""
    return map(HalfVector if vector_type == "halfvec" else Vector, vectors)
