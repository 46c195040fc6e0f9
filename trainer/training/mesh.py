"""Every chip as one: a mesh over all devices, along which each batch is divided by rows.

The state is whole on each device, a batch's rows are spread. A jitted step sees global arrays, so
the loss compares every photo with every other one of the batch, wherever they lie: XLA inserts the
exchange of embeddings and the sum of gradients.
"""

from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jax.typing import ArrayLike
from numpy.typing import NDArray

from trainer.errors import TrainingError

_ROWS = "rows"


def device_mesh(
    batch_size: int, devices: list[jax.Device] | None = None, *, parts: int = 1
) -> Mesh:
    """Return a mesh over devices, those of one process side by side.

    Args:
        batch_size: photos in a batch of all processes together.
        devices: None: all there are, in all processes.
        parts: each of so many parts of a batch is divided by itself.

    Raises:
        TrainingError: the batch, or one of its parts, cannot be divided evenly.
    """
    chosen = sorted(devices or jax.devices(), key=lambda device: (device.process_index, device.id))
    if batch_size % len(chosen):
        raise TrainingError(
            f"Expected a batch that {len(chosen)} devices can share evenly; found {batch_size} "
            "photos. Change --products-per-batch or --photos-per-product."
        )
    if batch_size % (parts * len(chosen)):
        raise TrainingError(
            f"Expected parts of a batch that {len(chosen)} devices can share evenly; found "
            f"{batch_size} photos in {parts} parts of {batch_size / parts:g}. Change "
            f"--gradient-chunks to a divisor of {batch_size // len(chosen)}, or the batch by "
            "--products-per-batch or --photos-per-product."
        )
    return Mesh(np.array(chosen), (_ROWS,), axis_types=(AxisType.Auto,))


def whole(mesh: Mesh) -> NamedSharding:
    """Return the placement of an array that every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())  # type: ignore[no-untyped-call]


def by_rows(mesh: Mesh) -> NamedSharding:
    """Return the placement of an array whose first axis is spread over the devices."""
    return NamedSharding(mesh, PartitionSpec(_ROWS))  # type: ignore[no-untyped-call]


def put_whole(mesh: Mesh, array: ArrayLike) -> jax.Array:
    """Place an array, the same in each process, whole on every device."""
    return _placed(whole(mesh), np.asarray(array))


def put_rows(mesh: Mesh, rows: NDArray[Any]) -> jax.Array:
    """Place an array of whose rows this process holds its share: the global array."""
    return _placed(by_rows(mesh), rows)


def _placed(place: NamedSharding, local: NDArray[Any]) -> jax.Array:
    placed: jax.Array = jax.make_array_from_process_local_data(  # type: ignore[no-untyped-call]
        place, local
    )
    return placed
