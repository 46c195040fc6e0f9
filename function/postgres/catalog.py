"""What is known of the products of a release in PostgreSQL."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..catalog import ImageRow, Page, Product
from ..facets import CATEGORY, MAX_FACET_VALUES, Facet
from ..filters import EVERYTHING, Selection
from ..manifest import Counts
from ..postings import Kind
from .conditions import EVERY_ROW, Condition, is_text
from .tables import Tables

# Of a photo and its product; `_shown` reads them.
_COLUMNS = (
    "product.id, product.title, product.category, product.price, product.labels, "
    "product.product_sets, image.number, product.id, image.image_id, image.url, "
    "image.thumbnail_url, image.sha256, image.thumbnail_sha256"
)
_PHOTOS = (
    "SELECT {columns} FROM {release}.image JOIN {release}.product ON image.product = product.number"
)
_PAGE = (
    "SELECT {columns}, product.number FROM "
    "(SELECT * FROM {release}.product WHERE number >= %(first)s AND {where} "
    "ORDER BY number LIMIT %(most)s) AS product "
    "CROSS JOIN LATERAL (SELECT * FROM {release}.image "
    "WHERE image.product = product.number ORDER BY number LIMIT 1) AS image "
    "ORDER BY product.number"
)
_FACET_OF_ALL = (
    "SELECT value, products FROM {release}.term "
    "WHERE kind = %(kind)s AND key = %(key)s AND products > 0 "
    "ORDER BY products DESC, value LIMIT %(most)s"
)
_FACET = (
    "SELECT term.value, count(*) FROM {release}.product CROSS JOIN unnest(product.terms) AS has "
    "JOIN {release}.term ON term.number = has "
    "WHERE {where} AND term.kind = %(kind)s AND term.key = %(key)s "
    "GROUP BY term.value ORDER BY count(*) DESC, term.value LIMIT %(most)s"
)


class PostgresCatalog:
    """A `Catalog` over the tables of a release.

    Args:
        tables: these.
        counts: of products and photos.
    """

    def __init__(self, tables: Tables, counts: Counts) -> None:
        self.counts = counts
        self._tables = tables

    def until(self, deadline: float) -> "PostgresCatalog":
        return PostgresCatalog(self._tables.until(deadline), self.counts)

    def product(self, product_id: str) -> Product:
        found = self._tables.ask(
            "SELECT id, title, category, price, labels, product_sets FROM {release}.product "
            "WHERE id = %s",
            [product_id if is_text(product_id) else None],
        )
        if not found:
            raise KeyError(product_id)
        return _product(found[0])

    def images_of(self, product_id: str) -> list[ImageRow]:
        found = self._tables.ask(
            f"{_PHOTOS} WHERE product.id = %s ORDER BY image.number",
            [product_id if is_text(product_id) else None],
            columns=_COLUMNS,
        )
        return [_shown(values)[1] for values in found]

    def shown(self, rows: Sequence[int]) -> list[tuple[Product, ImageRow]]:
        if not rows:
            return []
        found = self._tables.ask(
            f"{_PHOTOS} WHERE image.number = ANY(%s)", [list(map(int, rows))], columns=_COLUMNS
        )
        by_row = {image.row: (product, image) for product, image in map(_shown, found)}
        return [by_row[row] for row in rows]

    def page(self, selection: Selection, first_number: int, size: int) -> Page:
        where = self._where(selection)
        limits = {"first": first_number, "most": size + 1}
        questions = [self._tables.question(_PAGE, limits, where, columns=_COLUMNS)]
        if selection != EVERYTHING:
            total = "SELECT count(*) FROM {release}.product WHERE {where}"
            questions.append(self._tables.question(total, {}, where))
        found, *counted = self._tables.database.ask_all(questions)
        return Page(
            [_shown(values) for values in found[:size]],
            found[size][-1] if len(found) > size else None,
            counted[0][0][0] if counted else self.counts.products,
        )

    def facets(self, keys: Sequence[str], selection: Selection) -> tuple[Facet, ...]:
        if selection == EVERYTHING:
            return self._facets(keys, _FACET_OF_ALL, EVERY_ROW)
        return self._facets(keys, _FACET, self._where(selection))

    def facets_among(self, keys: Sequence[str], numbers: Sequence[int]) -> tuple[Facet, ...]:
        among = Condition("product.number = ANY(%(among)s)", {"among": list(map(int, numbers))})
        return self._facets(keys, _FACET, among)

    def _facets(self, keys: Sequence[str], text: str, where: Condition) -> tuple[Facet, ...]:
        questions = [self._tables.question(text, _named(key), where) for key in keys]
        answers = self._tables.database.ask_all(questions)
        return tuple(Facet(key, tuple(found)) for key, found in zip(keys, answers, strict=True))

    def _where(self, selection: Selection) -> Condition:
        if selection == EVERYTHING:
            return EVERY_ROW
        return self._tables.compiled(selection, "product.number")

    def categories(self, limit: int) -> list[str]:
        return self._values("category", limit)

    def product_sets(self, limit: int) -> list[str]:
        return self._values("product set", limit)

    def _values(self, kind: Kind, limit: int) -> list[str]:
        found = self._tables.ask(
            "SELECT value FROM {release}.term WHERE kind = %s AND products > 0 "
            "ORDER BY value LIMIT %s",
            [kind, limit],
        )
        return [value for (value,) in found]

    def label_keys(self, limit: int) -> list[str]:
        found = self._tables.ask(
            "SELECT DISTINCT key FROM {release}.term WHERE kind = 'label' AND products > 0 "
            "ORDER BY key LIMIT %s",
            [limit],
        )
        return [key for (key,) in found]

    def close(self) -> None:
        # Its connections are the worker's, and serve its next release.
        return


def _named(key: str) -> Mapping[str, object]:
    """The values of a facet's statement; no text that cannot be there is looked for."""
    if key == CATEGORY:
        return {"kind": "category", "key": "", "most": MAX_FACET_VALUES}
    return {"kind": "label", "key": key if is_text(key) else None, "most": MAX_FACET_VALUES}


def _product(values: tuple[Any, ...]) -> Product:
    found, title, category, price, labels, product_sets = values
    pairs = tuple((key, value) for key, value in labels)
    return Product(found, title, category, price, pairs, tuple(product_sets))


def _shown(values: tuple[Any, ...]) -> tuple[Product, ImageRow]:
    return _product(values[:6]), ImageRow(*values[6:13])
