"""What a run holds after its steps, array by array."""

import jax
import numpy as np

from trainer.training.experiment import Experiment
from trainer.training.run import Run
from trainer.training.state import abstract_items


def everything(url: str, experiment: Experiment, step: int | None = None) -> dict[str, np.ndarray]:
    """Each array of a run's checkpoint: weights, moments, proxies, memory, average.

    Args:
        url: the run.
        experiment: what it trains.
        step: of the checkpoint; None: the last.
    """
    run = Run(url)
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    classes = len(run.read_json("split.json")["train"])
    like = abstract_items(experiment, run.model_config, classes, here)
    with run.checkpoints(read_only=True) as checkpoints:
        state = checkpoints.restore(checkpoints.latest if step is None else step, like)
    leaves = jax.tree_util.tree_leaves_with_path(state.items())
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}
