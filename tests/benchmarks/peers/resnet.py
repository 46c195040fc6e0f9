"""A plain ResNet embedder in PyTorch, by torchvision's names: that package is not here.

v1.5: a bottleneck halves the resolution in its 3×3 convolution; v1: in its first 1×1.
"""

import torch
from torch import nn
from torch.nn import functional

BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}
MEAN = (123.675, 116.28, 103.53)
DEVIATION = (58.395, 57.12, 57.375)


class Block(nn.Module):
    def __init__(self, in_dim: int, dim: int, stride: int, *, bottleneck: bool, v1: bool):
        super().__init__()
        out_dim = 4 * dim if bottleneck else dim
        layers = (
            [
                (1, in_dim, dim, stride if v1 else 1),
                (3, dim, dim, 1 if v1 else stride),
                (1, dim, out_dim, 1),
            ]
            if bottleneck
            else [(3, in_dim, dim, stride), (3, dim, out_dim, 1)]
        )
        self.number = len(layers)
        for place, (size, before, after, step) in enumerate(layers, start=1):
            conv = nn.Conv2d(before, after, size, step, size // 2, bias=False)
            self.add_module(f"conv{place}", conv)
            self.add_module(f"bn{place}", nn.BatchNorm2d(after))
        self.downsample = None
        if stride > 1 or in_dim != out_dim:
            conv = nn.Conv2d(in_dim, out_dim, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(out_dim))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        features = inputs
        for place in range(1, self.number + 1):
            conv, norm = getattr(self, f"conv{place}"), getattr(self, f"bn{place}")
            features = norm(conv(features))
            if place < self.number:
                features = functional.relu(features, inplace=True)
        shortcut = inputs if self.downsample is None else self.downsample(inputs)
        return functional.relu(features + shortcut, inplace=True)


class Embedder(nn.Module):
    def __init__(self, architecture: str, width: int, embedding_dim: int, *, v1: bool = False):
        super().__init__()
        bottleneck = architecture == "resnet50"
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        in_dim = width
        for stage, blocks in enumerate(BLOCKS[architecture]):
            dim, made = width * 2**stage, []
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                made.append(Block(in_dim, dim, stride, bottleneck=bottleneck, v1=v1))
                in_dim = 4 * dim if bottleneck else dim
            self.add_module(f"layer{stage + 1}", nn.Sequential(*made))
        self.fc = nn.Linear(in_dim, embedding_dim)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer(
            "deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1), persistent=False
        )

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 [batch, 3, side, side] -> rows of length 1; of a channels_last batch, as fast."""
        features = (pixels.float() - self.mean) / self.deviation
        features = functional.relu(self.bn1(self.conv1(features)), inplace=True)
        features = functional.max_pool2d(features, 3, 2, 1)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            features = stage(features)
        return functional.normalize(self.fc(features.mean((2, 3))))


def parameter_groups(
    model: Embedder, rate: float, head_factor: float, weight_decay: float
) -> list[dict[str, object]]:
    """AdamW's groups as the trainer has them: a faster head, decay for kernels alone."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        groups.setdefault((name.startswith("fc"), parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": rate * (head_factor if head else 1.0),
            "weight_decay": weight_decay if kernel else 0.0,
        }
        for (head, kernel), parameters in groups.items()
    ]
