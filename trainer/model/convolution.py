"""Convolution and max-pooling, in the form that the backend computes fastest."""

import functools
import math
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from trainer.model.cpu_convolution import convolve_on_cpu, convolve_plainly


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


def convolve(
    inputs: Float[Array, "batch y x in"], kernel: Float[Array, "size size in out"], stride: int
) -> Float[Array, "batch y2 x2 out"]:
    """Convolve with zeros of (size − 1) / 2 on each side; inputs and kernel are of one type.

    The CPU backend has forms of its own, forward and backward; others choose well themselves.
    """
    on_cpu = jax.default_backend() == "cpu"
    return (convolve_on_cpu if on_cpu else convolve_plainly)(inputs, kernel, stride)


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


def _shifts(inputs: jax.Array, size: int, stride: int, outside: float) -> Iterator[jax.Array]:
    """For each cell of the kernel, row by row, what it sees at every position."""
    side = (size - 1) // 2
    padded = jnp.pad(inputs, ((0, 0), (side, side), (side, side), (0, 0)), constant_values=outside)
    rows, columns = inputs.shape[1:3]
    for row in range(size):
        for column in range(size):
            yield padded[:, row : row + rows : stride, column : column + columns : stride]
