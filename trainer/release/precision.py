"""Whether an int8 program is worth its loss: measured on the catalogue, before it is embedded."""

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Literal

import numpy as np
import onnx
from jaxtyping import Float, UInt8

from function.embedder import Embedder, open_embedder
from function.golden import PARITY_COSINE
from function.manifest import OPENVINO_PROGRAMS, Int8Info
from function.photo import decode, resize_to_square
from function.processor import int8_instructions
from trainer.data.records import Catalog, Photo
from trainer.errors import PublishError
from trainer.release.embedding import decoded, read_photo
from trainer.release.quantization import quantized

# What `publish` is told: "auto" chooses by what it measures.
PrecisionChoice = Literal["auto", "float", "int8"]

# What int8 may cost, as a share of queries, and the least that it must gain.
MAX_RECALL_DROP = 0.005
MAX_LATENCY_RATIO = 0.8

CALIBRATION_PHOTOS = 128
MAX_PHOTOS = 1000
# Of their queries, four times as many, one more or less is an eighth of a point.
MIN_PHOTOS = 200
_TIMED_CALLS = 40
# A query shows this part of a photo's width and of its height, from each corner in turn. One query
# of a photo would leave the figure to chance: int8 moves whichever two products are about as near.
_QUERY_PART = 0.7
_CORNERS = ((0, 0), (1, 0), (0, 1), (1, 1))


@dataclass(frozen=True)
class _Sample:
    """Photos of the catalogue, whole products as far as they go, and the queries made of each."""

    products: Sequence[str]
    photos: UInt8[np.ndarray, "photos size size 3"]
    queries: UInt8[np.ndarray, "queries size size 3"]


def make_int8(
    folder: Path,
    catalog: Catalog,
    golden: tuple[UInt8[np.ndarray, "n size size 3"], Float[np.ndarray, "n dim"]],
    choice: PrecisionChoice,
    *,
    workers: int | None = None,
) -> Int8Info | None:
    """Write an int8 program beside the float one, measure both, and remove it if it loses.

    A query is part of a photo, mirrored; it looks for its product among the sampled photos, without
    its own where the product has another.

    Args:
        folder: holds the float program.
        catalog: what is to be found.
        golden: photos, and the trained network's own vectors of them.
        choice: "float" tries nothing; "int8" keeps the program whatever it costs.
        workers: threads that read and decode; None: one per processor.

    Returns:
        What was measured; None where nothing was tried: the catalogue is too small for a figure,
        or this processor has no instructions for int8.

    Raises:
        PublishError: a photo cannot be read; int8 is wanted, and this processor cannot; or it is
            wanted and its vectors are too far from the trained network's to be served.
    """
    instructions = int8_instructions()
    few = len(catalog.photos) < MIN_PHOTOS
    if choice == "float" or (choice == "auto" and (few or not instructions)):
        return None
    if not instructions:
        raise PublishError(
            "precision int8: expected a processor with instructions for it, as AVX-512 VNNI; "
            "this one has none. Publish on another machine, or with precision auto."
        )
    exact = open_embedder(folder, "openvino")
    sample = _sample(catalog, exact.image_size, workers)
    program = folder / OPENVINO_PROGRAMS["int8"]
    random = np.random.default_rng(0)
    calibration = sample.photos[random.permutation(len(sample.photos))[:CALIBRATION_PHOTOS]]
    network = onnx.load(folder / OPENVINO_PROGRAMS["float"])
    program.write_bytes(quantized(network, calibration).SerializeToString())
    rounded = open_embedder(folder, "openvino", precision="int8")

    photos, queries = (
        [_embedded(embedder, pixels, workers) for embedder in (exact, rounded)]
        for pixels in (sample.photos, sample.queries)
    )
    recalls = [
        recall_at_1(queries[asked], photos[held], sample.products)
        for asked, held in ((0, 0), (1, 1), (0, 1))
    ]
    pixels, vectors = golden
    worst = float((_embedded(rounded, pixels, workers) * vectors).sum(axis=1).min())
    ratio = _latency_ratio(rounded, exact, sample.photos[:1])
    if choice == "int8" and worst < PARITY_COSINE:
        raise PublishError(
            f"precision int8: expected vectors with a cosine of at least {PARITY_COSINE} to the "
            f"trained network's; found {worst:.4f}. Publish with precision auto or float."
        )
    measured = Int8Info(
        chosen=False,
        instructions=instructions,
        latency_ratio=ratio,
        queries=len(sample.queries),
        recall_at_1=recalls[0],
        recall_at_1_int8=recalls[1],
        recall_at_1_mixed=recalls[2],
        worst_cosine=worst,
    )
    if choice == "auto" and not pays(measured):
        program.unlink()
        return measured
    return replace(measured, chosen=True)


