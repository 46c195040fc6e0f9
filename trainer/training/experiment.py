"""Every hyperparameter of a training run: its name, its default, what it does."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from math import inf, nextafter
from pathlib import Path
from typing import Any, Literal, get_args

from trainer.data.augmentation import Augmentation
from trainer.errors import TrainingError
from trainer.model.config import Architecture, Dtype, Pooling

BatchNorm = Literal["auto", "frozen", "train"]
# The names of trainer/losses, written out: reading a command line must not import JAX.
LossName = Literal[
    "multi_similarity",
    "contrastive",
    "triplet_batch_hard",
    "triplet_semi_hard",
    "n_pair",
    "nt_xent",
    "supcon",
    "proxy_anchor",
    "proxy_nca",
    "arcface",
    "circle",
    "smooth_ap",
    "recall_at_k",
]


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What a run trains and how. Together with the catalogue it determines the result.

    Raises:
        TrainingError: a value is out of range; the message lists all that are.
    """

    architecture: Architecture = "resnet50"
    """The residual network."""
    weights: Path | None = None
    """Pretrained weights, .npz (Keras) or .safetensors; without them training starts at random."""
    width: int = 64
    """Channels after the stem; 64 in the published networks. Pretrained weights bring their own."""
    embedding_dim: int = 512
    """Length of the vector that the trained head gives; 0 trains the pooled features themselves."""
    pooling: Pooling = "average"
    """How positions become one vector: their mean, or generalised mean with a trained power."""
    dtype: Dtype = "float32"
    """What convolutions compute in; parameters and loss are float32 always."""
    image_size: int = 128
    """Side of the square photos that the network sees, in pixels."""

    steps: int = 1000
    """Batches to train on; 0 keeps the weights as they are: pooled features, no head."""
    holdout: float = 0.5
    """Fraction of the products kept unseen for evaluation, where the catalogue names no split."""
    products_per_batch: int = 16
    """P: products in each batch."""
    photos_per_product: int = 4
    """K: photos of each of these products in each batch."""
    seed: int = 0
    """Decides the split, the initial weights, the order of batches and their augmentation."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    """Random changes to training photos."""

    learning_rate: float = 1e-4
    """AdamW's highest learning rate: reached after the warm-up, then lowered to 0 by a cosine."""
    warmup_steps: int = 50
    """Steps of linear rise to the highest learning rate; at most half of all steps are used."""
    head_learning_rate_factor: float = 10.0
    """The new embedding head learns this much faster than pretrained layers."""
    proxy_learning_rate_factor: float = 100.0
    """A loss's proxies, where it has any, learn this much faster than pretrained layers."""
    weight_decay: float = 1e-4
    """AdamW's decoupled decay, of kernels and proxies only: neither biases nor BatchNorm."""
    clip_norm: float = 10.0
    """Gradients are scaled down to this norm, over all parameters together."""
    batch_norm: BatchNorm = "auto"
    """Use the stored statistics (frozen) or the batch's (train); auto freezes pretrained ones."""
    frozen_stages: int = 0
    """Leave the stem and this many of the four stages as they are; 0 trains the stem too."""

    loss: LossName = "multi_similarity"
    """What is minimised; each is described, with its options, in trainer/losses."""
    loss_options: dict[str, float | int | None] = field(default_factory=dict)
    """The loss's options that differ from its paper's, as: alpha 2.0 epsilon 0.1."""
    centres_per_class: int = 1
    """Proxies of each product, for losses that learn proxies: above 1, sub-centres."""
    memory_size: int = 0
    """Embeddings of earlier batches that each photo is compared with as well (XBM); 0: none."""
    memory_warmup_steps: int = 1000
    """Steps before the memory counts, at most half of all: early embeddings go stale too fast."""
    gradient_chunks: int = 1
    """Embed each batch in this many parts, so that a large one fits; the gradient is the same."""
    average_decay: float = 0.0
    """Evaluate and serve a moving average of the weights that forgets slowly, as 0.999; 0: none."""

    checkpoint_every: int = 100
    """Steps between checkpoints: what an interruption loses at most."""
    log_every: int = 10
    """Steps between points of the logged curves."""

    def __post_init__(self) -> None:
        choices = {
            "architecture": Architecture,
            "pooling": Pooling,
            "dtype": Dtype,
            "batch_norm": BatchNorm,
            "loss": LossName,
        }
        problems = [
            f"{name}: expected one of {', '.join(get_args(choice))}; found {getattr(self, name)!r}"
            for name, choice in choices.items()
            if getattr(self, name) not in get_args(choice)
        ]
        tiny, below_one = nextafter(0, 1), nextafter(1, 0)
        ranges: tuple[tuple[str, float, float, str], ...] = (
            ("at least 1", 1, inf, "width products_per_batch checkpoint_every log_every"),
            ("at least 1", 1, inf, "gradient_chunks centres_per_class"),
            ("at least 2", 2, inf, "photos_per_product"),
            ("at least 32", 32, inf, "image_size"),
            ("at least 0", 0, inf, "steps warmup_steps seed embedding_dim weight_decay"),
            ("at least 0", 0, inf, "memory_size memory_warmup_steps"),
            ("0 to 4", 0, 4, "frozen_stages"),
            ("at least 0 and below 1", 0, below_one, "holdout average_decay"),
            ("above 0", tiny, inf, "learning_rate head_learning_rate_factor"),
            ("above 0", tiny, inf, "clip_norm proxy_learning_rate_factor"),
        )
        problems += [
            f"{name}: expected {expected}; found {getattr(self, name)}"
            for expected, lowest, highest, names in ranges
            for name in names.split()
            if not lowest <= getattr(self, name) <= highest
        ]
        if self.batch_size % self.gradient_chunks:
            problems.append(
                f"gradient_chunks: expected a divisor of the batch's {self.batch_size} photos; "
                f"found {self.gradient_chunks}"
            )
        if self.gradient_chunks > 1 and self.trains_batch_norm:
            problems.append(
                "gradient_chunks: expected batch_norm frozen, for a part's statistics are not the "
                "batch's; found that it trains"
            )
        if problems:
            raise TrainingError("This experiment cannot run.\n  " + "\n  ".join(problems))

    @property
    def batch_size(self) -> int:
        """P × K photos."""
        return self.products_per_batch * self.photos_per_product

    @property
    def memory_from_step(self) -> int:
        """The first step in which the cross-batch memory counts."""
        return min(self.memory_warmup_steps, self.steps // 2)

    @property
    def trains_batch_norm(self) -> bool:
        """Whether BatchNorm uses and updates the statistics of training batches."""
        return self.batch_norm == "train" or (self.batch_norm == "auto" and self.weights is None)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON's own types; the weights as their path and the SHA-256 of their content.

        Raises:
            TrainingError: there is no such weights file.
        """
        values = asdict(self)
        if self.weights is not None:
            values["weights"] = {"path": str(self.weights), "sha256": _sha256(self.weights)}
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Experiment":
        """Return the experiment that `to_dict` wrote; the weights file need not exist any more.

        Raises:
            TrainingError: a field is unknown, or a value is out of range.
        """
        known = {item.name for item in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise TrainingError(
                f"Unknown in an experiment: {', '.join(unknown)}. Expected among: "
                f"{', '.join(sorted(known))}. Was it written by another version?"
            )
        given = dict(values)
        if given.get("weights") is not None:
            given["weights"] = Path(given["weights"]["path"])
        if "augmentation" in given:
            given["augmentation"] = _augmentation(given["augmentation"])
        return cls(**given)

    def differences(self, stored: Mapping[str, Any]) -> list[str]:
        """Compare with what `to_dict` gave earlier, field by field.

        Returns:
            One line for each field that differs: "learning_rate: 0.0001 in the run, 0.001 asked".
            Weights are compared by content, so that the file may move.
        """
        asked = _flat(self.to_dict())
        held = _flat(stored)
        default = "its default"
        return [
            f"{name}: {held.get(name, default)} in the run, {asked.get(name, default)} asked"
            for name in dict.fromkeys((*asked, *held))
            if name != "weights.path" and asked.get(name, default) != held.get(name, default)
        ]


def _augmentation(values: Mapping[str, Any]) -> Augmentation:
    """Rebuild the nested dataclass; JSON has turned its ranges into lists."""
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return Augmentation(**given)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            # JSON has no tuples: what was read back holds lists.
            flat[prefix + name] = list(value) if isinstance(value, tuple) else value
    return flat


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise TrainingError(
            f"Expected pretrained weights at {path}; found none ({error.strerror}). "
            "Give the file with --weights, or leave it out to start at random."
        ) from error
