"""A part of a data set is the same every time, and keeps the data set's shape."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.prepare.fraction import take_fraction
from trainer.data.records import Catalog, Photo, SplitName
from trainer.data.sources import FolderSource

FRACTIONS = st.floats(0.01, 1.0)


def catalogue(sizes: Mapping[tuple[SplitName, str], int]) -> Catalog:
    """Products of so many for each (split, category), with two photos each."""
    photos = [
        Photo(f"{split}-{kind}-{product}", f"{split}/{product}/{n}", category=kind, split=split)
        for (split, kind), products in sizes.items()
        for product in range(products)
        for n in range(2)
    ]
    return Catalog("c", FolderSource(Path(), "c"), tuple(photos))


GROUPS: Mapping[tuple[SplitName, str], int] = {
    ("train", "a"): 40,
    ("train", "b"): 10,
    ("test", "a"): 20,
    ("test", "b"): 1,
}


@pytest.mark.parametrize(
    ("fraction", "expected"), [(1.0, (40, 10, 20, 1)), (0.5, (20, 5, 10, 1)), (0.1, (4, 1, 2, 1))]
)
def test_the_share_is_taken_of_the_products_of_each_split_and_category(
    fraction: float, expected: tuple[int, ...]
) -> None:
    part = take_fraction(catalogue(GROUPS), fraction)
    products = {(p.split, p.category, p.product_id) for p in part.photos}
    counts = Counter((split, kind) for split, kind, _ in products)
    assert tuple(counts[group] for group in GROUPS) == expected
    assert len(part.photos) == 2 * len(products), "a product came without all its photos"


@given(FRACTIONS, FRACTIONS)
def test_a_smaller_part_lies_inside_a_larger_one_and_order_is_kept(a: float, b: float) -> None:
    catalog = catalogue(GROUPS)
    small, large = (take_fraction(catalog, share).photos for share in sorted((a, b)))
    assert set(small) <= set(large)
    assert [p for p in catalog.photos if p in set(large)] == list(large)


def test_the_choice_depends_on_no_order() -> None:
    catalog = catalogue(GROUPS)
    backwards = take_fraction(catalog.subset(reversed(catalog.photos)), 0.3)
    assert set(backwards.photos) == set(take_fraction(catalog, 0.3).photos)


def test_photos_of_no_product_are_thinned_one_by_one() -> None:
    photos = tuple(Photo("", f"{n}.jpg", role="query") for n in range(20))
    part = take_fraction(Catalog("c", catalogue(GROUPS).source, photos), 0.25)
    assert len(part.photos) == 5
