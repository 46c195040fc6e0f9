"""One product photo, and the catalogue that holds many: what every data source becomes.

Everything above this module knows a catalogue only as `Catalog`: an ordered tuple of photos
and a way to read their bytes. Where these bytes lie is the business of a `Source`.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, Protocol, runtime_checkable

Role = Literal["", "catalog", "query"]
SplitName = Literal["", "train", "test"]


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo of one product, as its source lists it."""

    product_id: str
    """Whose photo this is; empty only for a query that shows no product of the catalogue."""
    image: str
    """Where the encoded photo lies: a '/'-separated path inside the source, or a URI."""
    image_url: str = ""
    """Where customers' browsers find the photo; empty: the publisher stores a copy."""
    title: str = ""
    category: str = ""
    price: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    """(key, value) pairs in the order of the source; a key may come more than once."""
    product_sets: tuple[str, ...] = ()
    """Names of the sets that a search may be narrowed to, in the order of the source."""
    role: Role = ""
    """'catalog': the shop's own picture; 'query': a customer's photo; empty: either."""
    split: SplitName = ""
    """'train' or 'test', where the source prescribes it."""
    row: int = 0
    """1-based row or line in the source, a header counted; 0 where there are no rows."""


@runtime_checkable
class Source(Protocol):
    """Where encoded photos lie. Both verbs may be called from several threads at once."""

    @property
    def location(self) -> str:
        """The path or URI, as the user named it: for messages only."""

    def read(self, image: str) -> bytes:
        """Return one encoded photo.

        Raises:
            FileNotFoundError: there is no such photo.
        """

    def sizes(self, images: Sequence[str]) -> list[int | None]:
        """Return the encoded photos' sizes in bytes; None for those that are missing."""


@dataclass(frozen=True)
class Catalog:
    """Photos in a fixed order, and the source that they are read from."""

    name: str
    """Short, for reports: the file's or the folder's name without its suffix."""
    source: Source
    photos: tuple[Photo, ...] = field(repr=False)

    def read(self, photo: Photo) -> bytes:
        """Return the encoded photo; safe to call from several threads.

        Raises:
            FileNotFoundError: the source has no such photo.
        """
        return self.source.read(photo.image)

    def subset(self, photos: Iterable[Photo]) -> "Catalog":
        """Return a catalogue of `photos`, in this order, over the same source."""
        return replace(self, photos=tuple(photos))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of what is listed: products, images, roles, splits, file sizes.

        The same wherever the catalogue lies. The order counts: batches depend on it.
        """
        digest = hashlib.sha256()
        sizes = self.source.sizes([photo.image for photo in self.photos])
        for photo, size in zip(self.photos, sizes, strict=True):
            entry = [photo.product_id, photo.image, photo.role, photo.split, size]
            digest.update(json.dumps(entry).encode() + b"\n")
        return digest.hexdigest()
