"""A release's contents with those of changed products in their places.

A product that changed keeps its place, and a new one comes last, so that the rows are those of a
full publication of the changed listing: same photos, same vectors, same order.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Int

from function.catalog import ImageRow, Product
from trainer.evaluation.attribution import Queries
from trainer.release.contents import Contents, stored_address
from trainer.release.copies import Signatures
from trainer.release.questions import Answerable

# Rows, by number: those of the release first, then those that were embedded now.
Order = Int[np.ndarray, " rows"]


def merged_order(
    old: Sequence[ImageRow], new: Sequence[ImageRow], removed: Collection[str]
) -> Order:
    """Return which rows an update has: numbers of `old`, and above them those of `new`.

    Args:
        old: the release's photos.
        new: of products that are new, or whose photos these replace.
        removed: ids of products that go.
    """
    fresh: defaultdict[str, list[int]] = defaultdict(list)
    for row, image in enumerate(new, start=len(old)):
        fresh[image.product_id].append(row)
    replaced = set(fresh)
    order: list[int] = []
    for row, image in enumerate(old):
        if image.product_id in replaced:
            order += fresh.pop(image.product_id, [])
        elif image.product_id not in removed:
            order.append(row)
    # Those of new products, as they are listed.
    order += sorted(row for rows in fresh.values() for row in rows)
    return np.array(order, np.int64)


def merged(
    old: Contents, new: Contents, texts: Sequence[Product], order: Order, base_url: str | None
) -> Contents:
    """Put the release's contents and the new ones together.

    Args:
        old, new: as for `merged_order`.
        texts: products that keep their photos, as they are now.
        order: of the rows.
        base_url: where stored photos are public; None: nowhere.
    """
    both = [*old.images, *new.images]
    images = [
        _addressed(replace(both[number], row=row), base_url)
        for row, number in enumerate(order.tolist())
    ]
    known: dict[str, Product] = {product.id: product for product in old.products}
    known |= {product.id: product for product in texts}
    known |= {product.id: product for product in new.products}
    shown = dict.fromkeys(image.product_id for image in images)
    return Contents(
        np.concatenate([old.vectors, new.vectors])[order],
        images,
        [known[name] for name in shown],
        _joined(old.signatures, new.signatures, order),
    )


def _joined(one: Signatures | None, other: Signatures | None, order: Order) -> Signatures | None:
    if one is None or other is None:
        return None
    return Signatures(
        np.concatenate([one.hashes, other.hashes])[order],
        np.concatenate([one.pixels, other.pixels])[order],
    )


def public_base(images: Sequence[ImageRow]) -> str | None:
    """Return where the stored photos of a release are public; None where they are not."""
    for image in images:
        if image.sha256 and image.url:
            return image.url.removesuffix(f"/{image.sha256}.jpg")
    return None


def _addressed(image: ImageRow, base_url: str | None) -> ImageRow:
    if not image.sha256:
        return image
    return replace(
        image,
        url=stored_address(base_url, image.sha256),
        thumbnail_url=stored_address(base_url, image.thumbnail_sha256),
    )


def still_answerable(
    asked: Answerable | None, order: Order, contents: Contents
) -> Answerable | None:
    """Return the queries whose products still have a photo besides the query's own.

    Args:
        asked: by the rows of the release.
        order: as `merged_order` returned it.
        contents: as they are now.
    """
    if asked is None:
        return None
    row_of: Mapping[int, int] = {number: row for row, number in enumerate(order.tolist())}
    photos = Counter(image.product_id for image in contents.images)
    kept, rows = [], []
    for number, (name, own) in enumerate(
        zip(asked.queries.products, asked.queries.own_rows.tolist(), strict=True)
    ):
        row = -1 if own < 0 else row_of.get(own)
        if row is not None and photos[name] > (row >= 0):
            kept.append(number)
            rows.append(row)
    queries = Queries([asked.queries.products[number] for number in kept], np.array(rows, np.int64))
    return Answerable(queries, asked.vectors[np.array(kept, np.int64)])
