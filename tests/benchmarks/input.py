"""Photos a second into training, against a torch DataLoader and against decoding alone.

    python -m tests.benchmarks.input [CATALOGUE ...] [--sizes 224 128 64]

A catalogue is what `lookalike train` takes; none: the real photos that the tests use, where there
are any. Synthetic photos of 1024 × 768 pixels come with them.

- images/s: `TrainingBatches`, which decode, crop and mirror.
- with colour: the same, and `recolour` on this machine's processor after it; on an accelerator it
  costs the processor nothing.
- torch: `peers/input.py`, which does all of that on the host, with as many workers as cores.
- decode: nothing but decoding the same photos at the same scale, on all cores.

Each is the best of some rounds in turn, so that a busy machine is unfair to none of them.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from itertools import count
from pathlib import Path

import jax
import numpy as np
from PIL import Image

from tests.benchmarks.peers import run_peer
from tests.benchmarks.timing import Row, report
from trainer.data.augmentation import Augmentation, draw_changes
from trainer.data.catalog import open_catalog
from trainer.data.crop import decode_for_crop
from trainer.data.pipeline import MOST_PHOTOS_PER_TASK, Batch, TrainingBatches
from trainer.data.recolour import recolour
from trainer.data.records import Catalog, Photo
from trainer.data.sampler import PKSampler
from trainer.data.sources import FolderSource
from trainer.progress import progress_bar

BATCH = 64
PHOTOS_PER_SET = 512
CORES = os.cpu_count() or 1
REAL_PHOTOS = Path(
    os.environ.get("LOOKALIKE_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")
)


def synthetic_photos() -> list[bytes]:
    """Shapes under smooth noise: JPEGs of the size of a shop's pictures, 1024 × 768."""
    random = np.random.default_rng(0)
    photos = []
    for _ in range(PHOTOS_PER_SET // 8):
        coarse, fine = (
            Image.fromarray(random.integers(0, 256, (rows, rows * 4 // 3, 3), dtype=np.uint8))
            for rows in (6, 192)
        )
        layers = (image.resize((1024, 768), Image.Resampling.BICUBIC) for image in (coarse, fine))
        file = BytesIO()
        Image.blend(*layers, 0.12).save(file, "JPEG", quality=90)
        photos.append(file.getvalue())
    return photos


def catalogue_photos(path: Path) -> list[bytes]:
    """Some photos, from all over the catalogue."""
    catalog = open_catalog(path)
    chosen = np.random.default_rng(0).permutation(len(catalog.photos))[:PHOTOS_PER_SET]
    return [catalog.read(catalog.photos[number]) for number in chosen]


def training_batches(folder: Path, size: int) -> TrainingBatches:
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
    )


def pipeline_rate(
    batches: TrainingBatches, seconds: float, use: Callable[[Batch], object]
) -> float:
    """Photos a second; `use` is done with each batch, as a training loop would."""
    iterator = iter(batches)
    # What was made while nothing was asked for does not count.
    for _ in range(4):
        use(next(iterator))
    start, seen = time.perf_counter(), 0
    while (taken := time.perf_counter() - start) < seconds:
        batch = next(iterator)
        use(batch)
        seen += len(batch.labels)
    iterator.close()
    return seen / taken


def decode_rate(photos: Sequence[bytes], size: int, seconds: float) -> float:
    """Photos a second that all cores decode, each at the scale of a crop of training."""
    crops = draw_changes(Augmentation(), len(photos), seed=0, step=0).crops
    end = time.perf_counter() + seconds

    def decode(first: int) -> int:
        for number in count():
            if time.perf_counter() > end:
                return number * MOST_PHOTOS_PER_TASK
            for photo in range(MOST_PHOTOS_PER_TASK):
                place = (first + number * MOST_PHOTOS_PER_TASK + photo) % len(photos)
                decode_for_crop(photos[place], size, crops[place])
        raise AssertionError

    start = time.perf_counter()
    with ThreadPoolExecutor(CORES) as pool:
        decoded = sum(pool.map(decode, range(0, len(photos), max(1, len(photos) // CORES))))
    return decoded / (time.perf_counter() - start)


def recoloured(batch: Batch) -> None:
    recolour(*jax.device_put((batch.pixels, batch.colour))).block_until_ready()


def measure(name: str, photos: Sequence[bytes], size: int, seconds: float, rounds: int) -> Row:
    best = dict.fromkeys(("images/s", "with colour", "torch", "decode"), 0.0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for number, photo in enumerate(photos):
            (folder / f"{number:05d}").write_bytes(photo)
        batches = training_batches(folder, size)
        for _ in range(rounds):
            peer = run_peer(
                "input", folder, "--size", size, "--workers", CORES, "--batch", BATCH,
                "--seconds", seconds,
            )  # fmt: skip
            found = {
                "images/s": pipeline_rate(batches, seconds, lambda batch: None),
                "with colour": pipeline_rate(batches, seconds, recoloured),
                "torch": peer["images_per_second"],
                "decode": decode_rate(photos, size, seconds),
            }
            best = {key: max(rate, found[key]) for key, rate in best.items()}
    return {
        "photos": name,
        "pixels": size,
        **best,
        "images/s ÷ torch": best["images/s"] / best["torch"],
        "with colour ÷ torch": best["with colour"] / best["torch"],
        "images/s ÷ decode": best["images/s"] / best["decode"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("catalogues", type=Path, nargs="*")
    parser.add_argument("--sizes", type=int, nargs="+", default=(224, 128, 64))
    parser.add_argument("--seconds", type=float, default=1.5, help="of each of the four")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    real = (REAL_PHOTOS / f"{name}.tar" for name in ("luma", "clothing", "grocery"))
    paths = arguments.catalogues or [path for path in real if path.exists()]
    sets = {path.stem: catalogue_photos(path) for path in paths}
    sets["synthetic 1024 × 768"] = synthetic_photos()
    rows: list[Row] = []
    with progress_bar("Measuring", len(sets) * len(arguments.sizes)) as bar:
        for name, photos in sets.items():
            for size in arguments.sizes:
                rows.append(measure(name, photos, size, arguments.seconds, arguments.rounds))
                bar.advance(note=f"{name}, {size} px")
    report("input", f"Photos a second into training, {CORES} cores, batch {BATCH}", rows)


if __name__ == "__main__":
    main()
