"""Pictures for the tests of duplicates."""

from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainer.data.catalog import open_catalog
from trainer.data.records import Catalog


def make_picture(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 200, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture(scope="session")
def picture() -> Callable[..., Image.Image]:
    """Makes smooth noise, another for each seed: `picture(seed, (width, height))`."""
    return make_picture


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """Makes a photo's bytes: `encode(image, "PNG", quality=90)`."""

    def make(image: Image.Image, kind: str = "JPEG", quality: int = 90) -> bytes:
        file = BytesIO()
        image.save(file, kind, quality=quality)
        return file.getvalue()

    return make


@pytest.fixture
def photos(tmp_path: Path) -> Callable[[Mapping[str, bytes]], Catalog]:
    """Makes a catalogue of photos by "product/name"."""

    def make(files: Mapping[str, bytes]) -> Catalog:
        folder = tmp_path / "photos"
        for name, data in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return open_catalog(folder)

    return make
