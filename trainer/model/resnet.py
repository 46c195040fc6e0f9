"""ResNet (He et al., CVPR 2016) in Flax NNX: pixels -> the last feature map."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, UInt8

from trainer.errors import LookalikeError
from trainer.model.activation import rectify
from trainer.model.config import PREPROCESSING, ModelConfig
from trainer.model.convolution import Convolution, max_pool
from trainer.model.normalization import BatchNorm

STAGES = 4
STEM_SIZE = 7
MAX_POOL_SIZE = 3
# The field's value for ResNets; Flax's default of 0.99 is too slow for short fine-tuning.
NORM_MOMENTUM = 0.9


class ConvolutionNorm(nnx.Module):
    """A convolution and its BatchNorm; no activation."""

    def __init__(
        self,
        config: ModelConfig,
        in_dim: int,
        out_dim: int,
        *,
        size: int,
        stride: int,
        rngs: nnx.Rngs,
    ) -> None:
        self.conv = Convolution(
            in_dim, out_dim, size=size, stride=stride, dtype=config.dtype, rngs=rngs
        )
        # Statistics in float32 whatever the convolution computes in: bfloat16 sums lose them.
        self.norm = BatchNorm(
            out_dim,
            use_running_average=True,
            momentum=NORM_MOMENTUM,
            epsilon=config.norm_epsilon,
            dtype=jnp.float32,
            rngs=rngs,
        )

    def __call__(
        self, inputs: Float[Array, "batch y x in"], *, frozen: bool
    ) -> Float[Array, "batch y2 x2 out"]:
        """`frozen`: running statistics, left as they are, even in training mode."""
        features = self.conv(inputs)
        normed: jax.Array = self.norm(features, use_running_average=True if frozen else None)
        return normed.astype(features.dtype)


class ResidualBlock(nnx.Module):
    """relu(branch(x) + shortcut(x)); the branch's layers make it basic or bottleneck."""

    def __init__(
        self, config: ModelConfig, in_dim: int, dim: int, *, stride: int, rngs: nnx.Rngs
    ) -> None:
        out_dim = dim * config.depth.expansion
        if config.depth.bottleneck:
            v1 = config.stride_placement == "v1"
            layers = [
                (1, in_dim, dim, stride if v1 else 1),
                (3, dim, dim, 1 if v1 else stride),
                (1, dim, out_dim, 1),
            ]
        else:
            layers = [(3, in_dim, dim, stride), (3, dim, out_dim, 1)]
        self.branch = nnx.List(
            [
                ConvolutionNorm(config, before, after, size=size, stride=step, rngs=rngs)
                for size, before, after, step in layers
            ]
        )
        self.shortcut = (
            ConvolutionNorm(config, in_dim, out_dim, size=1, stride=stride, rngs=rngs)
            if stride > 1 or in_dim != out_dim
            else None
        )

    def __call__(
        self, inputs: Float[Array, "batch y x in"], *, frozen: bool
    ) -> Float[Array, "batch y2 x2 out"]:
        """Non-negative features; `frozen` as for `ConvolutionNorm`."""
        features = inputs
        *inner, last = self.branch
        for layer in inner:
            features = rectify(layer(features, frozen=frozen))
        features = last(features, frozen=frozen)
        shortcut = inputs if self.shortcut is None else self.shortcut(inputs, frozen=frozen)
        return rectify(features + shortcut)


class ResNet(nnx.Module):
    """The network below the pooling. Made in inference mode: BatchNorm uses running statistics.

    `.train()` makes BatchNorm use and update batch statistics, `.eval()` ends that.
    """

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        self.stem = ConvolutionNorm(config, 3, config.width, size=STEM_SIZE, stride=2, rngs=rngs)
        stages: list[nnx.List[ResidualBlock]] = []
        in_dim = config.width
        for stage, blocks in enumerate(config.depth.blocks):
            dim = config.width * 2**stage
            stages.append(nnx.List([]))
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                stages[-1].append(ResidualBlock(config, in_dim, dim, stride=stride, rngs=rngs))
                in_dim = dim * config.depth.expansion
        self.stages = nnx.List(stages)

    def feature_map(
        self, pixels: UInt8[Array, "batch height width 3"], *, frozen_stages: int = 0
    ) -> Float[Array, "batch y x dim"]:
        """RGB pixels -> non-negative features at 1/32 of the resolution, in the compute type.

        `frozen_stages`: 0 trains everything; n > 0 stops the gradient after stage n, so that the
        stem and the first n stages cost no backward pass and keep their BatchNorm statistics.
        Raises `LookalikeError` for a number outside 0–4.
        """
        if not 0 <= frozen_stages <= STAGES:
            raise LookalikeError(f"frozen_stages is {frozen_stages}; expected 0 to {STAGES}")
        features = rectify(self.stem(preprocess(pixels, self.config), frozen=frozen_stages > 0))
        features = max_pool(features, size=MAX_POOL_SIZE, stride=2)
        for number, stage in enumerate(self.stages, start=1):
            for block in stage:
                features = block(features, frozen=number <= frozen_stages)
            if number == frozen_stages:
                features = jax.lax.stop_gradient(features)
        return features


def preprocess(
    pixels: UInt8[Array, "batch height width 3"], config: ModelConfig
) -> Float[Array, "batch height width 3"]:
    """RGB 0–255 -> what the weights were trained on, float32."""
    how = PREPROCESSING[config.preprocessing]
    mean, deviation = jnp.asarray(how.mean), jnp.asarray(how.deviation)
    normed = (pixels.astype(jnp.float32) - mean) / deviation
    return normed[..., ::-1] if how.bgr else normed
