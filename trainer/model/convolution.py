"""Convolution and max-pooling, written the way that the backend computes them fastest."""

import functools
import math
from collections.abc import Iterator
from functools import partial
from itertools import batched

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

SMALL_MAP_SIDE = 7
"""Maps of at most so many rows or columns are convolved as matrix products on the CPU."""


def initial_kernel(
    key: jax.Array, shape: tuple[int, int, int, int]
) -> Float[Array, "size size in out"]:
    """Normal with variance 2 / fan-out, as in torchvision (He et al., ICCV 2015, section 2.2).

    NumPy draws it unless a transformation traces the key: XLA would compile one program for each
    of the network's twenty shapes, which takes seconds.
    """
    deviation = math.sqrt(2 / (shape[0] * shape[1] * shape[3]))
    if isinstance(key, jax.core.Tracer):
        return deviation * jax.random.normal(key, shape, jnp.float32)
    random = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    return jnp.asarray(np.float32(deviation) * random.standard_normal(shape, np.float32))


def faster_as_product(size: int, output_side: int) -> bool:
    """Whether the CPU backend is faster at a matrix product over patches than at `lax.conv`.

    It is for 1×1 kernels and for small maps: of the 130 GFLOP/s that one core of an AVX-512 server
    does at 24×24 positions, `lax.conv` keeps 75 at 6×6, 35 at 3×3 and 1 at 2×2, where the product
    does 100 to 120.
    """
    return size == 1 or output_side <= SMALL_MAP_SIDE


def convolve(
    inputs: Float[Array, "batch y x in"], kernel: Float[Array, "size size in out"], stride: int
) -> Float[Array, "batch y2 x2 out"]:
    """Convolve with zeros of (size − 1) / 2 on each side; inputs and kernel are of one type.

    The CPU backend has forms of its own, forward and backward; others choose well themselves.
    """
    on_cpu = jax.default_backend() == "cpu"
    return (_convolve_on_cpu if on_cpu else _convolve)(inputs, kernel, stride)


def _convolve(inputs: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    side = (kernel.shape[0] - 1) // 2
    return jax.lax.conv_general_dilated(
        inputs,
        kernel,
        window_strides=(stride, stride),
        padding=[(side, side)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolve_on_cpu(inputs: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    size, _, _, out_dim = kernel.shape
    if not faster_as_product(size, _output_side(inputs, stride)):
        return _convolve(inputs, kernel, stride)
    columns = patches(inputs, size, stride)
    # Flat, or XLA would copy a transpose of the map for the product.
    rows = _rows(columns) @ kernel.reshape(-1, out_dim)
    return rows.reshape(*columns.shape[:3], out_dim)


def _forward(
    inputs: jax.Array, kernel: jax.Array, stride: int
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _convolve_on_cpu(inputs, kernel, stride), (inputs, kernel)


def _backward(
    stride: int, saved: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    inputs, kernel = saved
    size, _, in_dim, out_dim = kernel.shape
    if stride == 1:
        flipped = kernel[::-1, ::-1].swapaxes(2, 3)
        to_inputs = _convolve_on_cpu(gradient, flipped, 1)
    elif faster_as_product(size, _output_side(inputs, stride)):
        columns = _rows(gradient) @ kernel.reshape(-1, out_dim).T
        _, to_pixels = jax.vjp(lambda inputs: patches(inputs, size, stride), inputs)
        (to_inputs,) = to_pixels(columns.reshape(*gradient.shape[:3], -1))
    else:
        _, to_pixels = jax.vjp(lambda inputs: _convolve(inputs, kernel, stride), inputs)
        (to_inputs,) = to_pixels(gradient)
    # XLA would convolve with a kernel as large as the map: 35 GFLOP/s where this does 60 to 130.
    # A row of the kernel at a time: faster than its single cells, a third of all patches' memory.
    by_row = [
        _contract(_rows(jnp.concatenate(row, axis=-1)), _rows(gradient))
        for row in batched(_shifts(inputs, size, stride, outside=0.0), size)
    ]
    return to_inputs, jnp.stack(by_row).reshape(size, size, in_dim, out_dim)


_convolve_on_cpu.defvjp(_forward, _backward)


def _contract(
    left: Float[Array, "rows left"], right: Float[Array, "rows right"]
) -> Float[Array, "left right"]:
    """leftᵀ right, with the narrower of the two on the left: there it costs half the time."""
    if left.shape[1] <= right.shape[1]:
        return left.T @ right
    # Without the barrier XLA would turn the product back.
    product: jax.Array = jax.lax.optimization_barrier(right.T @ left)  # type: ignore[no-untyped-call]
    return product.T


def _rows(features: Float[Array, "batch y x dim"]) -> Float[Array, "rows dim"]:
    return features.reshape(-1, features.shape[-1])


def _output_side(inputs: jax.Array, stride: int) -> int:
    return -(-min(inputs.shape[1:3]) // stride)


class Convolution(nnx.Module):
    """A square kernel, no bias, symmetric padding of (size − 1) / 2.

    "SAME" would pad strided layers asymmetrically, and imported weights would see shifted pixels.
    """

    def __init__(
        self, in_dim: int, out_dim: int, *, size: int, stride: int, dtype: str, rngs: nnx.Rngs
    ) -> None:
        self.size, self.stride, self.dtype = size, stride, dtype
        self.kernel = nnx.Param(initial_kernel(rngs.params(), (size, size, in_dim, out_dim)))

    @property
    def padding(self) -> int:
        """Zeros on each side."""
        return (self.size - 1) // 2

    def __call__(self, inputs: Float[Array, "batch y x in"]) -> Float[Array, "batch y2 x2 out"]:
        """Computed and returned in the model's compute type."""
        kernel = self.kernel[...].astype(self.dtype)
        return convolve(inputs.astype(self.dtype), kernel, self.stride)


def max_pool(
    features: Float[Array, "batch y x dim"], *, size: int, stride: int
) -> Float[Array, "batch y2 x2 dim"]:
    """The maximum of each window, padded as `Convolution` pads, outside never winning.

    A maximum of shifted slices: `lax.reduce_window` has a scatter for its gradient, which takes
    five times as long on the CPU.
    """
    return functools.reduce(jnp.maximum, _shifts(features, size, stride, outside=-jnp.inf))


def patches(
    inputs: Float[Array, "batch y x in"], size: int, stride: int
) -> Float[Array, "batch y2 x2 patch"]:
    """What the kernel sees at each position, in the order of an HWI kernel's values."""
    return jnp.concatenate(list(_shifts(inputs, size, stride, outside=0.0)), axis=-1)


def _shifts(inputs: jax.Array, size: int, stride: int, outside: float) -> Iterator[jax.Array]:
    """For each cell of the kernel, row by row, what it sees at every position."""
    side = (size - 1) // 2
    padded = jnp.pad(inputs, ((0, 0), (side, side), (side, side), (0, 0)), constant_values=outside)
    rows, columns = inputs.shape[1:3]
    for row in range(size):
        for column in range(size):
            yield padded[:, row : row + rows : stride, column : column + columns : stride]
