"""Parquet listings of any length: the same photos as a catalogue's, and none kept."""

from pathlib import Path

import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from trainer.data.catalog import open_catalog, open_source
from trainer.data.large import open_large
from trainer.errors import CatalogError


def write(path: Path, first: int, count: int, **columns: list[object]) -> None:
    numbers = range(first, first + count)
    table = {
        "sku": [f"p{number // 2}" for number in numbers],
        "image": [f"photos/{number}.jpg" for number in numbers],
        "labels": [[{"key": "colour", "value": "red"}] for _ in numbers],
        "role": ["query" if number % 5 == 4 else "catalog" for number in numbers],
        **columns,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(arrow.table(table), path, row_group_size=3)


def test_a_folder_of_parquet_files_is_one_catalogue(tmp_path: Path) -> None:
    write(tmp_path / "listing/part-1.parquet", 7, 5)
    write(tmp_path / "listing/part-0.parquet", 0, 7)
    (tmp_path / "listing/_metadata.parquet").write_bytes(b"not a part")
    (tmp_path / "listing/photos").mkdir()
    (tmp_path / "listing/photos/3.jpg").write_bytes(b"photo")
    write(tmp_path / "whole.parquet", 0, 12)
    catalog = open_catalog(tmp_path / "listing")
    assert catalog.photos == open_catalog(tmp_path / "whole.parquet").photos
    assert catalog.photos[8].row == 9
    assert catalog.read(catalog.photos[3]) == b"photo"
    assert open_source(catalog.source.location).read("photos/3.jpg") == b"photo"


def test_a_large_listing_has_the_photos_of_the_catalogue(tmp_path: Path) -> None:
    write(tmp_path / "listing/a.parquet", 0, 7)
    write(tmp_path / "listing/b.parquet", 7, 5)
    large = open_large(tmp_path / "listing")
    assert (large.name, large.rows) == ("listing", 12)
    assert tuple(large.photos()) == open_catalog(tmp_path / "listing").photos
    assert tuple(large.photos()) == tuple(large.photos())
    write(tmp_path / "other/a.parquet", 0, 7)
    write(tmp_path / "other/b.parquet", 7, 5)
    assert open_large(tmp_path / "other").fingerprint == large.fingerprint
    write(tmp_path / "other/b.parquet", 8, 5)
    assert open_large(tmp_path / "other").fingerprint != large.fingerprint


def test_bad_rows_of_a_large_listing_are_named_after_the_good_ones(tmp_path: Path) -> None:
    images: list[object] = [f"{number}.jpg" for number in range(40)]
    images[3:30] = ["/absolute.jpg"] * 27
    write(tmp_path / "a.parquet", 0, 40, image=images)
    photos = open_large(tmp_path / "a.parquet").photos()
    assert [next(photos).image for _ in range(3)] == images[:3]
    with pytest.raises(CatalogError, match=r"10 problems\n  row 4: .*\n(  row .*\n){8}  row 13: "):
        next(photos)


def test_parts_must_have_the_same_columns(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", 0, 2)
    write(tmp_path / "b.parquet", 2, 2, title=["x", "y"])
    with pytest.raises(CatalogError, match=r"b\.parquet: expected the columns of a\.parquet"):
        open_catalog(tmp_path)


@pytest.mark.parametrize("name", ["folder", "a.csv", "missing.parquet", "text.parquet"])
def test_what_is_no_parquet_listing_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.csv").write_text("product_id,image\n")
    (tmp_path / "text.parquet").write_text("no Parquet")
    with pytest.raises(CatalogError, match="Parquet file"):
        open_large(tmp_path / name)
