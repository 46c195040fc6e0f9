"""One step of training as one compiled program: photos in, slightly better parameters out."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int32, UInt8

from trainer.data.recolour import recolour
from trainer.data.resample import resample
from trainer.losses.memory import remember
from trainer.model.config import ModelConfig
from trainer.training.experiment import Experiment
from trainer.training.gradient import Embeddings, Labels, Pixels, make_loss_and_gradient
from trainer.training.mesh import by_rows, whole
from trainer.training.optimizer import learning_rate_schedule, make_optimizer
from trainer.training.state import Arrays, TrainState

StepNumber = Int32[Array, ""]
Flags = Int32[Array, " devices"]
Windows = Float[Array, "batch 6"]
Colour = Float[Array, "batch 4"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class StepMetrics:
    """What a step reports: scalars, still on the device, the same in every process."""

    step: StepNumber
    """Batches learned from by now; behind the loop's count once a step was refused."""
    interrupted: Int32[Array, ""]
    """Above 0 where any process had been told to leave when this step began."""
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
    active_share: Float[Array, ""]
    """Share of the batch's photos that the loss moves; miners leave the others out."""
    embedding_rank: Float[Array, ""]
    """Directions that the batch's embeddings fill: (Σλ)² / Σλ², λ their covariance's eigenvalues.

    1 where all lie on a line, at most the lesser of dimensions and photos − 1.
    """


TrainingStep = Callable[
    [TrainState, StepNumber, Flags, Pixels, Windows | None, Colour, Labels],
    tuple[TrainState, StepMetrics],
]


def make_step(experiment: Experiment, config: ModelConfig, mesh: Mesh) -> TrainingStep:
    """Compile `(state, number, flags, pixels, windows, colour, labels) -> (state, metrics)`.

    The given state is consumed. State and number are whole on every device of the mesh; flags (one
    a device: above 0 asks all processes to leave), pixels (uint8), their windows and their change
    of colour (as `augmented` takes them) and labels are spread by rows. The result is that of one
    device, to rounding, whatever the mesh: the loss is over the whole batch, BatchNorm's statistics
    too.

    A step whose loss, gradient or update is not finite leaves the state as it was, and so does
    every later one: a step applies only to the state that it follows, `state.step == number`. The
    loop may therefore look at the metrics long after, and the state is still the last good one.

    Raises:
        LookalikeError: the loss has no such option.
    """
    optimizer = make_optimizer(experiment)
    schedule = learning_rate_schedule(experiment)
    evaluate = make_loss_and_gradient(experiment, config)

    def step(
        state: TrainState,
        number: StepNumber,
        flags: Flags,
        pixels: Pixels,
        windows: Windows | None,
        colour: Colour,
        labels: Labels,
    ) -> tuple[TrainState, StepMetrics]:
        memory, references = state.memory, None
        if memory is not None:
            references = memory.references(active=number >= experiment.memory_from_step)
        photos = augmented(pixels, windows, colour, experiment.image_size)
        batch = evaluate(state.parameters, state.statistics, references, photos, labels)
        updates, moments = optimizer.update(batch.gradient, state.optimizer, state.parameters)
        norm = optax.tree.norm(batch.gradient)
        finite = (
            jnp.isfinite(batch.loss) & jnp.isfinite(norm) & jnp.isfinite(optax.tree.norm(updates))
        )
        following = TrainState(
            step=state.step + 1,
            parameters=optax.apply_updates(state.parameters, updates),
            statistics=batch.statistics,
            optimizer=moments,
            average=state.average,
            memory=None if memory is None else remember(memory, batch.embeddings, labels),
        )
        following = _averaged(following, number, experiment.average_decay)
        applies = finite & (state.step == number)
        state = jax.tree.map(partial(jnp.where, applies), following, state)
        return state, StepMetrics(
            state.step,
            jnp.max(flags),
            batch.loss,
            norm,
            schedule(number),
            *_similarities(batch.embeddings, labels),
            jnp.mean(jnp.any(batch.embedding_gradient != 0, axis=1)),
            embedding_rank(batch.embeddings),
        )

    everywhere, spread = whole(mesh), by_rows(mesh)
    return jax.jit(
        step,
        donate_argnums=0,
        in_shardings=(everywhere, everywhere, spread, spread, spread, spread, spread),
        out_shardings=everywhere,
    )


def augmented(
    pixels: Pixels, windows: Windows | None, colour: Colour, size: int
) -> UInt8[Array, "batch size size 3"]:
    """Finish on the device what the host began: a batch's photos as the network sees them.

    Args:
        pixels: squares of `size`; or, with windows, what `trainer.data.resample` makes them from.
        windows: None: the host resized.
        colour: as `trainer.data.recolour` takes it.
        size: pixels of a side.
    """
    squares = pixels if windows is None else resample(pixels, windows, size)
    photos: UInt8[Array, "batch size size 3"] = recolour(squares, colour)
    return photos


def embedding_rank(embeddings: Embeddings) -> Float[Array, ""]:
    """(Σλ)² / Σλ² of the rows' covariance, from their products alone; 0 for equal rows.

    The participation ratio: how many directions hold the variance, if each held as much.
    """
    centred = embeddings - jnp.mean(embeddings, axis=0)
    # By default a GPU rounds what it multiplies to TensorFloat-32, a TPU to bfloat16.
    products = jnp.matmul(centred, centred.T, precision=lax.Precision.HIGHEST)
    total, square = jnp.trace(products), jnp.sum(products**2)
    return jnp.where(square > 0, total**2 / jnp.where(square > 0, square, 1), 0.0)


def _averaged(state: TrainState, number: StepNumber, decay: float) -> TrainState:
    """Move the average towards the state; fast at first, for it begins at untrained weights."""
    if not decay:
        return state
    # The warm-up of the decay that TensorFlow's ExponentialMovingAverage made usual.
    share = 1 - jnp.minimum(decay, (1 + number) / (10 + number))
    average: Arrays = optax.incremental_update(state.arrays, state.average, share)
    return TrainState(**{**vars(state), "average": average})


def _similarities(
    embeddings: Embeddings, labels: Labels
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Mean cosine of unit rows with equal labels, self excluded, and of those with others."""
    cosines = jnp.matmul(embeddings, embeddings.T, precision=lax.Precision.HIGHEST)
    same = labels[:, None] == labels[None, :]
    return (
        jnp.mean(cosines, where=same & ~jnp.eye(labels.size, dtype=bool)),
        jnp.mean(cosines, where=~same),
    )
