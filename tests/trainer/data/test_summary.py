"""The summary counts what a shop would ask about."""

import json
from collections.abc import Callable
from pathlib import Path

from trainer.data.catalog import open_catalog
from trainer.data.summary import describe


def test_the_summary_counts_photos_products_roles_and_splits(shop: Callable[..., Path]) -> None:
    catalog = open_catalog(
        shop(
            [
                {"id": "a", "image": "1.jpg", "role": "catalog", "category": "shoes"},
                {"id": "a", "image": "2.jpg", "role": "query", "category": "shoes"},
                {"id": "a", "image": "3.jpg", "role": "query", "category": "shoes"},
                {"id": "b", "image": "4.jpg", "category": "hats", "split": "test"},
                {"id": "", "image": "5.jpg", "role": "query"},
            ]
        )
    )
    summary = describe(catalog)
    assert summary == {
        "photos": 5,
        "products": 2,
        "photos_per_product": {"min": 1, "median": 1, "max": 3},
        "trainable_products": 1,
        "open_set_queries": 1,
        "roles": {"catalog": 1, "query": 3, "none": 1},
        "splits": {"none": 4, "test": 1},
        "category_count": 2,
        "categories": {"shoes": 3, "hats": 1},
        "fingerprint": catalog.fingerprint,
    }
    assert json.loads(json.dumps(summary)) == summary
