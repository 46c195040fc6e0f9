"""The baseline that needs no learning: which colours a photo holds, and how much of each."""

import numpy as np
from jaxtyping import Float32, UInt8

BINS_PER_CHANNEL = 8  # 8 x 8 x 8 = 512, the joint histogram usual since Swain & Ballard (1991)


def colour_histogram(
    pixels: UInt8[np.ndarray, "n h w 3"], bins_per_channel: int = BINS_PER_CHANNEL
) -> Float32[np.ndarray, "n bins"]:
    """Joint RGB histograms as unit vectors whose cosine is the Bhattacharyya coefficient.

    Each pixel is shared among its neighbouring bins (trilinear), so that a colour near a bin's edge
    does not jump when the light changes a little; the square root of the shares (Hellinger) keeps
    large plain areas, such as a background, from drowning the rest.

    Args:
        pixels: sRGB photos.
        bins_per_channel: B; the histogram has B**3 bins.

    Returns:
        float32 [n, B**3], rows of length 1.
    """
    count, bins = len(pixels), bins_per_channel
    # In units of bins, measured from the first bin's centre.
    place = pixels.reshape(count, -1, 3).astype(np.float32) * (bins / 256.0) - 0.5
    place = np.clip(place, 0.0, bins - 1.0)
    low = np.minimum(place.astype(np.int32), bins - 2)
    share = place - low
    histogram = np.zeros((count, bins**3), np.float32)
    for corner in range(8):
        up = np.array([corner >> 2 & 1, corner >> 1 & 1, corner & 1])
        weight = np.where(up, share, 1.0 - share).prod(axis=2)
        at = ((low + up) * np.array([bins * bins, bins, 1])).sum(axis=2)
        for row in range(count):
            histogram[row] += np.bincount(at[row], weight[row], minlength=bins**3)
    vectors = np.sqrt(histogram)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
