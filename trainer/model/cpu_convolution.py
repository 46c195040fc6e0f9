"""A convolution written the way that XLA's CPU backend computes it fastest, forward and backward.

A matrix product over everything that the kernel sees would copy the map size² times. Here only the
kernel's columns lie side by side, size copies; its rows are products of their own, whose results
(or, for the kernel's gradient, whose factors) are moved up or down by a row.
"""

from collections.abc import Iterable
from functools import partial, reduce

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

SMALL_MAP_SIDE = 7
"""Maps of at most so many rows or columns are convolved as matrix products."""
WIDE = 256
"""And so are maps of at least so many channels."""

Features = Float[Array, "batch y x in"]
Kernel = Float[Array, "size size in out"]


def faster_as_product(kernel: tuple[int, ...], output_side: int) -> bool:
    """Whether matrix products are faster than `lax.conv`, for a kernel of this shape.

    They are for 1×1 kernels, small maps and wide ones. One core of an AVX-512 server does 3×3
    kernels at this many GFLOP/s, as a convolution and as products: 64 channels at 24×24 positions
    174 and 124, 128 at 12×12 153 and 147, 256 at 14×14 125 and 160, 512 at 7×7 74 and 168, 512 at
    2×2 1 and 141.
    """
    size, _, in_dim, _ = kernel
    return size == 1 or output_side <= SMALL_MAP_SIDE or in_dim >= WIDE


