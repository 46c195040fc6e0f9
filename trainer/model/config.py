"""What decides the network: one frozen record, stored beside every checkpoint."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from trainer.errors import LookalikeError

Architecture = Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
StridePlacement = Literal["v1", "v1.5"]
Pooling = Literal["average", "gem"]
Dtype = Literal["float32", "bfloat16"]
PreprocessingName = Literal["imagenet", "keras_bgr"]


@dataclass(frozen=True)
class Depth:
    """Residual blocks of one ResNet (He et al., CVPR 2016, table 1)."""

    blocks: tuple[int, int, int, int]
    """Blocks in each of the four stages."""
    bottleneck: bool
    """1×1, 3×3, 1×1 with four times the channels at the end; else two 3×3."""

    @property
    def expansion(self) -> int:
        """Output channels of a block per channel of its 3×3 convolutions."""
        return 4 if self.bottleneck else 1


DEPTHS: Mapping[str, Depth] = {
    "resnet18": Depth((2, 2, 2, 2), bottleneck=False),
    "resnet34": Depth((3, 4, 6, 3), bottleneck=False),
    "resnet50": Depth((3, 4, 6, 3), bottleneck=True),
    "resnet101": Depth((3, 4, 23, 3), bottleneck=True),
    "resnet152": Depth((3, 8, 36, 3), bottleneck=True),
}


@dataclass(frozen=True)
class Preprocessing:
    """(pixels − mean) / deviation per channel, in RGB order and the range 0–255."""

    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    bgr: bool
    """Whether the network takes its channels in the order blue, green, red."""


PREPROCESSING: Mapping[str, Preprocessing] = {
    "imagenet": Preprocessing((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), bgr=False),
    "keras_bgr": Preprocessing((123.68, 116.779, 103.939), (1.0, 1.0, 1.0), bgr=True),
}


@dataclass(frozen=True)
class ModelConfig:
    """Everything needed to build the network; the weights are then a dict of named arrays.

    Raises `LookalikeError` for a number outside its range.
    """

    architecture: Architecture = "resnet50"
    """Depth and kind of block."""
    stride_placement: StridePlacement = "v1.5"
    """Where a bottleneck halves the resolution: v1 in its first 1×1, v1.5 in its 3×3."""
    width: int = 64
    """Channels of the stem; stage n has 2ⁿ times as many, n from 0, times the block's expansion."""
    embedding_dim: int | None = 512
    """Values in an embedding; None or 0: no head, the pooled features themselves."""
    pooling: Pooling = "average"
    """How a feature map becomes one vector; gem: generalised mean with a learned power."""
    norm_epsilon: float = 1e-5
    """Added to BatchNorm's variance."""
    preprocessing: PreprocessingName = "imagenet"
    """What is done to the pixels before the first convolution."""
    dtype: Dtype = "float32"
    """What the convolutions compute in; parameters, BatchNorm and the output are float32."""

    def __post_init__(self) -> None:
        if self.width < 1:
            raise LookalikeError(f"width is {self.width}; expected at least 1 channel")
        if self.embedding_dim is not None and self.embedding_dim < 0:
            raise LookalikeError(
                f"embedding_dim is {self.embedding_dim}; expected 1 or more, or 0 for no head"
            )
        if self.norm_epsilon <= 0:
            raise LookalikeError(f"norm_epsilon is {self.norm_epsilon}; expected more than 0")

    @property
    def depth(self) -> Depth:
        """Blocks per stage and their kind."""
        return DEPTHS[self.architecture]

    @property
    def feature_dim(self) -> int:
        """Channels of the last feature map."""
        return self.width * 8 * self.depth.expansion

    @property
    def output_dim(self) -> int:
        """Values in the vector that the model returns."""
        return self.embedding_dim or self.feature_dim

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ModelConfig":
        """The inverse of `to_dict`.

        Raises `LookalikeError` for an unknown name or choice, and lists the known.
        """
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(values) - set(known)):
            raise LookalikeError(
                f"unknown model settings {', '.join(unknown)}; known are {', '.join(known)}"
            )
        for name, choices in (
            ("architecture", get_args(Architecture)),
            ("stride_placement", get_args(StridePlacement)),
            ("pooling", get_args(Pooling)),
            ("preprocessing", get_args(PreprocessingName)),
            ("dtype", get_args(Dtype)),
        ):
            if name in values and (value := values[name]) not in choices:
                raise LookalikeError(f"{name} is {value!r}; expected one of {', '.join(choices)}")
        return cls(**values)
