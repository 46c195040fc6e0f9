"""Photos of products that a small network can tell apart, in no time."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

PHOTOS_PER_PRODUCT = 3


def noisy_patterns(products: int, noise: float) -> Iterator[tuple[int, int, Image.Image]]:
    """Yield product, photo and picture: of each product three of one pattern, 40 by 40 pixels.

    Args:
        products: how many.
        noise: standard deviation of what tells a product's photos apart, of 255.
    """
    for product in range(products):
        random = np.random.default_rng(product)
        pattern = random.integers(60, 196, (4, 4, 3)).repeat(10, 0).repeat(10, 1)
        for photo in range(PHOTOS_PER_PRODUCT):
            noisy = pattern + random.normal(0, noise, pattern.shape)
            yield product, photo, Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
