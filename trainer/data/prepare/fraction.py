"""A part of a data set that keeps its shape: a share of the products of each split and category."""

import hashlib
from collections import defaultdict

from trainer.data.records import Catalog, Photo


def take_fraction(catalog: Catalog, fraction: float) -> Catalog:
    """Return the photos of a share of the products, chosen by the SHA-256 of their ids.

    The choice depends on nothing else, so that a smaller part lies inside every larger one. Photos
    of no product at all count as a product each.

    Args:
        catalog: what to take from; its order is kept.
        fraction: more than 0, up to 1: of the products of each (split, category), rounded to the
            nearest whole one, but at least one. A product of several categories counts in its
            first photo's.
    """
    if fraction == 1:
        return catalog
    groups: dict[tuple[str, str], tuple[str, str]] = {}
    for photo in catalog.photos:
        groups.setdefault(_identity(photo), (photo.split, photo.category))
    members: defaultdict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for identity, group in groups.items():
        members[group].append(identity)
    chosen = {
        identity
        for identities in members.values()
        for identity in sorted(identities, key=_digest)[: max(1, round(fraction * len(identities)))]
    }
    return catalog.subset(photo for photo in catalog.photos if _identity(photo) in chosen)


def _identity(photo: Photo) -> tuple[str, str]:
    return (photo.product_id, "" if photo.product_id else photo.image)


def _digest(identity: tuple[str, str]) -> bytes:
    return hashlib.sha256("/".join(identity).encode()).digest()
