"""Random changes to training photos: another crop, its mirror image, another light."""

from dataclasses import dataclass
from math import ceil, cos, pi, sin, sqrt

import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image

from function.photo import decode

# ITU-R BT.601: what an eye sees of red, green and blue, and the axes of the hue circle (YIQ).
_LUMA = np.array([0.299, 0.587, 0.114])
_TO_YIQ = np.array([_LUMA, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How far training photos may be changed; each range is drawn from uniformly."""

    scale: tuple[float, float] = (0.3, 1.0)
    """Area of the crop, as a fraction of the photo's; (1, 1) keeps all."""
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Width over height of the crop, before it becomes a square; drawn on a logarithmic scale."""
    flip: float = 0.5
    """Probability of the mirror image."""
    brightness: float = 0.3
    """Light is multiplied by 1 ± this."""
    contrast: float = 0.3
    """Distance from the photo's mean grey is multiplied by 1 ± this."""
    saturation: float = 0.3
    """Distance from each pixel's own grey is multiplied by 1 ± this."""
    hue: float = 0.02
    """Turn of the colour circle, ± this fraction of it; small, for colour tells products apart."""


def augment(
    data: bytes, size: int, augmentation: Augmentation, random: np.random.Generator
) -> UInt8[np.ndarray, "size size 3"]:
    """Decode a photo and change it at random.

    The crop is GoogLeNet's (Szegedy et al., 2015, section 6): a share of the area and a ratio of
    sides. Brightness, contrast, saturation and hue are all linear in a pixel's colour, so that
    together they are one 3×4 matrix, applied in one pass.

    Args:
        data: an encoded photo that `function.photo.decode` reads.
        size: pixels of the square that is returned.
        augmentation: the ranges to draw from.
        random: draws the same eight numbers for every photo.

    Raises:
        function.errors.FunctionError: the photo cannot be decoded.
    """
    area = random.uniform(*augmentation.scale)
    ratio = np.exp(random.uniform(*np.log(augmentation.ratio)))
    x, y, flip = random.random(3)
    strengths = random.uniform(-1, 1, size=4)
    # The crop's shorter side is at least √(area · min(ratio, 1/ratio)) of the photo's.
    shrunk = sqrt(area * min(ratio, 1 / ratio))
    image = decode(data, reduce_to=ceil(size / shrunk))
    width = min(sqrt(area * image.width * image.height * ratio), image.width)
    height = min(sqrt(area * image.width * image.height / ratio), image.height)
    left, top = x * (image.width - width), y * (image.height - height)
    image = image.resize(
        (size, size), Image.Resampling.BILINEAR, (left, top, left + width, top + height)
    )
    if flip < augmentation.flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    mean = np.asarray(image.reduce(size), dtype=np.float64).reshape(3)
    matrix = _colour_matrix(augmentation, strengths, mean)
    return np.asarray(image.convert("RGB", tuple(matrix.ravel().tolist())))


def _colour_matrix(
    augmentation: Augmentation,
    strengths: Float64[np.ndarray, " 4"],
    mean: Float64[np.ndarray, " 3"],
) -> Float64[np.ndarray, "3 4"]:
    """Return [rotation and scale | offset]: what to do with each colour, 0 to 255.

    Args:
        augmentation: the ranges.
        strengths: -1 to 1, for brightness, contrast, saturation and hue.
        mean: the photo's mean colour.
    """
    brightness = 1 + augmentation.brightness * strengths[0]
    contrast = 1 + augmentation.contrast * strengths[1]
    saturation = 1 + augmentation.saturation * strengths[2]
    angle = 2 * pi * augmentation.hue * strengths[3]
    turn = np.array([[1, 0, 0], [0, cos(angle), -sin(angle)], [0, sin(angle), cos(angle)]])
    turn[1:] *= saturation
    linear = brightness * contrast * _FROM_YIQ @ turn @ _TO_YIQ
    # Turning and saturating leave grey as it is, so contrast pivots on the brightened mean grey.
    offset = brightness * (1 - contrast) * (_LUMA @ mean)
    return np.column_stack([linear, np.full(3, offset)])
