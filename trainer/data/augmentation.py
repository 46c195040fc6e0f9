"""Random changes to training photos: another crop, its mirror image, another light."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from trainer.data.crop import Crop
from trainer.data.streams import Stream, generator

_NUMBERS_PER_PHOTO = 9


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


@dataclass(frozen=True)
class Changes:
    """What happens to the photos of a batch."""

    crops: tuple[Crop, ...]
    """For the host: `trainer.data.crop`."""
    colour: Float32[np.ndarray, "batch 4"]
    """For the device: `trainer.data.recolour.recolour`."""


def draw_changes(augmentation: Augmentation, photos: int, *, seed: int, step: int) -> Changes:
    """Draw the changes of a batch, from the seed, the step and each photo's position alone.

    The crop is GoogLeNet's (Szegedy et al., 2015, section 6): a share of the area and a ratio of
    sides.

    Args:
        augmentation: the ranges to draw from.
        photos: in the batch. A photo's changes do not depend on how many follow it.
        seed: 0 or more.
        step: the batch's number, 0 or more.
    """
    # One generator a batch: to seed one for each photo costs 5 % of decoding a small one.
    random = generator(seed, Stream.AUGMENTATION, step)
    shares = random.random((photos, _NUMBERS_PER_PHOTO))
    low = np.array([augmentation.scale[0], np.log(augmentation.ratio[0]), 0.0, 0.0, 0.0])
    high = np.array([augmentation.scale[1], np.log(augmentation.ratio[1]), 1.0, 1.0, 1.0])
    area, ratio, x, y, flip = (low + (high - low) * shares[:, :5]).T
    columns = (area, np.exp(ratio), x, y, flip < augmentation.flip)
    crops = zip(*(column.tolist() for column in columns), strict=True)
    reach = np.array(
        [augmentation.brightness, augmentation.contrast, augmentation.saturation, augmentation.hue]
    )
    colour = np.array([1, 1, 1, 0]) + reach * (2 * shares[:, 5:] - 1)
    return Changes(tuple(Crop(*numbers) for numbers in crops), colour.astype(np.float32))
