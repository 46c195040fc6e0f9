"""Which photos of a catalogue show the same picture: what `collapseDuplicates` goes by.

Two photos do where `trainer.data.statistics` calls them near copies: saved again, scaled, or in
another light. Their embeddings do not tell: with ImageNet's ResNet-50 the cosine between a shop's
photo and itself at half the size was 0.88 in the median (luma, 150 photos), while photos of
different products, one blue and one green, reached 0.976. The signature of a photo tells them
apart, and is taken from the pixels that are embedded anyway, in 0.2 ms.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8, UInt64
from PIL import Image

from trainer.data.statistics.duplicates import near_copies
from trainer.data.statistics.signature import difference_hash, small_pixels


class Signature(NamedTuple):
    """What remains of a photo: 64 bits of hash, and 16 × 16 averages."""

    hash: int
    pixels: UInt8[np.ndarray, "16 16 3"]


def signature(pixels: UInt8[np.ndarray, "size size 3"]) -> Signature:
    """Return the signature of a photo as it is embedded."""
    image = Image.fromarray(pixels)
    return Signature(difference_hash(image), small_pixels(image))


@dataclass(frozen=True, eq=False)
class Signatures:
    """Those of many photos, in order."""

    hashes: UInt64[np.ndarray, " photos"]
    pixels: UInt8[np.ndarray, "photos 16 16 3"]

    @classmethod
    def of(cls, signatures: Sequence[Signature]) -> "Signatures":
        """Put signatures together."""
        return cls(
            np.array([one.hash for one in signatures], np.uint64),
            np.array([one.pixels for one in signatures], np.uint8).reshape(-1, 16, 16, 3),
        )

    @classmethod
    def joined(cls, parts: "Sequence[Signatures]") -> "Signatures":
        """Put those of several parts, one or more, one after the other."""
        return cls(
            np.concatenate([part.hashes for part in parts]),
            np.concatenate([part.pixels for part in parts]),
        )


def same_pictures(signatures: Signatures) -> Int[np.ndarray, " photos"]:
    """Return for each photo the first that shows the same picture: itself, if no earlier does."""
    return near_copies(signatures)
