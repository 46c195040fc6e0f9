"""A catalogue's photos -> vectors, in batches of one shape, with a progress bar."""

from collections.abc import Callable
from functools import cache, partial
from math import gcd
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Float32, UInt8

from trainer.data.pipeline import evaluation_batches
from trainer.data.records import Catalog
from trainer.model.embedder import Embedder
from trainer.progress import progress_bar
from trainer.training.mesh import device_mesh, put_rows, put_whole

type Embed = Callable[[UInt8[np.ndarray, "batch side side 3"]], Float32[np.ndarray, "batch dim"]]


def embed_photos(
    embed: Embed,
    catalog: Catalog,
    image_size: int,
    *,
    batch_size: int,
    label: str = "Embedding photos",
    workers: int | None = None,
) -> Float32[np.ndarray, "photos dim"]:
    """Embed all photos in the catalogue's order, squared as the function squares a query.

    Args:
        embed: gets `batch_size` photos each time, the last batch filled up with black ones.
        catalog: at least one photo; screened.
        image_size: pixels of a side.
        batch_size: photos at a time.
        label: what the progress bar says.
        workers: threads that decode; None: one per processor.

    Raises:
        CatalogError: a photo that was there when the catalogue was screened cannot be read now.
    """
    rows = []
    with progress_bar(label, len(catalog.photos)) as bar:
        for pixels in evaluation_batches(catalog, image_size, batch_size, workers=workers):
            missing = batch_size - len(pixels)
            filled = np.pad(pixels, ((0, missing), (0, 0), (0, 0), (0, 0))) if missing else pixels
            rows.append(embed(filled)[: len(pixels)])
            bar.advance(len(pixels))
    return np.concatenate(rows)


def compiled(model: Embedder) -> Embed:
    """Return the model as a function of NumPy arrays, compiled once per shape.

    Each batch is divided among this process's devices: as many of them as divide it evenly.
    """
    graph, state = nnx.split(model)

    @jax.jit
    def embed(
        state: Any, pixels: UInt8[jax.Array, "batch side side 3"]
    ) -> Float32[jax.Array, "batch dim"]:
        return nnx.merge(graph, state)(pixels)

    @cache
    def placed(batch_size: int) -> tuple[Mesh, Any]:
        devices = jax.local_devices()
        mesh = device_mesh(batch_size, devices[: gcd(batch_size, len(devices))])
        return mesh, jax.tree.map(partial(put_whole, mesh), state)

    def embed_batch(
        pixels: UInt8[np.ndarray, "batch side side 3"],
    ) -> Float32[np.ndarray, "batch dim"]:
        mesh, everywhere = placed(len(pixels))
        return np.asarray(embed(everywhere, put_rows(mesh, pixels)))

    return embed_batch
