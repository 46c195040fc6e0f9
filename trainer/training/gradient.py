"""The loss of a batch and its gradient, in one pass or in parts that fit the device.

The gradient goes by way of the embeddings: dL/dθ = Σᵢ (∂L/∂eᵢ) · (∂eᵢ/∂θ). Only the loss needs all
embeddings at once; the network's part can be computed for some photos after others, embedding them
a second time instead of keeping what the first pass left. Gao, Zhang, Han, Callan: Scaling Deep
Contrastive Learning Batch Size under Memory Limited Setup, RepL4NLP 2021, section 3.
https://arxiv.org/abs/2101.06983
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int32, UInt8

from trainer.errors import TrainingError
from trainer.losses.references import References
from trainer.losses.registry import loss_function, needs_proxies
from trainer.model.config import ModelConfig
from trainer.model.parameters import from_flat, to_flat
from trainer.training.experiment import Experiment
from trainer.training.optimizer import PROXIES
from trainer.training.state import Arrays

Pixels = UInt8[Array, "batch side side 3"]
Labels = Int32[Array, " batch"]
Embeddings = Float[Array, "batch dim"]
# Embeddings; BatchNorm's statistics after them; from their gradient to that of the parameters.
_Embedded = tuple[Embeddings, Arrays, Callable[[Embeddings], Arrays]]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Evaluated:
    """What one batch gave."""

    loss: Float[Array, ""]
    embeddings: Embeddings
    embedding_gradient: Embeddings
    """∂L/∂e: a row of zeros is a photo that the loss does not move."""
    statistics: Arrays
    """BatchNorm's, after this batch."""
    gradient: Arrays
    """Of all parameters, by name."""


def check_loss(experiment: Experiment) -> None:
    """Refuse, before photos are read, what cannot be trained.

    Raises:
        LookalikeError: the loss has no such option.
        TrainingError: a memory for a loss that compares with its proxies alone, or proxies' centres
            for one that has none.
    """
    loss_function(experiment.loss, experiment.loss_options)
    proxies = needs_proxies(experiment.loss)
    if proxies and experiment.memory_size:
        raise TrainingError(
            f"The loss {experiment.loss} compares with its proxies alone: expected no "
            f"--memory-size; found {experiment.memory_size}."
        )
    if not proxies and experiment.centres_per_class > 1:
        raise TrainingError(
            f"The loss {experiment.loss} has no proxies: expected no --centres-per-class; found "
            f"{experiment.centres_per_class}."
        )


def make_loss_and_gradient(
    experiment: Experiment, config: ModelConfig
) -> Callable[[Arrays, Arrays, References | None, Pixels, Labels], Evaluated]:
    """Return `(parameters, statistics, memory, pixels, labels) -> Evaluated`, to be jitted.

    Raises:
        LookalikeError: the loss has no such option.
    """
    loss_of = loss_function(experiment.loss, experiment.loss_options)

    def embed(network: Arrays, statistics: Arrays, pixels: Pixels) -> tuple[Embeddings, Arrays]:
        model = from_flat(config, {**network, **statistics})
        if experiment.trains_batch_norm:
            model.train()  # type: ignore[no-untyped-call]
        embeddings = model(pixels, frozen_stages=experiment.frozen_stages)
        updated = to_flat(model)
        return embeddings, {name: updated[name] for name in statistics}

    def at_once(network: Arrays, statistics: Arrays, pixels: Pixels) -> _Embedded:
        embeddings, pull_back, updated = jax.vjp(
            lambda network: embed(network, statistics, pixels), network, has_aux=True
        )
        return embeddings, updated, lambda gradient: pull_back(gradient)[0]

    def in_parts(network: Arrays, statistics: Arrays, pixels: Pixels) -> _Embedded:
        parts = _divided(pixels, experiment.gradient_chunks)

        def pull_back(gradient: Embeddings) -> Arrays:
            def add(total: Arrays, part: tuple[Pixels, Embeddings]) -> tuple[Arrays, None]:
                pixels, gradient = part
                pull = jax.vjp(lambda network: embed(network, statistics, pixels)[0], network)[1]
                return jax.tree.map(jnp.add, total, pull(gradient)[0]), None

            zero = jax.tree.map(jnp.zeros_like, network)
            chunks = parts, _divided(gradient, experiment.gradient_chunks)
            total: Arrays = lax.scan(add, zero, chunks)[0]
            return total

        embeddings = lax.map(lambda part: embed(network, statistics, part)[0], parts)
        return _joined(embeddings), statistics, pull_back

    embedded = at_once if experiment.gradient_chunks == 1 else in_parts

    def evaluate(
        parameters: Arrays,
        statistics: Arrays,
        memory: References | None,
        pixels: Pixels,
        labels: Labels,
    ) -> Evaluated:
        network = {name: value for name, value in parameters.items() if name != PROXIES}
        proxies = parameters.get(PROXIES)
        embeddings, statistics, pull_back = embedded(network, statistics, pixels)

        def loss(embeddings: Embeddings, proxies: Array | None) -> Float[Array, ""]:
            references = memory if proxies is None else _as_references(proxies, experiment)
            return loss_of(embeddings, labels, references)

        value, (by_embedding, by_proxy) = jax.value_and_grad(loss, argnums=(0, 1))(
            embeddings, proxies
        )
        gradient = dict(pull_back(by_embedding))
        if by_proxy is not None:
            gradient[PROXIES] = by_proxy
        return Evaluated(value, embeddings, by_embedding, statistics, gradient)

    return evaluate


def _as_references(proxies: Float[Array, "rows dim"], experiment: Experiment) -> References:
    rows = jnp.arange(len(proxies))
    return References(proxies, rows // experiment.centres_per_class, jnp.ones_like(rows, bool))


def _divided(rows: Array, parts: int) -> Array:
    """[batch, …] -> [parts, batch / parts, …], each with rows of every device that can share it."""
    divided: Array = jnp.moveaxis(rows.reshape(-1, parts, *rows.shape[1:]), 1, 0)
    return divided


def _joined(parts: Array) -> Array:
    """The inverse of `_divided`."""
    rows: Array = jnp.moveaxis(parts, 0, 1)
    joined: Array = rows.reshape(-1, *rows.shape[2:])
    return joined
