"""Random numbers as a function of a seed and a place, never of what was drawn before."""

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """Uses of randomness that must not follow each other's draws."""

    PRODUCT_ORDER = 0
    PHOTO_CHOICE = 1
    AUGMENTATION = 2


def generator(seed: int, stream: Stream, *place: int) -> np.random.Generator:
    """Return the generator of one place, as (step, position); all numbers 0 or more."""
    return np.random.default_rng((seed, stream, *place))
