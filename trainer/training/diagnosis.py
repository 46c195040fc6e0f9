"""Say where training went wrong, from the last good state and the batch that broke it."""

import math
from dataclasses import replace

import jax

from trainer.data.pipeline import TrainingBatches
from trainer.data.recolour import recolour
from trainer.errors import NotFinite
from trainer.model.config import ModelConfig
from trainer.training.experiment import Experiment
from trainer.training.optimizer import learning_rate_schedule
from trainer.training.step import TrainState, loss_and_gradient


def explain_not_finite(
    experiment: Experiment, config: ModelConfig, batches: TrainingBatches, state: TrainState
) -> NotFinite:
    """Repeat the step that `state` refused, and return an error that says what it gave.

    Args:
        experiment: what was trained.
        config: the network.
        batches: of the run; one of them is made again.
        state: the last good one; its step is the number of the batch that broke it.
    """
    step = int(jax.device_get(state.step))
    (batch,) = replace(batches, start_step=step, stop_step=step + 1)
    pixels, colour, labels = jax.device_put((batch.pixels, batch.colour, batch.labels))
    loss, gradient = jax.jit(loss_and_gradient(experiment, config))(
        state.parameters, state.statistics, recolour(pixels, colour), labels
    )
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
        f"Training broke at step {step}: loss {float(loss[0]):.3g}, learning rate {rate:.3g}; "
        f"{where}. The last checkpoint is from before. "
        "Lower --learning-rate in a new --run, or look for what is odd in this batch."
    )
