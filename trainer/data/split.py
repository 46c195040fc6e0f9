"""Which products are trained on, and which stay unseen for evaluation."""

import hashlib
from collections import defaultdict
from dataclasses import dataclass

from trainer.data.problems import refuse
from trainer.data.records import Catalog


@dataclass(frozen=True)
class Split:
    """A catalogue in two parts that share no product."""

    train: Catalog
    evaluation: Catalog


def split_products(catalog: Catalog, *, holdout: float, seed: int) -> Split:
    """Divide a catalogue by product.

    A product whose rows say "train" or "test" goes there. Of the others, `holdout` are kept unseen:
    those whose SHA-256 of (seed, product id) is lowest, so the choice depends neither on the order
    of rows nor on the machine. Photos of no product at all go to evaluation.

    Args:
        catalog: at least one photo; both parts keep its order.
        holdout: fraction of the products, 0 to 1, rounded to the nearest whole product.
        seed: another seed, another choice.

    Raises:
        CatalogError: rows of one product name both splits.
    """
    prescribed: defaultdict[str, set[str]] = defaultdict(set)
    for photo in catalog.photos:
        if photo.product_id:
            prescribed[photo.product_id] |= {photo.split} - {""}
    refuse(
        catalog.source.location,
        [
            f"product {product!r} has rows of split train and of split test"
            for product, splits in prescribed.items()
            if len(splits) > 1
        ],
        "Expected all photos of a product in one split: evaluation is on unseen products.",
    )
    free = sorted(
        (product for product, splits in prescribed.items() if not splits),
        key=lambda product: hashlib.sha256(f"{seed}/{product}".encode()).digest(),
    )
    unseen = {product for product, splits in prescribed.items() if splits == {"test"}}
    unseen.update(free[: round(holdout * len(free))])
    unseen.add("")
    return Split(
        train=catalog.subset(p for p in catalog.photos if p.product_id not in unseen),
        evaluation=catalog.subset(p for p in catalog.photos if p.product_id in unseen),
    )
