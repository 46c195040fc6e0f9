"""Where training starts: the network an experiment asks for, random or pretrained."""

from flax import nnx

from trainer.model.config import ModelConfig
from trainer.model.embedder import Embedder
from trainer.model.pretrained import load_pretrained, pretrained_config
from trainer.training.experiment import Experiment


def initial_config(experiment: Experiment) -> ModelConfig:
    """Return the network's settings: those that the weights were made with, where there are any.

    Raises:
        WeightsError: there are no such weights, or they belong to another architecture.
    """
    # A head that nothing trains would only blur the pooled features.
    embedding_dim = experiment.embedding_dim if experiment.steps else None
    if experiment.weights is not None:
        return pretrained_config(
            experiment.weights,
            experiment.architecture,
            embedding_dim=embedding_dim,
            pooling=experiment.pooling,
            dtype=experiment.dtype,
        )
    return ModelConfig(
        architecture=experiment.architecture,
        width=experiment.width,
        embedding_dim=embedding_dim,
        pooling=experiment.pooling,
        dtype=experiment.dtype,
    )


def initial_model(experiment: Experiment, config: ModelConfig) -> Embedder:
    """Return the network before the first step, in inference mode: a function of the experiment.

    Raises:
        WeightsError: the weights do not fit the network; every tensor that does not is listed.
    """
    model = Embedder(config, rngs=nnx.Rngs(experiment.seed))
    return load_pretrained(experiment.weights, model) if experiment.weights else model
