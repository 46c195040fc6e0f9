"""An encoded photo to a square of it, or to the window that a device makes the square from.

Either way it is decoded at no larger scale than the square needs.
"""

from dataclasses import dataclass
from math import ceil, floor, sqrt

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from function.jpeg import FACTORS, PlainJpeg
from function.photo import as_image, decode, plain_jpeg

# Multiples of it are what chips multiply and move without padding.
_SIDE_STEP = 8


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
    if (jpeg := plain_jpeg(data)) is not None:
        image = as_image(jpeg, jpeg_factor(jpeg, size, crop))
        if image is not None:
            return _square(image, size, crop)
    return _square(_decode_any(data, size, crop), size, crop)


def load_window(
    data: bytes, size: int, crop: Crop, room: UInt8[np.ndarray, "side side 3"]
) -> Float32[np.ndarray, "6"]:
    """Decode a photo and put what the crop's square is made from into the room's upper left.

    `trainer.data.resample.resample` makes the square of it. A crop that the room is too small for
    is made a square here.

    Args:
        data, size, crop: as `load_crop` takes them.
        room: RGB, at least `size` pixels a side; `room_side` is enough for JPEGs of usual shapes.
            What lies beyond the window stays as it was.

    Returns:
        In pixels of the room: left, top, right and bottom of the crop, left and right exchanged
        where it is to be mirrored; width and height of the window.

    Raises:
        function.errors.FunctionError: the photo cannot be decoded.
    """
    pixels = None
    if (jpeg := plain_jpeg(data)) is not None:
        pixels = jpeg.decode(jpeg_factor(jpeg, size, crop))
    if pixels is None:
        pixels = np.asarray(_decode_any(data, size, crop))
    height, width, _ = pixels.shape
    left, top, right, bottom = crop.box(width, height)
    first_column, past_column = _reach(left, right, size, width)
    first_row, past_row = _reach(top, bottom, size, height)
    columns, rows = past_column - first_column, past_row - first_row
    if max(columns, rows) > len(room):
        room[:size, :size] = _square(Image.fromarray(pixels), size, crop)
        return np.array((0, 0, size, size, size, size), np.float32)
    room[:rows, :columns] = pixels[first_row:past_row, first_column:past_column]
    left, right = left - first_column, right - first_column
    if crop.mirrored:
        left, right = right, left
    top, bottom = top - first_row, bottom - first_row
    return np.array((left, top, right, bottom, columns, rows), np.float32)


def jpeg_factor(jpeg: PlainJpeg, size: int, crop: Crop) -> int:
    """Return the greatest of `FACTORS` at which the crop still has `size` pixels a side, or 1."""
    scale = crop.scale(jpeg.width, jpeg.height, size)
    return next((factor for factor in FACTORS if factor <= scale), 1)


def room_side(size: int, ratio: tuple[float, float]) -> int:
    """Return the pixels of a side that the windows of crops of these ratios need.

    A JPEG is decoded so that a crop's shorter side is below 2 · `size`, if it can be made an eighth
    and the crop does not end with the photo's side; on each of its own the filter reaches half a
    scale beyond it.
    """
    longest = max(ratio[1], 1 / ratio[0])
    return ceil((2 * longest * (size + 1) + 1) / _SIDE_STEP) * _SIDE_STEP


def _reach(low: float, high: float, size: int, end: int) -> tuple[int, int]:
    """The pixels that Pillow's triangle filter sees, from the first to before the last."""
    scale = (high - low) / size
    beyond = max(scale, 1.0) - scale / 2
    return max(0, floor(low - beyond + 0.5)), min(end, floor(high + beyond + 0.5))


def _square(image: Image.Image, size: int, crop: Crop) -> UInt8[np.ndarray, "size size 3"]:
    image = image.resize((size, size), Image.Resampling.BILINEAR, crop.box(*image.size))
    if crop.mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(image)


def _decode_any(data: bytes, size: int, crop: Crop) -> Image.Image:
    # The crop's shorter side is at least √(area · min(ratio, 1/ratio)) of the photo's.
    shrunk = sqrt(crop.area * min(crop.ratio, 1 / crop.ratio))
    return decode(data, reduce_to=ceil(size / shrunk))
