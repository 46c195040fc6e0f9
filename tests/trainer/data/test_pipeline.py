"""The pipeline gives the same batches however it is run, and cleans up after itself."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest

from function.photo import load_pixels
from trainer.data.augmentation import Augmentation
from trainer.data.catalog import open_catalog
from trainer.data.pipeline import (
    PREFETCHED_BATCHES,
    Batch,
    Resize,
    TrainingBatches,
    evaluation_batches,
)
from trainer.data.records import Catalog, Photo
from trainer.data.resample import resample
from trainer.data.sampler import PKSampler
from trainer.errors import CatalogError, TrainingError


@pytest.fixture
def catalog(products: Callable[[int, int], Path]) -> Catalog:
    return open_catalog(products(7, 3))


def batches(
    catalog: Catalog,
    start: int = 0,
    stop: int = 6,
    workers: int | None = None,
    shard: tuple[int, int] = (0, 1),
    resize: Resize = "host",
) -> TrainingBatches:
    sampler = PKSampler(
        [photo.product_id for photo in catalog.photos],
        [photo.role for photo in catalog.photos],
        products_per_batch=4,
        photos_per_product=2,
        seed=1,
    )
    return TrainingBatches(
        catalog=catalog,
        sampler=sampler,
        augmentation=Augmentation(),
        image_size=24,
        seed=1,
        start_step=start,
        stop_step=stop,
        workers=workers,
        shard=shard,
        resize=resize,
    )


def squares(batch: Batch) -> np.ndarray:
    if batch.windows is None:
        return batch.pixels
    return np.asarray(resample(*jax.device_put((batch.pixels, batch.windows)), 24))


def arrays(batch: Batch) -> tuple[np.ndarray, ...]:
    # Beyond its windows a batch may hold anything.
    windows = () if batch.windows is None else (batch.windows,)
    return squares(batch), batch.colour, batch.labels, *windows


resizing = pytest.mark.parametrize("resize", ["host", "device"])


def same(first: list[Batch], second: list[Batch]) -> bool:
    return [batch.step for batch in first] == [batch.step for batch in second] and all(
        all(np.array_equal(ours, theirs) for ours, theirs in zip(arrays(a), arrays(b), strict=True))
        for a, b in zip(first, second, strict=True)
    )


def counting(catalog: Catalog, gate: threading.Event | None = None) -> tuple[Catalog, list[str]]:
    """The catalogue, and a list of the photos that are read from it; each waits for the gate."""
    reads: list[str] = []

    class Counting:
        location = "counting"

        def read(self, image: str) -> bytes:
            reads.append(image)
            if gate is not None:
                gate.wait(60)
            return catalog.source.read(image)

        def sizes(self, images: list[str]) -> list[int | None]:
            return catalog.source.sizes(images)

    return Catalog("counted", Counting(), catalog.photos), reads


def decoding_threads() -> int:
    return sum(thread.name.startswith("decode") for thread in threading.enumerate())


def test_batches_have_their_shape_and_labels(catalog: Catalog) -> None:
    for step, batch in enumerate(batches(catalog)):
        assert batch.step == step
        assert batch.pixels.shape == (8, 24, 24, 3)
        assert batch.pixels.dtype == np.uint8
        assert batch.colour.shape == (8, 4)
        assert batch.colour.dtype == np.float32
        assert batch.labels.dtype == np.int32
        assert [len(set(group)) for group in batch.labels.reshape(4, 2)] == [1] * 4
        assert len(set(batch.labels)) == 4


@resizing
def test_resuming_and_other_workers_change_nothing(catalog: Catalog, resize: Resize) -> None:
    whole = list(batches(catalog, workers=1, resize=resize))
    assert same(whole, list(batches(catalog, workers=5, resize=resize)))
    assert same(whole[4:], list(batches(catalog, start=4, resize=resize)))
    assert list(batches(catalog, start=6)) == []


def test_the_device_makes_the_hosts_squares(catalog: Catalog) -> None:
    on_host, for_device = (list(batches(catalog, resize=resize)) for resize in ("host", "device"))
    for host, device in zip(on_host, for_device, strict=True):
        assert host.windows is None
        assert (device.windows.shape, device.windows.dtype) == ((8, 6), np.float32)
        assert device.pixels.shape[1] > 24
        assert np.abs(squares(device).astype(int) - host.pixels).max() <= 1
        assert np.array_equal(device.colour, host.colour)
        assert np.array_equal(device.labels, host.labels)


@resizing
@pytest.mark.parametrize("count", [2, 4, 8])
def test_the_shards_of_a_batch_make_the_whole(catalog: Catalog, count: int, resize: Resize) -> None:
    whole = list(batches(catalog, start=3, resize=resize))
    shards = [
        list(batches(catalog, start=3, shard=(index, count), resize=resize))
        for index in range(count)
    ]
    for batch, *parts in zip(whole, *shards, strict=True):
        assert {part.step for part in parts} == {batch.step}
        assert {len(part.labels) for part in parts} == {8 // count}
        joined = map(np.concatenate, zip(*map(arrays, parts), strict=True))
        assert all(map(np.array_equal, joined, arrays(batch)))


def test_a_shard_reads_only_its_own_photos(catalog: Catalog) -> None:
    counted, reads = counting(catalog)
    list(batches(counted, stop=5, shard=(1, 4)))
    assert len(reads) == 5 * 2


@pytest.mark.parametrize("shard", [(0, 3), (0, 16)])
def test_a_batch_that_does_not_divide_is_refused(catalog: Catalog, shard: tuple[int, int]) -> None:
    with pytest.raises(TrainingError, match=f"batch of 8 photos does not divide among {shard[1]}"):
        batches(catalog, shard=shard)


@pytest.mark.parametrize("shard", [(2, 2), (-1, 2), (0, 0)])
def test_a_shard_that_does_not_exist_is_refused(catalog: Catalog, shard: tuple[int, int]) -> None:
    with pytest.raises(TrainingError, match="0 ≤ index < count"):
        batches(catalog, shard=shard)


@resizing
def test_a_batch_that_is_kept_is_never_written_again(catalog: Catalog, resize: Resize) -> None:
    kept, copies = [], []
    for batch in batches(catalog, resize=resize):
        kept.append(batch.pixels[1:])
        copies.append(batch.pixels[1:].copy())
    assert all(map(np.array_equal, kept, copies))


def test_memory_of_batches_that_are_done_with_is_used_again(catalog: Catalog) -> None:
    seen = {batch.pixels.__array_interface__["data"][0] for batch in batches(catalog, stop=40)}
    assert len(seen) <= PREFETCHED_BATCHES + 3


def test_a_product_seen_again_looks_different(catalog: Catalog) -> None:
    first, second = list(batches(catalog, stop=8))[0::7]
    assert not same([first], [second])


def test_no_thread_is_left_whether_finished_left_or_failed(catalog: Catalog) -> None:
    list(batches(catalog))
    assert decoding_threads() == 0
    for _ in batches(catalog):
        assert decoding_threads() > 0
        break
    assert decoding_threads() == 0
    iterator = iter(evaluation_batches(catalog, 24, 2))
    next(iterator)
    iterator.close()
    assert decoding_threads() == 0


def test_a_photo_that_went_bad_is_named_and_stops_the_threads(
    catalog: Catalog, tmp_path: Path
) -> None:
    (tmp_path / "shop/p3/1.jpg").write_bytes(b"no photo")
    with pytest.raises(CatalogError, match=r"p3/1\.jpg was readable before and is not now"):
        list(batches(catalog, stop=20))
    (tmp_path / "shop/p3/1.jpg").unlink()
    with pytest.raises(CatalogError, match=r"p3/1\.jpg was readable before"):
        list(evaluation_batches(catalog, 24, 4))
    assert decoding_threads() == 0


def test_no_more_is_read_ahead_than_a_few_batches(catalog: Catalog) -> None:
    counted, reads = counting(catalog)
    iterator = iter(batches(counted, stop=100, workers=2))
    for _ in range(3):
        next(iterator)
    assert len(reads) <= 8 * (3 + PREFETCHED_BATCHES)
    iterator.close()


def test_many_threads_are_given_more_batches_than_a_few(catalog: Catalog) -> None:
    counted, reads = counting(catalog, gate := threading.Event())
    iterator = iter(batches(counted, stop=100, workers=30))
    first = threading.Thread(target=next, args=(iterator,))
    first.start()
    while len(reads) < 30 and first.is_alive():
        time.sleep(0.001)
    assert len(reads) == 30
    gate.set()
    first.join()
    iterator.close()


def test_evaluation_sees_what_the_function_sees(catalog: Catalog) -> None:
    found = list(evaluation_batches(catalog, 24, 8, workers=3))
    assert [len(pixels) for pixels in found] == [8, 8, 5]
    expected = [load_pixels(catalog.read(photo), 24) for photo in catalog.photos]
    assert np.array_equal(np.concatenate(found), np.stack(expected))
    assert list(evaluation_batches(catalog.subset(()), 24, 8)) == []


def test_photos_of_products_that_cannot_train_are_left_alone(catalog: Catalog) -> None:
    photos = (*catalog.photos, Photo("", "missing.jpg", role="query"))
    assert len(list(batches(catalog.subset(photos), stop=10))) == 10
