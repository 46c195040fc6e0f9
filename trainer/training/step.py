"""One step of training as one compiled program: photos in, slightly better parameters out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int32, UInt8

from trainer.losses.multi_similarity import multi_similarity_loss
from trainer.model.config import ModelConfig
from trainer.model.parameters import from_flat, to_flat
from trainer.training.experiment import Experiment
from trainer.training.optimizer import learning_rate_schedule, make_optimizer

Arrays = Mapping[str, Float[Array, "..."]]
Pixels = UInt8[Array, "batch side side 3"]
Labels = Int32[Array, " batch"]
StepNumber = Int32[Array, ""]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrainState:
    """Everything that a step changes."""

    step: StepNumber
    """Batches learned from."""
    parameters: Arrays
    """By name, float32."""
    statistics: Arrays
    """BatchNorm's running means and variances by name, float32."""
    optimizer: optax.OptState
    """Moments and counts."""

    @property
    def arrays(self) -> dict[str, Array]:
        """Parameters and statistics, as `trainer.model.parameters.from_flat` takes them."""
        return {**self.parameters, **self.statistics}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class StepMetrics:
    """What a step reports: scalars, still on the device."""

    step: StepNumber
    """Batches learned from by now; behind the loop's count once a step was refused."""
    loss: Float[Array, ""]
    """Of the batch, before the update."""
    gradient_norm: Float[Array, ""]
    """Over all parameters, before clipping."""
    learning_rate: Float[Array, ""]
    """The backbone's."""
    positive_similarity: Float[Array, ""]
    """Mean cosine of the batch's pairs of one product."""
    negative_similarity: Float[Array, ""]
    """Mean cosine of the batch's pairs of different products."""


# The loss; BatchNorm's new statistics; mean similarity of positive and of negative pairs.
LossAndRest = tuple[Float[Array, ""], tuple[Arrays, tuple[Float[Array, ""], Float[Array, ""]]]]
LossAndGradient = Callable[[Arrays, Arrays, Pixels, Labels], tuple[LossAndRest, Arrays]]
TrainingStep = Callable[[TrainState, StepNumber, Pixels, Labels], tuple[TrainState, StepMetrics]]


def initial_state(experiment: Experiment, arrays: Arrays) -> TrainState:
    """Start from a model's arrays, as `to_flat` gives them, and empty moments."""
    parameters, statistics = split_arrays(arrays)
    return TrainState(
        step=jnp.asarray(0, jnp.int32),
        parameters=parameters,
        statistics=statistics,
        optimizer=make_optimizer(experiment).init(parameters),
    )


def split_arrays[T](arrays: Mapping[str, T]) -> tuple[dict[str, T], dict[str, T]]:
    """Divide a model's arrays by name: what gradients change, and BatchNorm's statistics."""
    statistics = {name for name in arrays if name.endswith(("/norm/mean", "/norm/var"))}
    return (
        {name: value for name, value in arrays.items() if name not in statistics},
        {name: value for name, value in arrays.items() if name in statistics},
    )


def make_step(experiment: Experiment, config: ModelConfig) -> TrainingStep:
    """Compile `(state, number, pixels, labels) -> (state, metrics)`; the given state is consumed.

    A step whose loss, gradient or update is not finite leaves the state as it was, and so does
    every later one: a step applies only to the state that it follows, `state.step == number`. The
    loop may therefore look at the metrics long after, and the state is still the last good one.
    """
    optimizer = make_optimizer(experiment)
    schedule = learning_rate_schedule(experiment)
    evaluate = loss_and_gradient(experiment, config)

    def step(
        state: TrainState, number: StepNumber, pixels: Pixels, labels: Labels
    ) -> tuple[TrainState, StepMetrics]:
        (loss, (statistics, similarities)), gradient = evaluate(
            state.parameters, state.statistics, pixels, labels
        )
        updates, moments = optimizer.update(gradient, state.optimizer, state.parameters)
        norm = optax.tree.norm(gradient)
        finite = jnp.isfinite(loss) & jnp.isfinite(norm) & jnp.isfinite(optax.tree.norm(updates))
        following = TrainState(
            step=state.step + 1,
            parameters=optax.apply_updates(state.parameters, updates),
            statistics=statistics,
            optimizer=moments,
        )
        applies = finite & (state.step == number)
        state = jax.tree.map(partial(jnp.where, applies), following, state)
        positive, negative = similarities
        return state, StepMetrics(state.step, loss, norm, schedule(number), positive, negative)

    return jax.jit(step, donate_argnums=0)


def loss_and_gradient(experiment: Experiment, config: ModelConfig) -> LossAndGradient:
    """Return `(parameters, statistics, pixels, labels) -> ((loss, auxiliary), gradient)`."""
    return jax.value_and_grad(partial(_loss, experiment, config), has_aux=True)


def _loss(
    experiment: Experiment,
    config: ModelConfig,
    parameters: Arrays,
    statistics: Arrays,
    pixels: Pixels,
    labels: Labels,
) -> LossAndRest:
    model = from_flat(config, {**parameters, **statistics})
    if experiment.trains_batch_norm:
        model.train()  # type: ignore[no-untyped-call]
    embeddings = model(pixels, frozen_stages=experiment.frozen_stages)
    updated = to_flat(model)
    loss = multi_similarity_loss(
        embeddings,
        labels,
        alpha=experiment.alpha,
        beta=experiment.beta,
        base=experiment.base,
        epsilon=experiment.epsilon,
    )
    return loss, ({name: updated[name] for name in statistics}, _similarities(embeddings, labels))


def _similarities(
    embeddings: Float[Array, "batch dim"], labels: Labels
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Mean cosine of unit rows with equal labels, self excluded, and of those with others."""
    cosines = embeddings @ embeddings.T
    same = labels[:, None] == labels[None, :]
    return (
        jnp.mean(cosines, where=same & ~jnp.eye(labels.size, dtype=bool)),
        jnp.mean(cosines, where=~same),
    )
