"""Unreadable photos are found before training, and named."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from function.storage import open_storage
from trainer.data.catalog import open_catalog
from trainer.data.records import Catalog
from trainer.data.screen import screen
from trainer.errors import CatalogError


@pytest.fixture
def damaged(products: Callable[[int, int], Path]) -> Catalog:
    """Six photos: row 3 is text, row 4 cut off, row 6 missing."""
    folder = products(3, 2)
    (folder / "p0/1.jpg").write_bytes(b"no photo")
    whole = (folder / "p1/0.jpg").read_bytes()
    (folder / "p1/0.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "p2/0.jpg").unlink()
    return open_catalog(folder)


def test_bad_photos_are_dropped_counted_and_listed(
    damaged: Catalog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "run" / "bad.csv"
    kept = screen(damaged, report=report, workers=2)
    assert [photo.row for photo in kept.photos] == [2, 5, 7]
    with report.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["row"], row["image"]) for row in rows] == [
        ("3", "p0/1.jpg"),
        ("4", "p1/0.jpg"),
        ("6", "p2/0.jpg"),
    ]
    assert "not an image of a type" in rows[0]["reason"]
    assert "damaged or incomplete" in rows[1]["reason"]
    assert rows[2]["reason"] == "there is no such file"
    assert "3 of 6 photos are skipped" in capsys.readouterr().err


def test_bad_photos_fail_where_that_is_asked(damaged: Catalog) -> None:
    with pytest.raises(CatalogError) as caught:
        screen(damaged, on_bad_photo="fail")
    message = str(caught.value)
    assert "3 problems" in message
    assert "row 3: p0/1.jpg: " in message
    assert "row 6: p2/0.jpg: there is no such file" in message


def test_the_report_may_lie_in_a_storage_and_goes_when_all_is_well(
    damaged: Catalog, storage_root: str
) -> None:
    storage = open_storage(storage_root)
    kept = screen(damaged, report=storage)
    assert storage.read("bad_photos.csv").startswith(b"row,image,reason\n3,p0/1.jpg,")
    assert screen(kept, report=storage).photos == kept.photos
    assert not storage.exists("bad_photos.csv")


def test_a_catalogue_without_one_readable_photo_is_refused(shop: Callable[..., Path]) -> None:
    folder = shop([{"id": "1", "image": "a.jpg"}], photos=False)
    with pytest.raises(CatalogError, match=r"row 2: a\.jpg: there is no such file"):
        screen(open_catalog(folder))
