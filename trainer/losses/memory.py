"""Cross-batch memory: the embeddings of the last batches, as further pairs for each anchor.

Wang, Zhang, Huang, Scott: Cross-Batch Memory for Embedding Learning, CVPR 2020.
https://arxiv.org/abs/1912.06798
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int32, Integer

from trainer.losses.references import References


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Memory:
    """A queue of static size, as a ring: all of it is saved in a checkpoint.

    Oldest first, its rows are those from `pointer` on, then those before it, once it is full.
    """

    embeddings: Float[Array, "size dim"]
    labels: Int32[Array, " size"]
    pointer: Int32[Array, ""]
    """The slot that is written next."""
    filled: Int32[Array, ""]
    """Rows that hold something, from slot 0 on; at most the size."""

    def references(self, *, active: Bool[Array, ""] | bool = True) -> References:
        """Return the remembered rows, without gradient.

        Args:
            active: False makes none of them count, as during the warm-up: early embeddings drift
                fast (the paper's section 3.2).
        """
        slots = jnp.arange(self.labels.size)
        valid = (slots < self.filled) & active
        return References(lax.stop_gradient(self.embeddings), self.labels, valid)


def empty_memory(size: int, dim: int) -> Memory:
    """Return a memory of `size` rows that remembers nothing yet; 0 rows remember nothing ever."""
    return Memory(
        embeddings=jnp.zeros((size, dim), jnp.float32),
        labels=jnp.zeros(size, jnp.int32),
        pointer=jnp.zeros((), jnp.int32),
        filled=jnp.zeros((), jnp.int32),
    )


def remember(
    memory: Memory, embeddings: Float[Array, "batch dim"], labels: Integer[Array, " batch"]
) -> Memory:
    """Return the memory with a batch enqueued, in its order; the oldest rows make room.

    A batch larger than the memory leaves its last rows.
    """
    size = memory.labels.size
    if size == 0:
        return memory
    batch = labels.size
    kept = min(batch, size)
    slots = (memory.pointer + (batch - kept) + jnp.arange(kept)) % size
    rows = lax.stop_gradient(embeddings[batch - kept :]).astype(jnp.float32)
    return Memory(
        embeddings=memory.embeddings.at[slots].set(rows),
        labels=memory.labels.at[slots].set(labels[batch - kept :].astype(jnp.int32)),
        pointer=(memory.pointer + batch) % size,
        filled=jnp.minimum(memory.filled + batch, size),
    )
