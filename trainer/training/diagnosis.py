"""Say where training went wrong, from the last good state and the batch that broke it."""

import math
from dataclasses import replace

import jax
from jax.sharding import Mesh

from trainer.data.pipeline import TrainingBatches
from trainer.errors import NotFinite
from trainer.model.config import ModelConfig
from trainer.training.experiment import Experiment
from trainer.training.gradient import make_loss_and_gradient
from trainer.training.mesh import put_rows
from trainer.training.optimizer import learning_rate_schedule
from trainer.training.state import TrainState
from trainer.training.step import augmented


def explain_not_finite(
    experiment: Experiment,
    config: ModelConfig,
    mesh: Mesh,
    batches: TrainingBatches,
    state: TrainState,
) -> NotFinite:
    """Repeat the step that `state` refused, and return an error that says what it gave.

    Args:
        experiment: what was trained.
        config: the network.
        mesh: the devices that trained it.
        batches: of the run; one of them is made again.
        state: the last good one; its step is the number of the batch that broke it.
    """
    step = int(jax.device_get(state.step))
    (batch,) = replace(batches, start_step=step, stop_step=step + 1)
    pixels, colour, labels = (
        put_rows(mesh, rows) for rows in (batch.pixels, batch.colour, batch.labels)
    )
    windows = None if batch.windows is None else put_rows(mesh, batch.windows)
    memory = None
    if state.memory is not None:
        memory = state.memory.references(active=step >= experiment.memory_from_step)
    photos = augmented(pixels, windows, colour, experiment.image_size)
    evaluated = jax.jit(make_loss_and_gradient(experiment, config))(
        state.parameters, state.statistics, memory, photos, labels
    )
    gradient, loss = evaluated.gradient, float(evaluated.loss)
    sizes = {name: float(abs(values).max()) for name, values in gradient.items()}
    broken = [name for name, size in sizes.items() if not math.isfinite(size)]
    largest = max(sizes, key=lambda name: sizes[name])
    where = (
        f"{len(broken)} of {len(sizes)} gradients are not finite, {broken[0]} the first"
        if broken
        else f"the largest gradient is {largest}'s, {sizes[largest]:.3g}"
    )
    rate = float(learning_rate_schedule(experiment)(step))
    return NotFinite(
        f"Training broke at step {step}: loss {loss:.3g}, learning rate {rate:.3g}; "
        f"{where}. The last checkpoint is from before. "
        "Lower --learning-rate in a new --run, or look for what is odd in this batch."
    )
