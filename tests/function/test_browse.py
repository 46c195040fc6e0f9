"""Pages of the catalogue are cuts of what a selection allows, in the publisher's order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from function.browse import browse
from function.catalog import Product
from function.errors import BadRequest
from function.filters import Label, Selection
from tests.catalogs import PRODUCTS, SELECTIONS, allows, catalog_of

RED = Selection(Label("color", "red"))


@given(PRODUCTS, SELECTIONS | st.just(Selection()), st.lists(st.integers(1, 5), min_size=12))
def test_pages_of_any_size_join_to_what_is_allowed(
    products: list[Product], selection: Selection, sizes: list[int]
) -> None:
    expected = [product for product in products if allows(selection, product)]
    listed, token = [], ""
    with catalog_of(products) as catalog:
        for size in sizes:
            page = browse(catalog, "i31", size, page_token=token, selection=selection)
            assert page.total_size == len(expected)
            assert len(page.products) == min(size, len(expected) - len(listed))
            listed += page.products
            if not (token := page.next_page_token):
                break
    assert [product for product, _ in listed] == expected
    # Of each product's two photos, the first.
    assert [image.row for _, image in listed] == [products.index(x) for x in expected]


def test_the_publishers_order_is_no_order_of_ids() -> None:
    names = ["m", "z", "a", "10", "9"]
    with catalog_of([Product(name) for name in names]) as catalog:
        assert [product.id for product, _ in browse(catalog, "i31", 9).products] == names


def test_pages_go_past_sixty_five_thousand_products() -> None:
    products = [Product(f"p{number}") for number in range(65_700)]
    with catalog_of(products, 1) as catalog:
        token = browse(catalog, "i31", 65_600).next_page_token
        page = browse(catalog, "i31", 100, page_token=token)
    assert [product.id for product, _ in page.products] == [f"p{n}" for n in range(65_600, 65_700)]
    assert page.next_page_token == ""


def test_facets_count_all_that_match_on_every_page() -> None:
    products = [
        Product(f"p{n}", labels=(("color", "red" if n % 3 else "blue"), ("size", str(n % 2))))
        for n in range(9)
    ]
    with catalog_of(products) as catalog:
        first = browse(catalog, "i31", 2, selection=RED, facets=("color", "size"))
        token = first.next_page_token
        other = browse(catalog, "i31", 2, selection=RED, page_token=token, facets=("color", "size"))
    assert first.facets == other.facets
    assert [facet.values for facet in first.facets] == [(("red", 6),), (("0", 3), ("1", 3))]


@pytest.mark.parametrize(
    ("index_id", "selection", "reason"),
    [("i32", RED, "PAGE_TOKEN_EXPIRED"), ("i31", Selection(), "PAGE_TOKEN_INVALID")],
)
def test_a_token_goes_with_its_index_and_selection(
    index_id: str, selection: Selection, reason: str
) -> None:
    products = [Product(f"p{n}", labels=(("color", "red"),)) for n in range(5)]
    with catalog_of(products) as catalog:
        token = browse(catalog, "i31", 2, selection=RED).next_page_token
        with pytest.raises(BadRequest) as caught:
            browse(catalog, index_id, 2, page_token=token, selection=selection)
    assert caught.value.reason == reason
