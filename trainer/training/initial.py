"""Where training starts: the network an experiment asks for, random or pretrained."""

from flax import nnx

from trainer.model.config import ModelConfig
from trainer.model.embedder import Embedder
from trainer.training.experiment import Experiment


def initial_config(experiment: Experiment) -> ModelConfig:
    """Return the network's settings: those that the weights were made with, where there are any.

    Raises:
        TrainingError: there is no such weights file.
        WeightsError: the weights do not belong to this architecture.
    """
    return ModelConfig(
        architecture=experiment.architecture,
        width=experiment.width,
        # A head that nothing trains would only blur the pooled features.
        embedding_dim=experiment.embedding_dim if experiment.steps else None,
        pooling=experiment.pooling,
        dtype=experiment.dtype,
    )


def initial_model(experiment: Experiment, config: ModelConfig) -> Embedder:
    """Return the network before the first step: a pure function of the experiment.

    Raises:
        WeightsError: the weights do not fit the network; every tensor that does not is listed.
    """
    return Embedder(config, rngs=nnx.Rngs(experiment.seed))
