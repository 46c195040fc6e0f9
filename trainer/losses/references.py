"""What a batch's anchors are compared with, besides each other."""

from dataclasses import dataclass

import jax
from jaxtyping import Array, Bool, Float, Integer


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class References:
    """Rows that are no anchors: a memory of earlier batches, or the classes' proxies.

    A pair loss compares each row of the batch with the batch's other rows and with these; a proxy
    loss with these alone. Gradients flow into `embeddings` where the caller asks for them: proxies
    learn, a memory does not.
    """

    embeddings: Float[Array, "references dim"]
    """Any float type; normalised by the loss, like the batch's rows."""
    labels: Integer[Array, " references"]
    """As the batch's: equal labels show the same product."""
    valid: Bool[Array, " references"]
    """False for rows that count for nothing: slots of a memory that is not full yet."""
