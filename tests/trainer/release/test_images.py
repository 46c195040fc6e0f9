"""Stored photos show what was sent, and tell nothing else about it."""

from io import BytesIO
from pathlib import Path

from PIL import Image

from function.storage import open_storage
from trainer.release.images import ImageStore


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_large_photos_shrink_and_get_a_thumbnail(tmp_path: Path) -> None:
    store = ImageStore(open_storage(tmp_path))
    stored = store.add(encoded(Image.new("RGB", (3000, 1000), "red")))
    for sha256, size in ((stored.sha256, (1600, 533)), (stored.thumbnail_sha256, (320, 107))):
        with Image.open(tmp_path / "images" / f"{sha256}.jpg") as image:
            assert image.format == "JPEG"
            assert image.size == size


def test_a_small_photo_is_its_own_thumbnail(tmp_path: Path) -> None:
    stored = ImageStore(open_storage(tmp_path)).add(encoded(Image.new("RGB", (320, 200)), "PNG"))
    assert stored.thumbnail_sha256 == ""
    assert len(list((tmp_path / "images").iterdir())) == 1


def test_neither_position_nor_orientation_is_kept(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[1] = "N"
    photo = encoded(Image.new("RGB", (300, 100)), exif=exif)
    stored = ImageStore(open_storage(tmp_path)).add(photo)
    with Image.open(tmp_path / "images" / f"{stored.sha256}.jpg") as image:
        assert image.size == (100, 300)
        assert not image.getexif()


def test_what_is_there_is_not_written_again(storage_root: str) -> None:
    storage = open_storage(storage_root)
    photo = encoded(Image.new("RGB", (100, 100), "blue"))
    first = ImageStore(storage).add(photo)
    storage.write(f"images/{first.sha256}.jpg", b"would be overwritten")
    assert ImageStore(storage).add(photo) == first
    assert storage.read(f"images/{first.sha256}.jpg") == b"would be overwritten"
