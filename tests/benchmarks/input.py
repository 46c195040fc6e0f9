"""Photos a second into training, against a torch DataLoader, Grain and decoding alone.

    python -m tests.benchmarks.input [CATALOGUE ...] [--sizes 224 128 64]

A catalogue is what `lookalike train` takes; none: the real photos that the tests use, where there
are any. Synthetic photos come with them, as large as a shop's and as a listing's.

- images/s: `TrainingBatches` for an accelerator: files are read and decoded, and what the device
  makes its squares from is laid out. Resizing and recolouring are the device's and not counted.
- on this processor: all of it, as when it trains too: the host crops, resizes and mirrors, and
  `recolour` runs after it.
- torch, Grain: `peers/input.py`, which does all of that on the host, with as many worker processes
  as cores.
- decode: nothing but decoding the same JPEGs, from memory, at the same scales, on all cores, by the
  fastest decoder known: simplejpeg's (libjpeg-turbo), into memory that each thread keeps.
- Pillow: the same by Pillow's `draft` and `load`, which give the same pixels.

Each is the best of some rounds in turn, so that a busy machine is unfair to none of them.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from itertools import count
from pathlib import Path

import jax
import numpy as np
from PIL import Image

from function.photo import plain_jpeg
from tests.benchmarks.peers import run_peer
from tests.benchmarks.timing import Row, report
from trainer.data.augmentation import Augmentation, draw_changes
from trainer.data.catalog import open_catalog
from trainer.data.crop import jpeg_factor
from trainer.data.pipeline import MOST_PHOTOS_PER_TASK, Batch, Resize, TrainingBatches
from trainer.data.recolour import recolour
from trainer.data.records import Catalog, Photo
from trainer.data.sampler import PKSampler
from trainer.data.sources import FolderSource
from trainer.progress import progress_bar

BATCH = 64
PHOTOS_PER_SET = 512
CORES = os.cpu_count() or 1
SYNTHETIC_SIZES = ((1024, 768), (500, 400))
REAL_PHOTOS = Path(
    os.environ.get("LOOKALIKE_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")
)


def synthetic_photos(size: tuple[int, int]) -> list[bytes]:
    """Shapes under smooth noise: JPEGs of so many pixels."""
    random = np.random.default_rng(0)
    width, height = size
    photos = []
    for _ in range(PHOTOS_PER_SET // 8):
        coarse, fine = (
            Image.fromarray(random.integers(0, 256, (rows, rows * width // height, 3), np.uint8))
            for rows in (6, height // 4)
        )
        layers = (image.resize(size, Image.Resampling.BICUBIC) for image in (coarse, fine))
        file = BytesIO()
        Image.blend(*layers, 0.12).save(file, "JPEG", quality=90)
        photos.append(file.getvalue())
    return photos


def catalogue_photos(path: Path) -> list[bytes]:
    """Some photos, from all over the catalogue."""
    catalog = open_catalog(path)
    chosen = np.random.default_rng(0).permutation(len(catalog.photos))[:PHOTOS_PER_SET]
    return [catalog.read(catalog.photos[number]) for number in chosen]


def training_batches(folder: Path, size: int, resize: Resize) -> TrainingBatches:
    files = sorted(path.name for path in folder.iterdir())
    products = [str(number // 2) for number in range(len(files))]
    photos = tuple(map(Photo, products, files))
    sampler = PKSampler(
        products,
        [""] * len(files),
        products_per_batch=BATCH // 2,
        photos_per_product=2,
        seed=0,
    )
    return TrainingBatches(
        catalog=Catalog(folder.name, FolderSource(folder, str(folder)), photos),
        sampler=sampler,
        augmentation=Augmentation(),
        image_size=size,
        seed=0,
        start_step=0,
        stop_step=10**6,
        resize=resize,
    )


def pipeline_rate(
    batches: TrainingBatches, seconds: float, use: Callable[[Batch], object]
) -> float:
    """Photos a second; `use` is done with each batch, as a training loop would."""
    iterator = iter(batches)
    # What was made while nothing was asked for does not count, nor the first use of memory.
    for _ in range(12):
        use(next(iterator))
    start, seen = time.perf_counter(), 0
    while (taken := time.perf_counter() - start) < seconds:
        batch = next(iterator)
        use(batch)
        seen += len(batch.labels)
    iterator.close()
    return seen / taken


def decode_rate(decoders: Sequence[Callable[[], object]], seconds: float) -> float:
    """Photos a second that all cores decode, each by its own of the decoders."""
    end = time.perf_counter() + seconds

    def decode(first: int) -> int:
        for number in count():
            if time.perf_counter() > end:
                return number * MOST_PHOTOS_PER_TASK
            for photo in range(MOST_PHOTOS_PER_TASK):
                decoders[(first + number * MOST_PHOTOS_PER_TASK + photo) % len(decoders)]()
        raise AssertionError

    start = time.perf_counter()
    with ThreadPoolExecutor(CORES) as pool:
        decoded = sum(pool.map(decode, range(0, len(decoders), max(1, len(decoders) // CORES))))
    return decoded / (time.perf_counter() - start)


def decoders_of(photos: Sequence[bytes], size: int) -> tuple[list[Callable[[], object]], ...]:
    """What decodes each JPEG at the scale of a crop of training: the fastest way, and Pillow's."""
    crops = draw_changes(Augmentation(), len(photos), seed=0, step=0).crops
    fastest, by_pillow = [], []
    for photo, crop in zip(photos, crops, strict=True):
        if (jpeg := plain_jpeg(photo)) is not None:
            factor = jpeg_factor(jpeg, size, crop)
            fastest.append(partial(jpeg.decode, factor))
            by_pillow.append(partial(decode_by_pillow, photo, factor))
    return fastest, by_pillow


