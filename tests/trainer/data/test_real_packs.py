"""The real photos, where they are present, are read as what they are."""

from pathlib import Path

import pytest

from trainer.data.catalog import open_catalog
from trainer.data.screen import screen
from trainer.data.split import split_products
from trainer.data.summary import describe


@pytest.mark.parametrize(
    ("pack", "products", "roles", "open_set"),
    [
        ("grocery", 41, {"catalog": 41, "query": 1318}, 0),
        ("luma", 193, {"catalog": 725, "query": 519}, 519),
        ("emoji", 769, {"catalog": 769, "query": 4795}, 0),
        ("clothing", 0, {"query": 5096}, 5096),
    ],
)
def test_a_pack_holds_what_its_readme_says(
    shared_data: Path, pack: str, products: int, roles: dict[str, int], open_set: int
) -> None:
    catalog = open_catalog(shared_data / f"{pack}.tar")
    summary = describe(catalog)
    assert summary["products"] == products
    assert summary["roles"] == roles
    assert summary["open_set_queries"] == open_set
    assert None not in catalog.source.sizes([photo.image for photo in catalog.photos])


def test_every_grocery_photo_can_be_decoded(shared_data: Path) -> None:
    catalog = open_catalog(shared_data / "grocery.tar")
    assert screen(catalog, on_bad_photo="fail").photos == catalog.photos


def test_luma_brings_its_own_split(shared_data: Path) -> None:
    catalog = open_catalog(shared_data / "luma.tar")
    split = split_products(catalog, holdout=0.0, seed=0)
    assert {photo.split for photo in split.train.photos} == {"train"}
    assert {photo.split for photo in split.evaluation.photos if photo.product_id} == {"test"}
    assert sum(not photo.product_id for photo in split.evaluation.photos) == 519
