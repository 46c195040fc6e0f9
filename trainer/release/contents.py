"""What a release finds, photo by photo: all that its index and its catalogue are made of."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from jaxtyping import Float

from function.catalog import ImageRow, Product, merged_product
from trainer.data.records import Photo
from trainer.release.copies import Signatures
from trainer.release.embedding import EmbeddedCatalog
from trainer.release.identity import ID_DIGITS
from trainer.release.images import StoredPhoto


@dataclass(frozen=True, eq=False)
class Contents:
    """Photos and their products, in the catalogue's order.

    Attributes:
        vectors: unit rows.
        images: row by row.
        products: in the order of their first photos.
        signatures: as of `EmbeddedCatalog`.
    """

    vectors: Float[np.ndarray, "photos dim"]
    images: Sequence[ImageRow]
    products: Sequence[Product]
    signatures: Signatures | None

    @classmethod
    def of(
        cls, photos: Sequence[Photo], embedded: EmbeddedCatalog, image_base_url: str | None
    ) -> "Contents":
        """Put together what is listed of photos and what became of them.

        Args:
            photos: in the order of `embedded`.
            embedded: the program's vectors of them, and where they are stored.
            image_base_url: as for `image_rows`.
        """
        images = image_rows(photos, embedded.stored, image_base_url)
        return cls(embedded.vectors, images, products_of(photos), embedded.signatures)


def products_of(photos: Sequence[Photo]) -> list[Product]:
    """Merge what the photos of a product say.

    That is the first title, category and price, and all labels and product sets.
    """
    merged: dict[str, Product] = {}
    for photo in photos:
        told = Product(
            photo.product_id,
            photo.title,
            photo.category,
            photo.price,
            photo.labels,
            photo.product_sets,
        )
        known = merged.get(photo.product_id, Product(photo.product_id))
        merged[photo.product_id] = merged_product(known, told)
    return list(merged.values())


class ImageIds:
    """Gives each photo an id that no other photo of its product has."""

    def __init__(self, *, numbered: bool = True) -> None:
        """Know no photo yet.

        Args:
            numbered: an id is the file's name, with a number where it came before: all that came
                are remembered. Else it is the name and a part of the path's hash.
        """
        self._taken: set[tuple[str, str]] | None = set() if numbered else None

    def of(self, photo: Photo) -> str:
        """Return the id of the next photo."""
        stem = image_id = PurePosixPath(photo.image).stem
        if self._taken is None:
            return f"{stem}-{hashlib.sha256(photo.image.encode()).hexdigest()[:ID_DIGITS]}"
        # Counted within the product: what becomes of others changes no id.
        number = 0
        while (photo.product_id, image_id) in self._taken:
            number += 1
            image_id = f"{stem}-{number}"
        self._taken.add((photo.product_id, image_id))
        return image_id


def image_rows(
    photos: Sequence[Photo],
    stored: Sequence[StoredPhoto | None],
    image_base_url: str | None,
    *,
    first_row: int = 0,
    ids: ImageIds | None = None,
) -> list[ImageRow]:
    """Give each photo its row, an id unique within its product, and its address.

    Args:
        photos: in the order of the index.
        stored: for each photo, where it was stored; None for one with a URL.
        image_base_url: where the root's images/ is public; None: the function gives them out.
        first_row: of these photos.
        ids: that earlier photos got theirs from; None: there were none.
    """
    ids = ids or ImageIds()
    rows = []
    for row, (photo, where) in enumerate(zip(photos, stored, strict=True), start=first_row):
        sha256, thumbnail = (where.sha256, where.thumbnail_sha256) if where else ("", "")
        rows.append(
            ImageRow(
                row,
                photo.product_id,
                ids.of(photo),
                url=photo.image_url or stored_address(image_base_url, sha256),
                thumbnail_url=stored_address(image_base_url, thumbnail),
                sha256=sha256,
                thumbnail_sha256=thumbnail,
            )
        )
    return rows


def stored_address(base_url: str | None, sha256: str) -> str:
    """Return where a stored photo is public; "" where it is not, or none is stored."""
    return f"{base_url.rstrip('/')}/{sha256}.jpg" if base_url and sha256 else ""
