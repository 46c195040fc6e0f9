"""Photos that show the same picture are found at publication, and shown once if that is asked."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from function.loading import load_search_engine
from function.photo import load_pixels
from function.storage import open_storage
from tests.releases import IMAGE_SIZE, draw_photo, tiny_model
from trainer.data.catalog import open_catalog
from trainer.release.copies import Signatures, same_pictures, signature
from trainer.release.publish import publish


def saved(image: Image.Image, **options: int) -> bytes:
    output = BytesIO()
    image.save(output, "JPEG", **options)
    return output.getvalue()


def half(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC)


def test_a_copy_names_the_first_photo_of_its_picture() -> None:
    shoe, other = draw_photo(3, 0), draw_photo(4, 0)
    photos = [
        saved(other),
        saved(shoe),
        saved(shoe, quality=40),
        saved(draw_photo(3, 1)),
        saved(half(shoe)),
        saved(other),
    ]
    found = same_pictures(Signatures.of([signature(load_pixels(photo, 64)) for photo in photos]))
    assert found.tolist() == [0, 1, 1, 3, 1, 0]


@pytest.mark.parametrize("size", [32, 224, 384])
def test_real_photos_are_recognised_at_any_input_size(shared_data: Path, size: int) -> None:
    catalog = open_catalog(shared_data / "luma.tar")
    photos = [catalog.read(photo) for photo in catalog.photos[::25]]
    copies = [saved(half(Image.open(BytesIO(photo)).convert("RGB"))) for photo in photos]
    signatures = [signature(load_pixels(data, size)) for data in photos + copies]
    found = same_pictures(Signatures.of(signatures))
    assert found[: len(photos)].tolist() == list(range(len(photos)))
    assert np.mean(found[len(photos) :] == found[: len(photos)]) >= 0.95


def test_goods_listed_twice_are_served_once_if_that_is_asked(tmp_path: Path) -> None:
    pictures: dict[str, Callable[[], bytes]] = {
        "a/main.jpg": lambda: saved(draw_photo(3, 0)),
        "again/main.jpg": lambda: saved(half(draw_photo(3, 0)), quality=60),
        "z/main.jpg": lambda: saved(draw_photo(4, 0)),
    }
    for name, make in pictures.items():
        (tmp_path / "shop" / name).parent.mkdir(parents=True)
        (tmp_path / "shop" / name).write_bytes(make())
    root = str(tmp_path / "root")
    catalog = open_catalog(tmp_path / "shop")
    publish(tiny_model(), IMAGE_SIZE, catalog, root, evaluation={})
    engine = load_search_engine(open_storage(root), engine="openvino", cache_dir=tmp_path / "cache")
    pixels = load_pixels(pictures["a/main.jpg"](), IMAGE_SIZE)

    def found(**options: bool) -> list[str]:
        return [match.product.id for match in engine.search(pixels, 2, **options).matches]

    assert found() == ["a", "again"]
    assert found(collapse_duplicates=True) == ["a", "z"]
    engine.catalog.close()