def convolve_plainly(inputs: Features, kernel: Kernel, stride: int) -> Array:
    """`lax.conv` with zeros of (size − 1) / 2 on each side."""
    side = _zeros_beside(kernel)
    return lax.conv_general_dilated(
        inputs,
        kernel,
        window_strides=(stride, stride),
        padding=[(side, side)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve_on_cpu(inputs: Features, kernel: Kernel, stride: int) -> Array:
    """The same as `convolve_plainly`, to rounding, with a gradient of its own."""
    return _fastest(inputs, kernel, stride)


def _forward(
    inputs: jax.Array, kernel: jax.Array, stride: int
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _fastest(inputs, kernel, stride), (inputs, kernel)


def _backward(
    stride: int, saved: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """XLA's own would convolve with a kernel as large as the map, at a third of the pace."""
    return (_backward_at_every_position if stride == 1 else _backward_strided)(
        stride, *saved, gradient
    )


convolve_on_cpu.defvjp(_forward, _backward)


def _fastest(inputs: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    output_side = -(-min(inputs.shape[1:3]) // stride)
    if not faster_as_product(kernel.shape, output_side):
        return convolve_plainly(inputs, kernel, stride)
    if stride == 1:
        side = _zeros_beside(kernel)
        return _by_rows(_side_by_side(inputs, range(-side, side + 1)), kernel, 1)
    columns = _columns(inputs, kernel, stride)
    return _sum(
        _times(rows, row) for rows, row in zip(_seen(columns, inputs, stride), kernel, strict=True)
    )


def _backward_at_every_position(
    stride: int, inputs: jax.Array, kernel: jax.Array, gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    side = _zeros_beside(kernel)
    beside = _side_by_side(gradient, range(side, -side - 1, -1))
    turned = kernel.swapaxes(2, 3)
    if faster_as_product(turned.shape, min(gradient.shape[1:3])):
        to_inputs = _by_rows(beside, turned, -1)
    else:
        to_inputs = convolve_plainly(gradient, turned[::-1, ::-1], stride)
    # [size, in, size · out]: a row of the kernel at a time.
    by_row = jnp.stack(
        [
            _contract(_flat(_moved(inputs, row - side, axis=1)), _flat(beside))
            for row in range(kernel.shape[0])
        ]
    )
    size, _, in_dim, out_dim = kernel.shape
    return to_inputs, by_row.reshape(size, in_dim, size, out_dim).swapaxes(1, 2)


def _backward_strided(
    stride: int, inputs: jax.Array, kernel: jax.Array, gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    _, to_pixels = jax.vjp(lambda inputs: _fastest(inputs, kernel, stride), inputs)
    columns = _columns(inputs, kernel, stride)
    by_row = [_contract(_flat(rows), _flat(gradient)) for rows in _seen(columns, inputs, stride)]
    return *to_pixels(gradient), jnp.stack(by_row).reshape(kernel.shape)


def _zeros_beside(kernel: jax.Array) -> int:
    return (kernel.shape[0] - 1) // 2


def _side_by_side(features: jax.Array, offsets: Iterable[int]) -> jax.Array:
    """At each position the channels of those so many columns to its right, zeros from outside."""
    return jnp.concatenate([_moved(features, offset, axis=2) for offset in offsets], axis=-1)


def _moved(features: jax.Array, offset: int, axis: int) -> jax.Array:
    """At each position what was `offset` further along the axis."""
    padding = [(0, 0, 0)] * features.ndim
    padding[axis] = (-offset, offset, 0)
    return lax.pad(features, jnp.zeros((), features.dtype), padding)


def _by_rows(beside: jax.Array, kernel: jax.Array, direction: int) -> jax.Array:
    """Sum over the kernel's rows: each sees `beside` a row lower (or higher: −1) than the last."""
    side = _zeros_beside(kernel)
    return _sum(
        _moved(_times(beside, row), direction * (number - side), axis=1)
        for number, row in enumerate(kernel)
    )


def _columns(inputs: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """[batch, y + 2 · zeros, x2, size · in]: what the kernel's columns see of every row."""
    (batch, height, width, in_dim), size, side = (
        inputs.shape,
        kernel.shape[0],
        _zeros_beside(kernel),
    )
    # As many pixels at a time as a stride has: they lie together already.
    positions, steps = -(-width // stride), -(-size // stride)
    right = (positions + steps - 1) * stride - side - width
    padding = ((0, 0, 0), (side, side, 0), (side, right, 0), (0, 0, 0))
    padded = lax.pad(inputs, jnp.zeros((), inputs.dtype), padding)
    strides = padded.reshape(batch, height + 2 * side, -1, stride * in_dim)
    # Or XLA would pad again for each slice.
    strides = lax.optimization_barrier(strides)  # type: ignore[no-untyped-call]
    return jnp.concatenate(
        [
            strides[:, :, step : step + positions, : (size - step * stride) * in_dim]
            for step in range(steps)
        ],
        axis=-1,
    )


def _seen(columns: jax.Array, inputs: jax.Array, stride: int) -> list[jax.Array]:
    """What each row of the kernel sees: [batch, y2, x2, size · in]."""
    height = inputs.shape[1]
    rows = columns.shape[1] - height + 1
    return [columns[:, row : row + height : stride] for row in range(rows)]


def _times(features: jax.Array, row: jax.Array) -> jax.Array:
    """Flat, or XLA would copy a transpose of the map for the product."""
    product = _flat(features) @ row.reshape(-1, row.shape[-1])
    return product.reshape(*features.shape[:-1], row.shape[-1])


def _contract(
    left: Float[Array, "rows left"], right: Float[Array, "rows right"]
) -> Float[Array, "left right"]:
    """leftᵀ right, with the narrower of the two on the left: there it costs half the time."""
    if left.shape[1] <= right.shape[1]:
        return left.T @ right
    # Without the barriers XLA would turn the product back, or turn it again for each of its uses.
    product: jax.Array = lax.optimization_barrier(right.T @ left)  # type: ignore[no-untyped-call]
    turned: jax.Array = lax.optimization_barrier(product.T)  # type: ignore[no-untyped-call]
    return turned


def _flat(features: Float[Array, "batch y x dim"]) -> Float[Array, "rows dim"]:
    return features.reshape(-1, features.shape[-1])


def _sum(terms: Iterable[jax.Array]) -> jax.Array:
    return reduce(jnp.add, terms)
