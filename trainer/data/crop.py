"""An encoded photo to a square of it, at no larger scale than the square needs."""

import struct
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from math import ceil, sqrt

import numpy as np
from jaxtyping import UInt8
from PIL import Image, JpegImagePlugin

from function.photo import decode

_JPEG = (JpegImagePlugin.JpegImageFile.format,)
_JPEG_START = b"\xff\xd8\xff"
# What Pillow raises over damaged files, and over those with more pixels than it accepts.
_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    struct.error,
    Image.DecompressionBombError,
)
# How many times smaller than it is a JPEG can be decoded.
_JPEG_FACTORS = (8, 4, 2)


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of a photo of any size."""

    area: float
    """As a fraction of the photo's, above 0 and at most 1."""
    ratio: float
    """Width over height, above 0; a side that would be longer than the photo's ends with it."""
    x: float
    """Of the room beside the crop, the share to its left: 0 to 1."""
    y: float
    """Of the room above and below the crop, the share above it: 0 to 1."""
    mirrored: bool
    """Whether left becomes right."""

    def box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Return left, top, right and bottom in pixels of a photo of this width and height."""
        wide, high = self._sides(width, height)
        left, top = self.x * (width - wide), self.y * (height - high)
        return left, top, min(left + wide, float(width)), min(top + high, float(height))

    def scale(self, width: int, height: int, size: int) -> float:
        """Return how many times smaller the photo may be and still give `size` pixels a side."""
        return min(self._sides(width, height)) / size

    def _sides(self, width: int, height: int) -> tuple[float, float]:
        area = self.area * width * height
        wide, high = sqrt(area * self.ratio), sqrt(area / self.ratio)
        return min(wide, float(width)), min(high, float(height))


def load_crop(data: bytes, size: int, crop: Crop) -> UInt8[np.ndarray, "size size 3"]:
    """Decode a photo and bring the crop to a square, antialiased; what is not square is stretched.

    Args:
        data: an encoded photo that `function.photo.decode` reads.
        size: pixels of a side.
        crop: what to show of it.

    Raises:
        function.errors.FunctionError: the photo cannot be decoded.
    """
    image = decode_for_crop(data, size, crop)
    image = image.resize((size, size), Image.Resampling.BILINEAR, crop.box(*image.size))
    if crop.mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(image)


def decode_for_crop(data: bytes, size: int, crop: Crop) -> Image.Image:
    """Decode a photo at the smallest scale of its format at which the crop has `size` pixels.

    Upright, RGB in sRGB, as `function.photo.decode` gives it. A JPEG that is all that already is
    decoded straight away: no more checks, for the catalogue was screened, and no copy.

    Raises:
        function.errors.FunctionError: the photo cannot be decoded.
    """
    return _decode_plain_jpeg(data, size, crop) or _decode_any(data, size, crop)


def _decode_plain_jpeg(data: bytes, size: int, crop: Crop) -> Image.Image | None:
    """None: it is something else or damaged, and `function.photo` knows what."""
    if not data.startswith(_JPEG_START):
        return None
    with suppress(*_DECODER_ERRORS):
        image = Image.open(BytesIO(data), formats=_JPEG)
        special = {"icc_profile", "exif", "progressive"} & image.info.keys()
        if not special and image.mode == "RGB":
            scale = crop.scale(*image.size, size)
            factor = max((factor for factor in _JPEG_FACTORS if factor <= scale), default=1)
            image.draft(None, (image.width // factor, image.height // factor))
            image.load()
            return image
    return None


def _decode_any(data: bytes, size: int, crop: Crop) -> Image.Image:
    # The crop's shorter side is at least √(area · min(ratio, 1/ratio)) of the photo's.
    shrunk = sqrt(crop.area * min(crop.ratio, 1 / crop.ratio))
    return decode(data, reduce_to=ceil(size / shrunk))
