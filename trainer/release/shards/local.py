"""Shards embedded by this process: threads that read, decode, embed and store."""

from collections.abc import Callable, Sequence

import numpy as np

from trainer.data.screen import OnBadPhoto
from trainer.release.shards.worker import EmbedShards, Opened


def run_here(
    opened: Opened,
    shards: Sequence[int],
    *,
    threads: int | None,
    on_bad_photo: OnBadPhoto,
    advance: Callable[[int], None],
) -> None:
    """Embed shards one after the other.

    Args:
        opened: as for `EmbedShards`, and so are the others.
        shards: their numbers.

    Raises: as `EmbedShards`.
    """
    embed = EmbedShards(opened, threads=threads, on_bad_photo=on_bad_photo, advance=advance)
    for shard in shards:
        embed({"shard": np.array([shard])})