def decode_by_pillow(photo: bytes, factor: int) -> None:
    image = Image.open(BytesIO(photo), formats=("JPEG",))
    image.draft(None, (image.width // factor, image.height // factor))
    image.load()


def peer_rate(loader: str, folder: Path, size: int, seconds: float) -> float:
    settings = ("--size", size, "--workers", CORES, "--batch", BATCH, "--seconds", seconds)
    return float(run_peer("input", loader, folder, *settings)["images_per_second"])


def recoloured(batch: Batch) -> None:
    recolour(*jax.device_put((batch.pixels, batch.colour))).block_until_ready()


def measure(name: str, photos: Sequence[bytes], size: int, seconds: float, rounds: int) -> Row:
    best: dict[str, float] = {}
    fastest, by_pillow = decoders_of(photos, size)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for number, photo in enumerate(photos):
            (folder / f"{number:05d}").write_bytes(photo)
        for_device = training_batches(folder, size, "device")
        on_host = training_batches(folder, size, "host")
        for _ in range(rounds):
            found = {
                "images/s": pipeline_rate(for_device, seconds, lambda batch: None),
                "on this processor": pipeline_rate(on_host, seconds, recoloured),
                "torch": peer_rate("torch", folder, size, seconds),
                "Grain": peer_rate("grain", folder, size, seconds),
                "decode": decode_rate(fastest, seconds),
                "Pillow": decode_rate(by_pillow, seconds),
            }
            best = {key: max(rate, best.get(key, 0.0)) for key, rate in found.items()}
    return {
        "photos": name,
        "pixels": size,
        **best,
        "images/s ÷ decode": best["images/s"] / best["decode"],
        "on this processor ÷ torch": best["on this processor"] / best["torch"],
        "on this processor ÷ Grain": best["on this processor"] / best["Grain"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("catalogues", type=Path, nargs="*")
    parser.add_argument("--sizes", type=int, nargs="+", default=(224, 128, 64))
    parser.add_argument("--seconds", type=float, default=3.0, help="of each of the six")
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    real = (REAL_PHOTOS / f"{name}.tar" for name in ("luma", "clothing", "grocery"))
    paths = arguments.catalogues or [path for path in real if path.exists()]
    sets = {path.stem: catalogue_photos(path) for path in paths}
    for width, height in SYNTHETIC_SIZES:
        sets[f"synthetic {width} × {height}"] = synthetic_photos((width, height))
    rows: list[Row] = []
    with progress_bar("Measuring", len(sets) * len(arguments.sizes)) as bar:
        for name, photos in sets.items():
            for size in arguments.sizes:
                rows.append(measure(name, photos, size, arguments.seconds, arguments.rounds))
                bar.advance(note=f"{name}, {size} px")
    report("input", f"Photos a second into training, {CORES} cores, batch {BATCH}", rows)


if __name__ == "__main__":
    main()