def pays(measured: Int8Info) -> bool:
    """Say whether an int8 program gains enough and loses little enough to serve."""
    least = measured.recall_at_1 - MAX_RECALL_DROP
    return (
        measured.worst_cosine >= PARITY_COSINE
        and measured.latency_ratio <= MAX_LATENCY_RATIO
        and min(measured.recall_at_1_int8, measured.recall_at_1_mixed) >= least
    )


def _sample(catalog: Catalog, size: int, workers: int | None) -> _Sample:
    by_product: defaultdict[str, list[Photo]] = defaultdict(list)
    for photo in catalog.photos:
        by_product[photo.product_id].append(photo)
    order = np.random.default_rng(0).permutation(len(by_product))
    products = list(by_product.values())
    chosen = list(islice((p for number in order for p in products[number]), MAX_PHOTOS))

    def load(
        photo: Photo,
    ) -> tuple[UInt8[np.ndarray, "size size 3"], list[UInt8[np.ndarray, "size size 3"]]]:
        data = read_photo(catalog.source, photo)
        image = decoded(photo, lambda: decode(data, reduce_to=round(size / _QUERY_PART)))
        width, height = (max(1, round(side * _QUERY_PART)) for side in image.size)
        parts = []
        for right, low in _CORNERS:
            left, top = right * (image.width - width), low * (image.height - height)
            part = image.crop((left, top, left + width, top + height))
            parts.append(resize_to_square(part, size)[:, ::-1])
        return resize_to_square(image, size), parts

    with ThreadPoolExecutor(workers) as pool:
        photos, queries = zip(*pool.map(load, chosen), strict=True)
    return _Sample([p.product_id for p in chosen], np.stack(photos), np.concatenate(queries))


def _embedded(
    embedder: Embedder, pixels: UInt8[np.ndarray, "photos size size 3"], workers: int | None
) -> Float[np.ndarray, "photos dim"]:
    with ThreadPoolExecutor(workers) as pool:
        return np.concatenate(list(pool.map(lambda photo: embedder.embed(photo[None]), pixels)))


def recall_at_1(
    queries: Float[np.ndarray, "queries dim"],
    photos: Float[np.ndarray, "photos dim"],
    products: Sequence[str],
) -> float:
    """Share of queries whose nearest photo is of their product.

    The queries are equally many of each photo, in the photos' order; a query's own photo is left
    out where its product has another.
    """
    _, product, counts = np.unique(products, return_inverse=True, return_counts=True)
    own = np.repeat(np.arange(len(photos)), len(queries) // len(photos))
    similarities = queries @ photos.T
    several = np.flatnonzero(counts[product[own]] > 1)
    similarities[several, own[several]] = -np.inf
    return float((product[similarities.argmax(axis=1)] == product[own]).mean())


def _latency_ratio(
    rounded: Embedder, exact: Embedder, pixels: UInt8[np.ndarray, "1 size size 3"]
) -> float:
    """Median times of one photo, taken in turn, so that a busy machine is unfair to neither."""
    taken: list[list[float]] = [[], []]
    for _ in range(_TIMED_CALLS):
        for times, embedder in zip(taken, (rounded, exact), strict=True):
            start = perf_counter()
            embedder.embed(pixels)
            times.append(perf_counter() - start)
    return median(taken[0]) / median(taken[1])
