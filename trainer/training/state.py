"""Everything that a training step changes, in one tree."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int32

from trainer.losses.memory import Memory, empty_memory
from trainer.losses.proxies import initial_proxies
from trainer.losses.registry import needs_proxies
from trainer.model.config import ModelConfig
from trainer.model.parameters import parameter_shapes
from trainer.training.experiment import Experiment
from trainer.training.optimizer import PROXIES, make_optimizer

MODEL, AVERAGE = "model", "average"
_LOSS, _TRAINING, _MEMORY = "loss", "training", "memory"
ITEMS = (MODEL, AVERAGE, _LOSS, _TRAINING)
"""Parts of a checkpoint of which each may be read without the others."""

Arrays = Mapping[str, Float[Array, "..."]]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrainState:
    """What a checkpoint holds: with the experiment and the catalogue it determines all that comes.

    Batches and their augmentation are functions of the seed and the step: nothing of them is kept.
    """

    step: Int32[Array, ""]
    """Batches learned from."""
    parameters: Arrays
    """The network's by name, float32; and the loss's proxies, where it has any."""
    statistics: Arrays
    """BatchNorm's running means and variances by name, float32."""
    optimizer: optax.OptState
    """Moments and counts."""
    average: Arrays
    """Moving average of the network's parameters and statistics; empty where none is asked for."""
    memory: Memory | None
    """Embeddings of earlier batches; None where none is asked for."""

    @property
    def arrays(self) -> dict[str, Array]:
        """The network's, as `trainer.model.parameters.from_flat` takes them."""
        network = {name: value for name, value in self.parameters.items() if name != PROXIES}
        return {**network, **self.statistics}

    def items(self) -> dict[str, Any]:
        """Return the state as trees of plain dicts, by the names that checkpoints keep them under.

        model: parameters and statistics of the network, by name; average: likewise; loss: proxies
        and memory; training: step and moments. Empty ones are left out.
        """
        loss: dict[str, Any] = {}
        if PROXIES in self.parameters:
            loss[PROXIES] = self.parameters[PROXIES]
        if self.memory is not None:
            loss[_MEMORY] = vars(self.memory)
        items = {
            MODEL: self.arrays,
            AVERAGE: dict(self.average),
            _LOSS: loss,
            _TRAINING: {"step": self.step, "optimizer": self.optimizer},
        }
        return {name: item for name, item in items.items() if item}

    @classmethod
    def from_items(cls, items: Mapping[str, Any]) -> "TrainState":
        """Return the state that `items` was made of."""
        parameters, statistics = split_arrays(items[MODEL])
        loss = dict(items.get(_LOSS, {}))
        memory = loss.pop(_MEMORY, None)
        return cls(
            step=items[_TRAINING]["step"],
            parameters={**parameters, **loss},
            statistics=statistics,
            optimizer=items[_TRAINING]["optimizer"],
            average=items.get(AVERAGE, {}),
            memory=None if memory is None else Memory(**memory),
        )


def initial_state(
    experiment: Experiment, config: ModelConfig, arrays: Arrays, classes: int
) -> TrainState:
    """Start from a network's arrays, and nothing learned yet.

    Args:
        experiment: what is trained.
        config: the network.
        arrays: as `trainer.model.parameters.to_flat` gives them.
        classes: products that are trained on, for losses that learn a proxy of each; 0 makes none.
    """
    parameters, statistics = split_arrays(arrays)
    if classes and needs_proxies(experiment.loss):
        parameters[PROXIES] = initial_proxies(
            classes,
            config.output_dim,
            seed=experiment.seed,
            centres_per_class=experiment.centres_per_class,
        ).embeddings
    return TrainState(
        step=jnp.asarray(0, jnp.int32),
        parameters=parameters,
        statistics=statistics,
        optimizer=make_optimizer(experiment).init(parameters),
        average=jax.tree.map(jnp.copy, dict(arrays)) if experiment.average_decay else {},
        memory=empty_memory(experiment.memory_size, config.output_dim)
        if experiment.memory_size
        else None,
    )


def abstract_items(
    experiment: Experiment, config: ModelConfig, classes: int, placement: jax.sharding.Sharding
) -> dict[str, Any]:
    """Return what `TrainState.items` gives as shapes, types and placement, without any array."""
    arrays = {
        name: jax.ShapeDtypeStruct(shape, jnp.float32)  # type: ignore[no-untyped-call]
        for name, shape in parameter_shapes(config).items()
    }
    items: dict[str, Any] = jax.eval_shape(
        lambda arrays: initial_state(experiment, config, arrays, classes).items(), arrays
    )
    placed: dict[str, Any] = jax.tree.map(
        lambda found: jax.ShapeDtypeStruct(  # type: ignore[no-untyped-call]
            found.shape, found.dtype, sharding=placement
        ),
        items,
    )
    return placed


def split_arrays[T](arrays: Mapping[str, T]) -> tuple[dict[str, T], dict[str, T]]:
    """Divide a model's arrays by name: what gradients change, and BatchNorm's statistics."""
    statistics = {name for name in arrays if name.endswith(("/norm/mean", "/norm/var"))}
    return (
        {name: value for name, value in arrays.items() if name not in statistics},
        {name: value for name, value in arrays.items() if name in statistics},
    )
