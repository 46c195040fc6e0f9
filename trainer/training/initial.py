"""Where training starts: the network an experiment asks for, random or pretrained."""

import jax
import numpy as np
from flax import nnx

from trainer.model.config import ModelConfig
from trainer.model.embedder import Embedder
from trainer.model.parameters import from_flat, parameter_shapes
from trainer.model.pooling import make_pooling
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
    if experiment.weights is None:
        # One program instead of one for each shape: it is compiled once and then kept.
        make = nnx.jit(lambda key: Embedder(config, rngs=nnx.Rngs(key)))
        return make(jax.random.key(experiment.seed))
    blank = {name: np.zeros(shape, np.float32) for name, shape in parameter_shapes(config).items()}
    model = from_flat(config, blank)
    model.pooling = make_pooling(config.pooling)
    if config.embedding_dim:
        rngs = nnx.Rngs(experiment.seed)
        model.head = nnx.Linear(config.feature_dim, config.embedding_dim, rngs=rngs)
    return load_pretrained(experiment.weights, model)
