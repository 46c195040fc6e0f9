"""Batches of P products × K photos, for any catalogue, at any step."""

from collections import Counter
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.sampler import PKSampler
from trainer.errors import TrainingError


class Shop(NamedTuple):
    """Each photo's product and role, and the batches that are wanted of them."""

    ids: list[str]
    roles: list[str]
    products: int
    photos: int
    seed: int

    def sampler(self) -> PKSampler:
        return PKSampler(
            self.ids,
            self.roles,
            products_per_batch=self.products,
            photos_per_product=self.photos,
            seed=self.seed,
        )

    def groups(self, step: int) -> np.ndarray:
        return self.sampler().batch(step).reshape(self.products, self.photos)


@st.composite
def shops(draw: st.DrawFn) -> Shop:
    """Enough products for a batch; a product of one photo and photos of none among them."""
    products = draw(st.integers(1, 6))
    counts = draw(st.lists(st.integers(2, 7), min_size=products, max_size=20))
    ids = [f"p{product}" for product, count in enumerate(counts) for _ in range(count)]
    ids = draw(st.permutations([*ids, "lonely", *[""] * draw(st.integers(0, 3))]))
    roles = [draw(st.sampled_from(["", "catalog", "query"])) for _ in ids]
    return Shop(ids, roles, products, draw(st.integers(2, 5)), draw(st.integers(0, 2**32)))


@given(shops(), st.integers(0, 300))
def test_each_batch_holds_p_products_with_k_photos(shop: Shop, step: int) -> None:
    groups = shop.groups(step)
    names = [{shop.ids[index] for index in group} for group in groups]
    assert all(len(name) == 1 for name in names)
    assert len(set.union(*names)) == shop.products
    assert not set.union(*names) & {"", "lonely"}
    for group in groups:
        used = Counter(group.tolist())
        assert len(used) == min(shop.ids.count(shop.ids[group[0]]), shop.photos)
        assert max(used.values()) - min(used.values()) <= 1


@given(shops())
def test_labels_are_equal_where_products_are(shop: Shop) -> None:
    labels = shop.sampler().labels
    assert labels.dtype == np.int32
    assert len(set(zip(shop.ids, labels.tolist(), strict=True))) == len(set(shop.ids))
    assert len(set(labels.tolist())) == len(set(shop.ids))


@given(shops(), st.integers(0, 8))
def test_each_product_comes_once_per_epoch(shop: Shop, epoch: int) -> None:
    trainable = {name for name, count in Counter(shop.ids).items() if name and count > 1}
    sampler, first = shop.sampler(), epoch * len(trainable)
    row = [
        shop.ids[sampler.batch(place // shop.products)[place % shop.products * shop.photos]]
        for place in range(first, first + len(trainable))
    ]
    assert Counter(row) == Counter(trainable)


@given(shops(), st.integers(0, 50))
def test_groups_mix_catalogue_and_query_photos_where_both_exist(shop: Shop, step: int) -> None:
    photos = list(zip(shop.ids, shop.roles, strict=True))
    for group in shop.groups(step):
        available = {role for name, role in photos if name == shop.ids[group[0]]}
        if {"catalog", "query"} <= available:
            assert {"catalog", "query"} <= {shop.roles[index] for index in group}


@given(shops(), st.lists(st.integers(0, 200), min_size=1, max_size=6))
def test_a_batch_depends_on_seed_and_step_alone(shop: Shop, steps: list[int]) -> None:
    used = shop.sampler()
    for step in steps:
        assert np.array_equal(used.batch(step), shop.sampler().batch(step))


def test_another_seed_gives_other_batches() -> None:
    ids = [str(photo // 4) for photo in range(80)]
    batches = {
        tuple(
            PKSampler(ids, [""] * 80, products_per_batch=4, photos_per_product=2, seed=seed)
            .batch(0)
            .tolist()
        )
        for seed in range(10)
    }
    assert len(batches) == 10


def test_too_few_products_are_refused_with_what_to_do() -> None:
    ids = [str(photo // 2) for photo in range(14)] + ["lonely", "", ""]
    with pytest.raises(TrainingError) as caught:
        PKSampler(ids, [""] * len(ids), products_per_batch=16, photos_per_product=4, seed=0)
    assert "expected at least 16 products with ≥2 photos, found 7" in str(caught.value)
    assert "lower --products-per-batch" in str(caught.value)
