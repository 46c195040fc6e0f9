"""Products × photos -> a catalogue folder, resumable, and a contact sheet of it."""

import csv
import io
import json
import os
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

from PIL import Image

from trainer.data.studio.product import make_product
from trainer.data.studio.render import photograph
from trainer.data.studio.scene import CATALOG_PHOTOS
from trainer.errors import CatalogError
from trainer.progress import progress_bar

RENDERER = 1  # raise it when the same seed no longer gives the same pictures
JPEG_QUALITY = 90
LICENCE = "Apache-2.0"
PARAMETERS = "studio.json"
METADATA = "metadata.csv"
COLUMNS = (
    "path", "product_id", "category", "role", "title", "variant", "split", "licence", "source",
    "width", "height", "price", "labels",
)  # fmt: skip


@dataclass(frozen=True)
class StudioParameters:
    """What a catalogue folder is a pure function of."""

    products: int
    photos_per_product: int
    seed: int
    image_size: int
    renderer: int = RENDERER

    def __post_init__(self) -> None:
        for name in ("products", "photos_per_product", "image_size"):
            if getattr(self, name) < 1:
                raise CatalogError(f"{name} must be at least 1, not {getattr(self, name)}.")
        if self.seed < 0:
            raise CatalogError(f"seed must not be negative, got {self.seed}.")


def write_studio_catalog(
    folder: Path,
    *,
    products: int,
    photos_per_product: int,
    seed: int = 0,
    image_size: int = 96,
    workers: int | None = None,
) -> None:
    """Render a shop into `folder`: `metadata.csv` and `images/<product>/<photo>.jpg`.

    An interrupted call is finished by the same call: photos that exist are kept, each appears whole
    or not at all, and `metadata.csv` is written last. Photos 0, 2 and 5 of a product are the shop's
    own (role "catalog"), the others its customers' ("query"). `split` is left empty.

    Args:
        image_size: side of the square photos, pixels.
        workers: processes; None takes one for each core, 1 renders in this process.

    Raises:
        CatalogError: the folder belongs to other parameters or holds something else.
    """
    wanted = StudioParameters(products, photos_per_product, seed, image_size)
    _claim(folder, wanted)
    missing = {
        number: absent
        for number in range(products)
        if (
            absent := tuple(
                photo
                for photo in range(photos_per_product)
                if not (folder / _photo_path(number, photo)).exists()
            )
        )
    }
    if missing:
        total = products * photos_per_product
        left = sum(map(len, missing.values()))
        with (
            progress_bar("Photographing", total, completed=total - left) as bar,
            _pool(min(workers or os.cpu_count() or 1, len(missing))) as pool,
        ):
            tasks = ((folder, wanted, number, photos) for number, photos in missing.items())
            if pool is None:
                for task in tasks:
                    bar.advance(_write_photos(*task))
            else:
                for done in as_completed([pool.submit(_write_photos, *task) for task in tasks]):
                    bar.advance(done.result())
    elif (folder / METADATA).exists():
        return
    _write_whole(folder / METADATA, _metadata(wanted).encode())


def contact_sheet(
    *, seed: int = 0, rows: int = 6, columns: int = 12, image_size: int = 128, gap: int = 4
) -> Image.Image:
    """One product per column, its photos below each other, rendered afresh.

    Args:
        rows: photos of each product.
        columns: products.
        image_size: side of each photo, pixels.
        gap: white pixels between photos.
    """
    pitch = image_size + gap
    sheet = Image.new("RGB", (columns * pitch - gap, rows * pitch - gap), "white")
    for number in range(columns):
        for photo in range(rows):
            picture = Image.fromarray(photograph(seed, number, photo, image_size))
            sheet.paste(picture, (number * pitch, photo * pitch))
    return sheet


def _claim(folder: Path, wanted: StudioParameters) -> None:
    """Make sure that the folder is this catalogue's, or make it so."""
    mark = folder / PARAMETERS
    if mark.exists():
        try:
            found = json.loads(mark.read_bytes())
        except ValueError as error:
            raise CatalogError(
                f"{mark} is not JSON ({error}). Delete the folder or choose another."
            ) from None
        expected = asdict(wanted)
        changes = [
            f"{name}: {found.get(name)} there, {value} wanted"
            for name, value in expected.items()
            if found.get(name) != value
        ]
        if changes:
            raise CatalogError(
                f"{folder} holds another studio catalogue ({'; '.join(changes)}). "
                "Use its parameters, delete it, or choose another folder."
            )
        return
    if folder.exists() and any(folder.iterdir()):
        raise CatalogError(
            f"{folder} is not empty and is no studio catalogue (it has no {PARAMETERS}). "
            "Choose a new or an empty folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    _write_whole(mark, json.dumps(asdict(wanted), indent=2).encode())


@contextmanager
def _pool(workers: int) -> Iterator[Executor | None]:
    """Worker processes, or None where this process should do the work itself."""
    if workers < 2:
        yield None
        return
    # Spawned, never forked: the parent may run JAX's threads.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _write_photos(
    folder: Path, parameters: StudioParameters, number: int, photos: tuple[int, ...]
) -> int:
    """Render the given photos of one product; returns how many."""
    for photo in photos:
        pixels = photograph(parameters.seed, number, photo, parameters.image_size)
        encoded = io.BytesIO()
        Image.fromarray(pixels).save(encoded, "JPEG", quality=JPEG_QUALITY)
        path = folder / _photo_path(number, photo)
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_whole(path, encoded.getvalue())
    return len(photos)


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file that appears complete or not at all; the next try takes over a dead one's."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(data)
    partial.replace(path)


def _product_id(number: int) -> str:
    return f"studio-{number:05d}"


def _photo_path(number: int, photo: int) -> str:
    return f"images/{_product_id(number)}/{photo}.jpg"


def _metadata(parameters: StudioParameters) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n", restval="")
    table.writeheader()
    for number in range(parameters.products):
        product = make_product(parameters.seed, number)
        for photo in range(parameters.photos_per_product):
            table.writerow(
                {
                    "path": _photo_path(number, photo),
                    "product_id": _product_id(number),
                    "category": product.family,
                    "role": "catalog" if photo in CATALOG_PHOTOS else "query",
                    "title": product.title,
                    "variant": product.look.colour,
                    "licence": LICENCE,
                    "source": f"studio seed {parameters.seed}",
                    "width": parameters.image_size,
                    "height": parameters.image_size,
                    "price": f"{product.price:.2f}",
                    "labels": ";".join(f"{k}={v}" for k, v in product.labels.items()),
                }
            )
    return text.getvalue()
