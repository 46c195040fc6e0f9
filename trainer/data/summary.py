"""What is in a catalogue, in a dozen numbers."""

from collections import Counter
from statistics import median_low
from typing import Any

from trainer.data.records import Catalog

TOP_CATEGORIES = 10


def describe(catalog: Catalog) -> dict[str, Any]:
    """Count photos and products.

    Returns:
        JSON's own types: photos, products, photos_per_product {min, median, max}, roles and splits
        (photos of each; "none" where the catalogue says nothing), categories (photos of the most
        frequent ones), category_count, open_set_queries (photos of no product), trainable_products
        (those with two photos or more) and the catalogue's fingerprint.
    """
    photos = catalog.photos
    per_product = Counter(photo.product_id for photo in photos if photo.product_id)
    categories = Counter(photo.category for photo in photos if photo.category)
    counts = sorted(per_product.values()) or [0]
    return {
        "photos": len(photos),
        "products": len(per_product),
        "photos_per_product": {
            "min": counts[0],
            "median": median_low(counts),
            "max": counts[-1],
        },
        "trainable_products": sum(count > 1 for count in counts),
        "open_set_queries": sum(not photo.product_id for photo in photos),
        "roles": dict(Counter(photo.role or "none" for photo in photos)),
        "splits": dict(Counter(photo.split or "none" for photo in photos)),
        "category_count": len(categories),
        "categories": dict(categories.most_common(TOP_CATEGORIES)),
        "fingerprint": catalog.fingerprint,
    }
