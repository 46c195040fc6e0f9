"""What the publishers of ResNet weights call the model's arrays, and how they lay them out."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from trainer.model.config import PreprocessingName, StridePlacement


@dataclass(frozen=True)
class Family:
    """One way of naming. A layer is known here by its path in the model, as in `parameters`."""

    title: str
    layer: Callable[[str], tuple[str, str]]
    """Path of a layer -> their names of its convolution and of its BatchNorm."""
    fields: Mapping[str, str]
    """Our field of a layer, such as `norm/mean` -> the end of their name."""
    classifier: str
    """The start of their names of the last linear layer."""
    channels_first: bool
    """Kernels are OIHW and matrices [out, in], as in PyTorch; else as in Flax."""
    stride_placement: StridePlacement
    norm_epsilon: float
    preprocessing: PreprocessingName
    ignored: tuple[str, ...] = ()
    """Ends of names that carry no weights."""

    def name(self, ours: str) -> str:
        """Their name of ours: `stages/0/1/branch/2/norm/mean` -> `layer1.1.bn3.running_mean`."""
        if ours.startswith("head/"):
            return self.classifier + self.fields[ours.replace("head", "conv")]
        path, module, field = ours.rsplit("/", 2)
        convolution, norm = self.layer(path)
        return (norm if module == "norm" else convolution) + self.fields[f"{module}/{field}"]

    def shape(self, ours: tuple[int, ...]) -> tuple[int, ...]:
        """Their shape of an array that has this shape in the model."""
        if not self.channels_first or len(ours) < 2:
            return ours
        *window, in_dim, out_dim = ours
        return (out_dim, in_dim, *window)


KERAS_FIELDS = MappingProxyType(
    {
        "conv/kernel": "/kernel",
        "conv/bias": "/bias",
        "norm/scale": "/gamma",
        "norm/bias": "/beta",
        "norm/mean": "/moving_mean",
        "norm/var": "/moving_variance",
    }
)
TORCH_FIELDS = MappingProxyType(
    {
        "conv/kernel": ".weight",
        "conv/bias": ".bias",
        "norm/scale": ".weight",
        "norm/bias": ".bias",
        "norm/mean": ".running_mean",
        "norm/var": ".running_var",
    }
)


def _keras_layer(path: str) -> tuple[str, str]:
    if path == "stem":
        return "conv1", "bn_conv1"
    stage, block, part = _place(path)
    branch = "1" if part is None else "2" + "abc"[part]
    place = f"{stage + 2}{chr(ord('a') + block)}_branch{branch}"
    return f"res{place}", f"bn{place}"


def _torchvision_layer(path: str) -> tuple[str, str]:
    if path == "stem":
        return "conv1", "bn1"
    stage, block, part = _place(path)
    place = f"layer{stage + 1}.{block}"
    if part is None:
        return f"{place}.downsample.0", f"{place}.downsample.1"
    return f"{place}.conv{part + 1}", f"{place}.bn{part + 1}"


def _hugging_face_layer(path: str) -> tuple[str, str]:
    if path == "stem":
        place = "resnet.embedder.embedder"
    else:
        stage, block, part = _place(path)
        inner = "shortcut" if part is None else f"layer.{part}"
        place = f"resnet.encoder.stages.{stage}.layers.{block}.{inner}"
    return f"{place}.convolution", f"{place}.normalization"


def _place(path: str) -> tuple[int, int, int | None]:
    """`stages/1/2/branch/0` -> (1, 2, 0); `stages/1/2/shortcut` -> (1, 2, None)."""
    _, stage, block, *part = path.split("/")
    return int(stage), int(block), None if part == ["shortcut"] else int(part[1])


KERAS = Family(
    title="Keras",
    layer=_keras_layer,
    fields=KERAS_FIELDS,
    classifier="fc1000",
    channels_first=False,
    stride_placement="v1",
    norm_epsilon=1e-3,
    preprocessing="keras_bgr",
)
TORCHVISION = Family(
    title="torchvision or timm",
    layer=_torchvision_layer,
    fields=TORCH_FIELDS,
    classifier="fc",
    channels_first=True,
    stride_placement="v1.5",
    norm_epsilon=1e-5,
    preprocessing="imagenet",
    ignored=(".num_batches_tracked",),
)
HUGGING_FACE = Family(
    title="Hugging Face",
    layer=_hugging_face_layer,
    fields=TORCH_FIELDS,
    classifier="classifier.1",
    channels_first=True,
    stride_placement="v1.5",
    norm_epsilon=1e-5,
    preprocessing="imagenet",
    ignored=(".num_batches_tracked",),
)
FAMILIES = (KERAS, TORCHVISION, HUGGING_FACE)


def find_family(names: Collection[str]) -> Family | None:
    """The family whose first convolution is among the names."""
    stem = "stem/conv/kernel"
    return next((family for family in FAMILIES if family.name(stem) in names), None)
