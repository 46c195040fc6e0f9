"""Facets are what counting product by product would give."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from function.catalog import Product
from function.facets import CATEGORY, MAX_FACET_VALUES, Facet
from function.filters import EVERYTHING, Selection
from tests.catalogs import (
    KEYS,
    PRODUCTS,
    SELECTIONS,
    UNKNOWN,
    allows,
    catalog_of,
)


def counted(products: list[Product], key: str) -> Facet:
    """Product by product."""
    counts: Counter[str] = Counter()
    for product in products:
        if key == CATEGORY:
            counts.update([product.category] if product.category else [])
        else:
            counts.update({value for name, value in product.labels if name == key})
    return Facet(key, tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0]))))


@given(
    PRODUCTS,
    SELECTIONS | st.just(Selection()),
    st.lists(st.sampled_from([*KEYS, CATEGORY, UNKNOWN]), unique=True),
)
def test_facets_are_those_of_a_naive_count(
    products: list[Product], selection: Selection, keys: list[str]
) -> None:
    with catalog_of(products) as catalog:
        mask = catalog.allowed_products(selection)
        assert catalog.facets(keys, selection) == tuple(
            counted([product for product in products if allows(selection, product)], key)
            for key in keys
        )
        assert mask is None or mask.tolist() == [allows(selection, x) for x in products]


def test_the_values_of_most_products_are_told() -> None:
    products = [
        Product(f"p{number}", labels=(("brand", f"b{number % 150:03}"),)) for number in range(170)
    ]
    with catalog_of(products, 1) as catalog:
        (facet,) = catalog.facets(["brand"], EVERYTHING)
        assert len(facet.values) == MAX_FACET_VALUES
        assert facet.values[:21] == (*((f"b{n:03}", 2) for n in range(20)), ("b020", 1))
        assert facet.values[-1] == ("b099", 1)
        (facet,) = catalog.facets_among(["brand"], [140])
        assert facet.values == (("b140", 1),)


def test_equal_counts_stand_in_the_order_of_their_code_points() -> None:
    names = ["é", "Z", "a", "😀"]
    products = [Product(f"p{n}", labels=(("x", name),)) for n, name in enumerate(names)]
    with catalog_of(products) as catalog:
        facets = catalog.facets(["x"], EVERYTHING) + catalog.facets_among(["x"], range(4))
    assert len(facets) == 2
    for facet in facets:
        assert [value for value, _ in facet.values] == sorted(names) == ["Z", "a", "é", "😀"]
