"""Proxies: trainable rows that stand for a class, which proxy losses compare a batch with."""

import jax.numpy as jnp
import numpy as np

from trainer.losses.references import References


def initial_proxies(classes: int, dim: int, *, seed: int, centres_per_class: int = 1) -> References:
    """Proxies of classes 0 to `classes` − 1, drawn from a normal distribution.

    The losses normalise proxies, so only their direction matters, which is uniform. The standard
    deviation is 1/√dim: lengths are about 1 for any `dim`, and so a learning rate turns proxies
    equally fast.

    Args:
        classes: how many; labels of the batches must be below it.
        dim: length of the embeddings.
        seed: the same proxies for the same seed, on every machine.
        centres_per_class: rows of each class: ArcFace's sub-centres.

    Returns:
        `[classes · centres_per_class, dim]` float32 rows, those of a class together; all valid.
    """
    labels = np.repeat(np.arange(classes, dtype=np.int32), centres_per_class)
    random = np.random.default_rng(seed)
    rows = random.standard_normal((labels.size, dim), np.float32) / np.sqrt(np.float32(dim))
    return References(jnp.asarray(rows), jnp.asarray(labels), jnp.ones(labels.size, bool))
