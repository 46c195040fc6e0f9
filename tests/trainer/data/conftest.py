"""Small catalogues that the tests write."""

import csv
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainer.data.file_server import Server

Rows = Iterable[Mapping[str, str]]


def jpeg(seed: int = 0, size: tuple[int, int] = (40, 30)) -> bytes:
    """A photo of smooth noise: another one for each seed."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


@pytest.fixture
def photo() -> Callable[..., bytes]:
    """Makes the bytes of a JPEG: `photo(seed, (width, height))`."""
    return jpeg


@pytest.fixture
def shop(tmp_path: Path) -> Callable[..., Path]:
    """Writes a folder with metadata.csv and, for each row, its photo; returns the folder."""

    def write(rows: Rows, *, photos: bool = True, image: str = "image") -> Path:
        folder = tmp_path / "shop"
        folder.mkdir(exist_ok=True)
        rows = list(rows)
        columns = list(dict.fromkeys(key for row in rows for key in row))
        with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)
        for seed, row in enumerate(rows if photos else []):
            path = folder / row[image]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg(seed))
        return folder

    return write


@pytest.fixture
def products(shop: Callable[..., Path]) -> Callable[[int, int], Path]:
    """Writes a shop of so many products with so many photos each."""

    def write(count: int, photos_each: int) -> Path:
        return shop(
            {"product_id": f"p{product}", "image": f"p{product}/{photo}.jpg"}
            for product in range(count)
            for photo in range(photos_each)
        )

    return write


@pytest.fixture
def server() -> Iterator[Server]:
    """A running web server of one file."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
