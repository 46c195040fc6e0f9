"""Windows of photos to squares: the resize of augmentation, on the device.

A small photo's resize costs a processor twice its decoding, and the processors that decode are what
limits the input of a fast accelerator. There it is two products of matrices: 3 % of the arithmetic
of a ResNet-50's step at 224 pixels.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32, UInt8

# A level is eight bits, exact in whatever a chip multiplies; of a weight, at this precision a TPU
# keeps 16 bits and a GPU 11 at least, so that no sum is off by more than 0.13 of a level.
_PRECISION = jax.lax.Precision.HIGH


@partial(jax.jit, static_argnames="size")
def resample(
    pixels: UInt8[Array, "batch side side 3"], windows: Float32[Array, "batch 6"], size: int
) -> UInt8[Array, "batch size size 3"]:
    """Bring the crop in each window to a square, antialiased, as `trainer.data.crop.load_crop`.

    Pillow's `resize(…, BILINEAR, box)`: each pixel is the mean of those within max(1, s) of its
    place, by a triangle's weights, where s is how many become one; columns and rows by themselves.
    Pillow rounds to whole levels after either, this after both, so that the two are at most one
    level apart. Pure, and the same whichever photos share the batch.

    Args:
        pixels: RGB; what lies beyond a window may be anything.
        windows: as `trainer.data.crop.load_window` gives them, one for each photo.
        size: pixels of a side.
    """
    left, top, right, bottom, width, height = windows.T
    side = pixels.shape[1]
    across = _weights(left, right, width, side, size)
    down = _weights(top, bottom, height, side, size)
    photos = pixels.astype(jnp.float32)
    narrowed = jnp.einsum("bzx,byxc->byzc", across, photos, precision=_PRECISION)
    squares = jnp.einsum("bzy,byxc->bzxc", down, narrowed, precision=_PRECISION)
    return jnp.clip(jnp.round(squares), 0, 255).astype(jnp.uint8)


def _weights(
    first: Float32[Array, " batch"],
    last: Float32[Array, " batch"],
    valid: Float32[Array, " batch"],
    side: int,
    size: int,
) -> Float32[Array, "batch {size} {side}"]:
    """What each of `side` pixels gives to each of `size`, from edge to edge of the crop.

    The edges are in their order in the square: a mirrored crop's first one is greater. Pixels that
    are not among the first `valid` give nothing, and each row sums to one.
    """
    scale = ((last - first) / size)[:, None]
    centres = first[:, None] + (jnp.arange(size, dtype=jnp.float32) + 0.5) * scale
    places = jnp.arange(side, dtype=jnp.float32) + 0.5
    distance = jnp.abs(places - centres[:, :, None]) / jnp.maximum(jnp.abs(scale), 1)[:, :, None]
    triangle = jnp.maximum(1 - distance, 0) * (places < valid[:, None, None])
    return triangle / jnp.sum(triangle, axis=-1, keepdims=True)
