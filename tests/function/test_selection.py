"""The rows that a selection allows are those that a plain reading of it allows."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from function import postings
from function.catalog import Product
from function.filters import EVERYTHING, Label, Selection
from tests.catalogs import PRODUCTS, SELECTIONS, UNKNOWN, allows, catalog_of


@given(PRODUCTS, st.lists(SELECTIONS, min_size=1, max_size=4))
def test_the_mask_is_the_plain_reading_the_first_time_and_again(
    products: list[Product], selections: list[Selection]
) -> None:
    with catalog_of(products) as catalog:
        for selection in selections * 2:
            expected = [allows(selection, product) for product in products] * 2
            mask = catalog.allowed_rows(selection)
            if mask is None:
                assert all(expected)
            else:
                assert mask.dtype == bool
                assert mask.tolist() == expected


def test_nothing_is_restricted_by_nothing() -> None:
    with catalog_of([Product("a"), Product("b")]) as catalog:
        assert catalog.allowed_rows(EVERYTHING) is None
        assert catalog.allowed_rows(Selection(excluded=frozenset({UNKNOWN}))) is None


def test_a_shared_answer_cannot_be_spoilt() -> None:
    red = Product("a", labels=(("color", "red"),))
    selection = Selection(Label("color", "red"))
    with catalog_of([red, Product("b")]) as catalog:
        mask = catalog.allowed_rows(selection)
        assert mask is not None
        with pytest.raises(ValueError, match="read-only"):
            mask[0] = False
        without = catalog.allowed_rows(Selection(selection.where, excluded=frozenset({"a"})))
        assert without is not None
        assert not without.any()
        assert mask.tolist() == [True, False, True, False]


def test_threads_get_the_same_answers_while_old_ones_are_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postings, "_ANSWERS", 3)
    products = [Product(f"p{n}", labels=(("number", str(n % 8)),)) for n in range(40)]
    selections = [Selection(Label("number", str(n))) for n in range(8)]
    with catalog_of(products) as catalog, ThreadPoolExecutor(8) as pool:
        masks = list(pool.map(lambda n: catalog.allowed_rows(selections[n % 8]), range(400)))
    for n, mask in enumerate(masks):
        assert mask is not None
        assert mask.tolist() == [row % 40 % 8 == n % 8 for row in range(80)]


def test_more_exclusions_than_one_query_can_name() -> None:
    products = [Product(f"p{n}") for n in range(2500)]
    excluded = frozenset(f"p{n}" for n in range(0, 2500, 2))
    with catalog_of(products, 1) as catalog:
        mask = catalog.allowed_rows(Selection(excluded=excluded))
    assert mask is not None
    assert np.flatnonzero(mask).tolist() == list(range(1, 2500, 2))


def test_categories_sets_and_keys_of_labels_are_listed_in_order_up_to_a_limit() -> None:
    labels = (("style", "kids"), ("color", "red"), ("color", "blue"))
    products = [
        Product(f"p{n}", category=f"c{n % 5}", product_sets=("b", "a"), labels=labels)
        for n in range(9)
    ]
    with catalog_of(products) as catalog:
        assert catalog.categories(10) == ["c0", "c1", "c2", "c3", "c4"]
        assert catalog.categories(2) == ["c0", "c1"]
        assert catalog.product_sets(10) == ["a", "b"]
        assert catalog.label_keys(10) == ["color", "style"]
        assert catalog.label_keys(1) == ["color"]


def test_two_products_are_not_confused_by_words_that_lie_in_different_fields() -> None:
    labelled = Product("a", labels=(("shoes", "summer"),))
    filed = Product("b", category="shoes", product_sets=("summer",))
    with catalog_of([labelled, filed], 1) as catalog:
        for selection, allowed in (
            (Selection(Label("shoes", "summer")), [True, False]),
            (Selection(categories=frozenset({"shoes"})), [False, True]),
            (Selection(product_set="summer"), [False, True]),
        ):
            mask = catalog.allowed_rows(selection)
            assert mask is not None
            assert mask.tolist() == allowed
