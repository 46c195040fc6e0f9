"""Training and evaluation share no product."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.records import Catalog, Photo
from trainer.data.split import split_products
from trainer.errors import CatalogError


class Nowhere:
    """A source without photos."""

    location = "nowhere"

    def read(self, image: str) -> bytes:
        raise FileNotFoundError(image)

    def sizes(self, images: Sequence[str]) -> list[int | None]:
        return [None] * len(images)


def catalog(photos: Sequence[Photo]) -> Catalog:
    return Catalog("test", Nowhere(), tuple(photos))


def ids(part: Catalog) -> set[str]:
    return {photo.product_id for photo in part.photos}


product_lists = st.lists(st.text(max_size=3), min_size=1, max_size=60)


@given(product_lists, st.floats(0, 1), st.integers(0, 2**32))
def test_the_parts_are_disjoint_complete_and_in_order(
    products: list[str], holdout: float, seed: int
) -> None:
    photos = [Photo(product, f"{row}.jpg", row=row) for row, product in enumerate(products)]
    split = split_products(catalog(photos), holdout=holdout, seed=seed)
    assert not ids(split.train) & ids(split.evaluation)
    for part in (split.train, split.evaluation):
        assert list(part.photos) == sorted(part.photos, key=lambda photo: photo.row)
    assert len(split.train.photos) + len(split.evaluation.photos) == len(photos)
    named = set(products) - {""}
    assert len(ids(split.evaluation) - {""}) == round(holdout * len(named))
    assert "" not in ids(split.train)


@given(st.sets(st.text(min_size=1, max_size=3), min_size=2), st.integers(0, 99), st.randoms())
def test_the_order_of_rows_does_not_change_the_choice(
    products: set[str], seed: int, random: st.DataObject
) -> None:
    photos = [Photo(product, f"{product}.jpg") for product in sorted(products)]
    before = split_products(catalog(photos), holdout=0.5, seed=seed)
    random.shuffle(photos)
    after = split_products(catalog(photos), holdout=0.5, seed=seed)
    assert ids(before.train) == ids(after.train)


def test_another_seed_gives_another_split() -> None:
    photos = [Photo(str(number), f"{number}.jpg") for number in range(40)]
    splits = {
        frozenset(ids(split_products(catalog(photos), holdout=0.5, seed=seed).train))
        for seed in range(5)
    }
    assert len(splits) == 5


def test_the_split_column_wins_where_it_is_filled() -> None:
    photos = [
        Photo("a", "a.jpg", split="train"),
        Photo("b", "b.jpg", split="test"),
        Photo("b", "b2.jpg"),
        Photo("c", "c.jpg"),
        Photo("", "q.jpg", role="query", split="train"),
    ]
    for holdout, unprescribed in ((0.0, "train"), (1.0, "evaluation")):
        split = split_products(catalog(photos), holdout=holdout, seed=0)
        expected = {"train": {"a"}, "evaluation": {"b", ""}}
        expected[unprescribed] |= {"c"}
        assert ids(split.train) == expected["train"]
        assert ids(split.evaluation) == expected["evaluation"]


def test_a_product_in_both_splits_is_refused() -> None:
    photos = [Photo("a", "1.jpg", split="train"), Photo("a", "2.jpg", split="test")]
    with pytest.raises(CatalogError, match="product 'a' has rows of split train and of split test"):
        split_products(catalog(photos), holdout=0.5, seed=0)
