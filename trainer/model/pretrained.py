"""ImageNet weights of other houses, checked tensor by tensor before one is used.

Keras ResNet-50 as `.npz`; torchvision, timm and Hugging Face ResNets as `.safetensors`.
"""

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from trainer.errors import WeightsError
from trainer.model.config import Architecture, Dtype, ModelConfig, Pooling
from trainer.model.embedder import Embedder
from trainer.model.parameters import check_shapes, from_flat, parameter_shapes, update_flat
from trainer.model.pretrained_names import KERAS, Family, find_family

# A model without a head has the arrays of the backbone only, if its pooling has none.
BACKBONE: dict[str, Any] = {"embedding_dim": None, "pooling": "average"}


def pretrained_config(
    path: Path,
    architecture: Architecture = "resnet50",
    *,
    embedding_dim: int | None = None,
    pooling: Pooling = "average",
    dtype: Dtype = "float32",
) -> ModelConfig:
    """The model that these weights fit: their width, strides, epsilon and preprocessing.

    Raises `WeightsError` for a file that cannot be read, names of no known family, or weights of
    another architecture.
    """
    return _config(
        _read(path), architecture, embedding_dim=embedding_dim, pooling=pooling, dtype=dtype
    )


def load_pretrained(path: Path, model: Embedder) -> Embedder:
    """Overwrites the backbone; the head and the pooling's power stay as they are.

    Returns the same model. Raises `WeightsError` that lists every missing, unexpected and
    misshapen tensor by its name in the file, and for a model that the weights were not made for:
    strides, epsilon or preprocessing other than `pretrained_config` states.
    """
    weights = _read(path)
    theirs = _config(weights, model.config.architecture)
    for field in ("stride_placement", "norm_epsilon", "preprocessing"):
        if (needed := getattr(theirs, field)) != (found := getattr(model.config, field)):
            raise WeightsError(
                f"{path} needs a model with {field} {needed!r}, found {found!r}; "
                "make the model from pretrained_config"
            )
    update_flat(model, _converted(weights, replace(model.config, **BACKBONE)))
    return model


def load_classifier(path: Path, architecture: Architecture = "resnet50") -> Embedder:
    """The network with its own last layer as head: `project` gives the logits of its classes.

    Raises `WeightsError` as `load_pretrained` does, and for a file without a classifier.
    """
    weights = _read(path)
    bias = weights.family.name("head/bias")
    if bias not in weights.tensors:
        raise WeightsError(f"{path} has no classifier: expected a tensor {bias}")
    config = _config(weights, architecture, embedding_dim=weights.tensors[bias].size)
    return from_flat(config, _converted(weights, config))


@dataclass(frozen=True)
class _Weights:
    path: Path
    family: Family
    tensors: dict[str, NDArray[Any]]


def _read(path: Path) -> _Weights:
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                tensors = dict(archive)
        elif path.suffix == ".safetensors":
            tensors = load_file(path)
        else:
            raise WeightsError(f"{path}: expected a .npz (Keras) or .safetensors file")
    except (OSError, ValueError, zipfile.BadZipFile, SafetensorError) as error:
        raise WeightsError(f"{path} cannot be read as weights: {error}") from error
    # transformers saves a bare ResNetModel without the prefix that its classifier gives it.
    if "embedder.embedder.convolution.weight" in tensors:
        tensors = {f"resnet.{name}": tensor for name, tensor in tensors.items()}
    if (family := find_family(tensors)) is None:
        raise WeightsError(
            f"{path}: the names are of no ResNet that we know (Keras, torchvision, timm, Hugging "
            f"Face); the first are {', '.join(sorted(tensors)[:5])}"
        )
    return _Weights(path, family, tensors)


def _config(weights: _Weights, architecture: Architecture, **choices: Any) -> ModelConfig:
    family = weights.family
    stem = weights.tensors[family.name("stem/conv/kernel")]
    config = ModelConfig(
        architecture=architecture,
        stride_placement=family.stride_placement,
        width=stem.shape[0 if family.channels_first else -1],
        norm_epsilon=family.norm_epsilon,
        preprocessing=family.preprocessing,
        **(BACKBONE | choices),
    )
    if not _is_whole(weights, config):
        others = [
            other
            for other in get_args(Architecture)
            if _is_whole(weights, replace(config, architecture=other))
        ]
        if others:
            raise WeightsError(
                f"{weights.path} holds {' or '.join(others)}, asked for was {architecture}"
            )
    return config


def _is_whole(weights: _Weights, config: ModelConfig) -> bool:
    """Whether the file has all layers of the architecture, and no others."""
    found = {name for name in weights.tensors if not _is_extra(name, weights.family)}
    return found == _expected(weights.family, replace(config, **BACKBONE)).keys()


def _expected(family: Family, config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Their names and shapes of everything that the configured model takes from the file."""
    expected = {
        family.name(name): family.shape(shape) for name, shape in parameter_shapes(config).items()
    }
    if family is KERAS:
        expected |= {
            f"{name.removesuffix('/kernel')}/bias": shape[-1:]
            for name, shape in expected.items()
            if name.endswith("/kernel")
        }
    return expected


def _is_extra(name: str, family: Family) -> bool:
    """Whether a tensor is no part of the backbone, rightly."""
    return name.startswith(family.classifier) or name.endswith(family.ignored)


def _converted(weights: _Weights, config: ModelConfig) -> dict[str, NDArray[np.float32]]:
    """The file's tensors under our names and in our layout."""
    family, tensors = weights.family, weights.tensors
    expected = _expected(family, config)
    found = {
        name: tensor.shape
        for name, tensor in tensors.items()
        if name in expected or not _is_extra(name, family)
    }
    check_shapes(expected, found, source=f"{weights.path} ({family.title} names)")
    flat = {}
    for name in parameter_shapes(config):
        value = tensors[family.name(name)].astype(np.float32)
        if family.channels_first and value.ndim > 1:
            value = np.moveaxis(value, (1, 0), (-2, -1))
        if family is KERAS and name.endswith("norm/mean"):
            # BatchNorm(x + bias) with mean m is BatchNorm(x) with mean m − bias.
            value = value - tensors[family.name(name.replace("norm/mean", "conv/bias"))]
        flat[name] = value
    return flat
