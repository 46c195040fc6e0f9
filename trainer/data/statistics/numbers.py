"""What was measured, as JSON's own types."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int, Shaped

from trainer.data.records import Photo
from trainer.data.split import Split
from trainer.data.statistics.duplicates import Duplicates, members
from trainer.data.statistics.measure import Measurements
from trainer.data.statistics.signature import MAX_DISTANCE_BITS, MAX_TINT, MIN_CORRELATION
from trainer.data.summary import describe

PERCENTILES = (0, 5, 25, 50, 75, 95, 100)


@dataclass(frozen=True)
class Group:
    """Photos that are copies of each other, or all but."""

    rows: tuple[int, ...]
    """Their places among the readable photos, ascending."""
    products: int
    """How many products they are listed under; photos of no product count as one more."""
    across_split: bool
    """Whether some are trained on and others evaluated on: a leak, if they are copies indeed."""
    both_roles: bool
    """Whether some are the shop's and others customers'."""


def groups_of(
    labels: Int[np.ndarray, " photos"], photos: Sequence[Photo], sides: Sequence[str]
) -> list[Group]:
    """Describe the groups of two photos or more: across the split first, then across products.

    Args:
        labels: as in `Duplicates`.
        photos: what the labels belong to.
        sides: "train" or "evaluation", for each of them.
    """
    found = []
    for rows in members(labels):
        held = [photos[row] for row in rows]
        found.append(
            Group(
                rows=tuple(rows.tolist()),
                products=len({photo.product_id for photo in held}),
                across_split=len({sides[row] for row in rows}) > 1,
                both_roles={"catalog", "query"} <= {photo.role for photo in held},
            )
        )
    return sorted(found, key=lambda group: (not group.across_split, group.products == 1))


def sides_of(photos: Sequence[Photo], split: Split) -> list[str]:
    """Whether each photo's product is trained on ("train") or kept unseen ("evaluation")."""
    trained = {photo.product_id for photo in split.train.photos}
    return ["train" if photo.product_id in trained else "evaluation" for photo in photos]


def summarise(
    measured: Measurements, duplicates: Duplicates, sides: Sequence[str]
) -> dict[str, Any]:
    """Count everything.

    Returns:
        What `describe` gives of the readable photos, and: unreadable [{row, image, reason}];
        split {train, evaluation} with photos and products of each; products_by_photo_count
        {"photos": products}; by_category [{category, photos, products}], the largest first;
        formats; width, height, megapixels, aspect_ratio (width / height) and file_bytes, each
        with percentiles {"0": …, "50": …, "100": …}; duplicates {same_bytes, same_pixels, near}.

        Each degree of duplicates includes the one before, and counts groups; photos in them;
        surplus, the photos that are not the first of their group; across_products, groups under
        two products or more; across_roles; across_split, groups with photos on both sides of the
        split; and across_split_evaluated, photos of those that are evaluated on. Of the same pixels
        these are leaks; near ones may be photos of one session, and are candidates to look at.
    """
    photos = measured.catalog.photos
    width, height = measured.sizes.T
    return {
        **describe(measured.catalog),
        "unreadable": [
            {"row": photo.row, "image": photo.image, "reason": reason}
            for photo, reason in measured.unreadable
        ],
        "split": {side: _side(photos, sides, side) for side in ("train", "evaluation")},
        "products_by_photo_count": _products_by_photo_count(photos),
        "by_category": _by_category(photos),
        "formats": dict(Counter(measured.formats).most_common()),
        "width": _percentiles(width),
        "height": _percentiles(height),
        "megapixels": _percentiles(width * height / 1e6),
        "aspect_ratio": _percentiles(width / height),
        "file_bytes": _percentiles(measured.file_bytes),
        "duplicates": {
            "same_bytes": _degree(duplicates.same_bytes, photos, sides),
            "same_pixels": _degree(duplicates.same_pixels, photos, sides),
            "near": _degree(duplicates.near, photos, sides),
            "max_distance_bits": MAX_DISTANCE_BITS,
            "min_correlation": MIN_CORRELATION,
            "max_tint": MAX_TINT,
            "not_compared": duplicates.not_compared,
            "complete": duplicates.complete,
        },
    }


def _side(photos: Sequence[Photo], sides: Sequence[str], side: str) -> dict[str, int]:
    held = [photo for photo, its_side in zip(photos, sides, strict=True) if its_side == side]
    return {"photos": len(held), "products": len({p.product_id for p in held if p.product_id})}


def _products_by_photo_count(photos: Sequence[Photo]) -> dict[str, int]:
    per_product = Counter(photo.product_id for photo in photos if photo.product_id)
    return {str(count): number for count, number in sorted(Counter(per_product.values()).items())}


def _by_category(photos: Sequence[Photo]) -> list[dict[str, Any]]:
    counts: Counter[str] = Counter()
    products: defaultdict[str, set[str]] = defaultdict(set)
    for photo in photos:
        if photo.category:
            counts[photo.category] += 1
            products[photo.category] |= {photo.product_id} - {""}
    return [
        {"category": category, "photos": number, "products": len(products[category])}
        for category, number in counts.most_common()
    ]


def _percentiles(values: Shaped[np.ndarray, " photos"]) -> dict[str, float | int]:
    # Values that occur, so that a width stays a whole number.
    found = np.percentile(values, PERCENTILES, method="nearest")
    return dict(zip(map(str, PERCENTILES), found.round(4).tolist(), strict=True))


def _degree(
    labels: Int[np.ndarray, " photos"], photos: Sequence[Photo], sides: Sequence[str]
) -> dict[str, int]:
    groups = groups_of(labels, photos, sides)
    return {
        "groups": len(groups),
        "photos": sum(len(group.rows) for group in groups),
        "surplus": sum(len(group.rows) - 1 for group in groups),
        "across_products": sum(group.products > 1 for group in groups),
        "across_roles": sum(group.both_roles for group in groups),
        "across_split": sum(group.across_split for group in groups),
        "across_split_evaluated": sum(
            sides[row] == "evaluation"
            for group in groups
            if group.across_split
            for row in group.rows
        ),
    }
