"""A catalogue in a bucket is the catalogue that it was here: its listing, its photos, its name."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from function.storage import open_storage
from trainer.data.catalog import open_catalog, open_source
from trainer.errors import CatalogError


def put(folder: Path, bucket: str) -> str:
    """Copy a folder into the bucket; its URI there."""
    storage = open_storage(bucket).child("shop")
    for path in folder.rglob("*"):
        if path.is_file():
            storage.upload(path, path.relative_to(folder).as_posix())
    return f"{bucket}/shop"


def as_folders(folder: Path) -> str:
    (folder / "metadata.csv").unlink()
    return ""


def as_parts(folder: Path) -> str:
    listed = [(photo.product_id, photo.image) for photo in open_catalog(folder).photos]
    for number in range(2):
        ids, images = zip(*listed[number::2], strict=True)
        table = arrow.table({"product_id": ids, "image": images})
        parquet.write_table(table, folder / f"part-{number}.parquet")
    (folder / "metadata.csv").unlink()
    return ""


def as_json_lines(folder: Path) -> str:
    lines = [
        f'{{"product_id": "{photo.product_id}", "image": "{photo.image}"}}'
        for photo in open_catalog(folder).photos
    ]
    (folder / "shop.jsonl").write_text("\n".join(lines))
    return "/shop.jsonl"


@pytest.mark.parametrize(
    "shape", [lambda folder: "", as_folders, as_parts, as_json_lines, lambda _: "/metadata.csv"]
)
def test_it_is_the_same_wherever_it_lies(
    shape: Callable[[Path], str], products: Callable[[int, int], Path], gcs_emulator: str
) -> None:
    folder = products(3, 2)
    name = shape(folder)
    here, there = open_catalog(f"{folder}{name}"), open_catalog(put(folder, gcs_emulator) + name)
    assert there.photos == here.photos
    assert there.fingerprint == here.fingerprint
    assert [there.read(photo) for photo in there.photos] == [here.read(p) for p in here.photos]
    again = open_source(there.source.location)
    assert again.read(there.photos[0].image) == here.read(here.photos[0])


def test_photos_that_are_missing_there_are_told(
    products: Callable[[int, int], Path], gcs_emulator: str
) -> None:
    location = put(products(2, 1), gcs_emulator)
    catalog = open_catalog(f"{location}/")
    open_storage(location).delete(catalog.photos[0].image)
    elsewhere = f"{gcs_emulator}/none.jpg"
    images = [photo.image for photo in catalog.photos]
    size = len(catalog.read(catalog.photos[1]))
    assert catalog.source.sizes([*images, elsewhere]) == [None, size, None]
    with pytest.raises(FileNotFoundError):
        catalog.read(catalog.photos[0])


def test_what_cannot_be_read_there_is_refused_with_what_to_do(gcs_emulator: str) -> None:
    storage = open_storage(gcs_emulator)
    storage.write("bad/metadata.csv", b"id,image\n1,../a.jpg\n")
    storage.write("prepared/dataset_info.json", b"{}")
    storage.write("loose/a.jpg", b"")
    for name, message in (
        ("none", "does not exist"),
        ("none.csv", "does not exist"),
        ("shop.tar", "copy it here first"),
        ("prepared", "copy it here"),
        ("bad", f"{gcs_emulator}/bad/metadata.csv"),
        ("loose", "lies in no product's folder"),
    ):
        with pytest.raises(CatalogError, match=message):
            open_catalog(f"{gcs_emulator}/{name}")
