"""Another light on a batch of photos: the half of augmentation that runs on the device.

The processors that decode are what limits the input of a fast accelerator, and a colour change
needs none of them there. So the host draws the numbers
(`trainer.data.augmentation.draw_changes`), for only it knows the place of a photo in training, and
this function applies them.
"""

from math import pi

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Float64, UInt8

# ITU-R BT.601: what an eye sees of red, green and blue, and the axes of the hue circle (YIQ).
_LUMA = np.array([0.299, 0.587, 0.114])
_TO_YIQ = np.array([_LUMA, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)
# A colour's grey, and the two parts of its distance from grey that turn into each other with hue:
# I and Q themselves, and both a quarter turn further.
_GREY = np.outer(_FROM_YIQ[:, 0], _TO_YIQ[0])
_CHROMA = _FROM_YIQ[:, 1:] @ _TO_YIQ[1:]
_QUARTER_TURN = _FROM_YIQ[:, 1:] @ np.array([[0.0, -1.0], [1.0, 0.0]]) @ _TO_YIQ[1:]


@jax.jit
def recolour(
    pixels: UInt8[Array, "batch height width 3"], colour: Float32[Array, "batch 4"]
) -> UInt8[Array, "batch height width 3"]:
    """Change each photo's brightness, contrast, saturation and hue.

    All four are linear in a pixel's colour, so that together they are one 3×4 matrix, made for each
    photo and applied in one pass; the result is rounded, and clipped to 0 and 255. Pure, and the
    same whichever photos share the batch.

    Args:
        pixels: RGB.
        colour: for each photo, as `draw_changes` gives it: brightness, a factor of all light;
            contrast, a factor of the distance from the photo's mean grey; saturation, a factor of
            the distance from a pixel's own grey; hue, a turn of the colour circle, 1 being all of
            it. (1, 1, 1, 0) changes nothing.
    """
    brightness, contrast, saturation, hue = colour.T
    angle = 2 * pi * hue[:, None, None]
    chroma = _single(_CHROMA) * jnp.cos(angle) + _single(_QUARTER_TURN) * jnp.sin(angle)
    linear = _single(_GREY) + saturation[:, None, None] * chroma
    linear = (brightness * contrast)[:, None, None] * linear
    # Turning and saturating leave grey as it is, so contrast pivots on the brightened mean grey.
    grey = jnp.mean(pixels.astype(jnp.float32), axis=(1, 2)) * _single(_LUMA)
    offset = brightness * (1 - contrast) * jnp.sum(grey, axis=1)
    changed = jnp.stack([_weighted(pixels, linear[:, channel]) for channel in range(3)], axis=-1)
    changed = changed + offset[:, None, None, None]
    return jnp.clip(jnp.round(changed), 0, 255).astype(jnp.uint8)


def _single(constant: Float64[np.ndarray, "..."]) -> Float32[Array, "..."]:
    return jnp.asarray(constant, jnp.float32)


def _weighted(
    pixels: UInt8[Array, "batch height width 3"], weights: Float32[Array, "#batch 3"]
) -> Float32[Array, "batch height width"]:
    """Sum over the channels. Not as a matrix product: a channel at a time is eight times as fast
    on processors, and an accelerator would round the factors to fewer bits."""
    red, green, blue = (
        pixels[..., channel].astype(jnp.float32) * weights[:, channel, None, None]
        for channel in range(3)
    )
    return red + green + blue
