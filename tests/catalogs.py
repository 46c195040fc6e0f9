"""Small catalogues of every kind of product, and what a plain reading of a selection allows."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import strategies as st

from function.catalog import ImageRow, Product
from function.file_catalog import FileCatalog, open_catalog, write_catalog
from function.filters import And, Filter, Label, Not, Or, Selection

KEYS, VALUES = ["color", "style", "é"], ["red", "Red", "", 'it\'s "so"']
CATEGORIES, SETS = ["shoes", "bags"], ["summer", "sale", "shoes"]
UNKNOWN = "nothing has this"

PRODUCTS = st.lists(
    st.builds(
        Product,
        st.just(""),
        category=st.sampled_from(["", *CATEGORIES]),
        labels=st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(VALUES)), max_size=4).map(
            tuple
        ),
        product_sets=st.lists(st.sampled_from(SETS), max_size=2).map(tuple),
    ),
    min_size=1,
    max_size=12,
).map(lambda found: [named(product, number) for number, product in enumerate(found)])

LABELS = st.builds(Label, st.sampled_from([*KEYS, UNKNOWN]), st.sampled_from([*VALUES, UNKNOWN]))
WHERE: st.SearchStrategy[Filter] = st.recursive(
    LABELS,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(tuple).map(And)
        | st.lists(inner, min_size=1, max_size=3).map(tuple).map(Or)
        | inner.map(Not)
    ),
    max_leaves=6,
)
SELECTIONS = st.builds(
    Selection,
    st.none() | WHERE,
    st.frozensets(st.sampled_from([*CATEGORIES, UNKNOWN]), max_size=2),
    st.sampled_from(["", *SETS, UNKNOWN]),
    st.frozensets(st.sampled_from(["p0", "p3", "p7", UNKNOWN])),
)


def named(product: Product, number: int) -> Product:
    return Product(f"p{number}", "", product.category, "", product.labels, product.product_sets)


@contextmanager
def catalog_of(products: list[Product], photos_of_each: int = 2) -> Iterator[FileCatalog]:
    """Each product's photos lie apart, as a publisher may have them."""
    with tempfile.TemporaryDirectory() as folder:
        images = [
            ImageRow(row, products[row % len(products)].id, str(row))
            for row in range(photos_of_each * len(products))
        ]
        write_catalog(Path(folder) / "catalog.sqlite", products, images)
        catalog = open_catalog(Path(folder) / "catalog.sqlite")
        try:
            yield catalog
        finally:
            catalog.close()


def matches(where: Filter, product: Product) -> bool:
    if isinstance(where, Label):
        return (where.key, where.value) in product.labels
    if isinstance(where, And):
        return all(matches(part, product) for part in where.parts)
    if isinstance(where, Or):
        return any(matches(part, product) for part in where.parts)
    return not matches(where.part, product)


def allows(selection: Selection, product: Product) -> bool:
    return (
        (selection.where is None or matches(selection.where, product))
        and (not selection.categories or product.category in selection.categories)
        and (not selection.product_set or selection.product_set in product.product_sets)
        and product.id not in selection.excluded
    )
