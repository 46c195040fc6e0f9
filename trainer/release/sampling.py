"""A part of a catalogue's products, with all their photos, in one walk over the listing."""

import zlib
from collections.abc import Iterable, Iterator

from trainer.data.records import Photo


def sampled_products(photos: Iterable[Photo], rows: int, wanted: int) -> Iterator[Photo]:
    """Yield the photos of products that are drawn by their ids: about so many, all of a few.

    The same product is drawn wherever and however often the catalogue is listed.

    Args:
        photos: all.
        rows: how many they are.
        wanted: photos, about; all where there are no more.
    """
    bound = wanted * 2**32 // max(1, rows)
    return (photo for photo in photos if zlib.crc32(photo.product_id.encode()) < bound)
