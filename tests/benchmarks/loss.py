"""Loss and gradient a second, against the same formula written down naively.

    python -m tests.benchmarks.loss

Naive: the formula in jax.numpy, jitted, with plain exponentials and no care for degenerate batches.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from tests.benchmarks.timing import Row, report, time_calls
from trainer.losses import multi_similarity_loss

DIM = 512
PHOTOS_PER_PRODUCT = 4
BATCHES = (64, 256, 1024)


def naive_loss(embeddings, labels):
    unit = embeddings / jnp.linalg.norm(embeddings, axis=1, keepdims=True)
    similarity = unit @ unit.T
    same = labels[:, None] == labels[None, :]
    positive = same & ~jnp.eye(len(labels), dtype=bool)
    lowest = jnp.where(positive, similarity, jnp.inf).min(1, keepdims=True)
    highest = jnp.where(same, -jnp.inf, similarity).max(1, keepdims=True)
    kept_positive = positive & (similarity - 0.1 < highest)
    kept_negative = ~same & (similarity + 0.1 > lowest)
    attraction = jnp.where(kept_positive, jnp.exp(-2 * (similarity - 0.5)), 0).sum(1)
    repulsion = jnp.where(kept_negative, jnp.exp(50 * (similarity - 0.5)), 0).sum(1)
    return jnp.mean(jnp.log(1 + attraction) / 2 + jnp.log(1 + repulsion) / 50)


def wait_for(step, *arguments):
    return jax.block_until_ready(step(*arguments))


def main() -> None:
    random = np.random.default_rng(0)
    rows: list[Row] = []
    for batch in BATCHES:
        labels = jnp.asarray(np.repeat(np.arange(batch // PHOTOS_PER_PRODUCT), PHOTOS_PER_PRODUCT))
        embeddings = jnp.asarray(random.normal(size=(batch, DIM)), jnp.float32)
        ours, naive = (
            jax.jit(jax.value_and_grad(loss)) for loss in (multi_similarity_loss, naive_loss)
        )
        np.testing.assert_allclose(
            ours(embeddings, labels)[0], naive(embeddings, labels)[0], rtol=1e-5
        )
        our_time, naive_time = time_calls(
            *(partial(wait_for, step, embeddings, labels) for step in (ours, naive))
        )
        rows.append(
            {
                "batch": f"{batch} × {DIM}",
                "ms": our_time.p50,
                "naive ms": naive_time.p50,
                "ours / naive": our_time.p50 / naive_time.p50,
                "batches/s": 1000 / our_time.p50,
            }
        )
    report("loss", "Multi-similarity loss and its gradient, float32, median", rows)


if __name__ == "__main__":
    main()
