"""The studio's folder: the same from any number of workers, whole or absent, resumable."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trainer.data.catalog import open_catalog
from trainer.data.studio import write_studio_catalog
from trainer.data.studio.writer import METADATA, PARAMETERS
from trainer.errors import CatalogError

SHOP = {"products": 5, "photos_per_product": 4, "seed": 1, "image_size": 32}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studio") / "shop"
    write_studio_catalog(folder, **SHOP, workers=1)
    return folder


def test_two_processes_write_what_one_writes(shop: Path, tmp_path: Path) -> None:
    write_studio_catalog(tmp_path / "shop", **SHOP, workers=2)
    assert contents(tmp_path / "shop") == contents(shop)


def test_the_metadata_lists_every_photo_with_its_role_and_labels(shop: Path) -> None:
    with (shop / METADATA).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20
    assert all((shop / row["path"]).is_file() for row in rows)
    assert [row["role"] for row in rows[:4]] == ["catalog", "query", "catalog", "query"]
    assert {row["split"] for row in rows} == {""}
    labels = dict(pair.split("=") for pair in rows[0]["labels"].split(";"))
    assert set(labels) == {"colour", "pattern", "material"}
    assert rows[0]["variant"] == labels["colour"]


def test_the_catalogue_reader_reads_it(shop: Path) -> None:
    catalog = open_catalog(shop)
    assert len(catalog.photos) == 20
    first = catalog.photos[0]
    assert first.role == "catalog"
    assert dict(first.labels)["colour"]
    assert first.title
    assert first.price
    assert catalog.read(first).startswith(b"\xff\xd8")


def test_a_second_call_touches_nothing(shop: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in shop.rglob("*")}
    write_studio_catalog(shop, **SHOP, workers=1)
    assert {path: path.stat().st_mtime_ns for path in shop.rglob("*")} == before


def test_a_killed_run_leaves_whole_photos_and_is_finished_by_the_same_call(
    shop: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "shop"
    program = (
        "import sys; from pathlib import Path; from trainer.data.studio import *;"
        f"write_studio_catalog(Path(sys.argv[1]), **{SHOP!r}, workers=1)"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(folder)])
    try:
        limit = time.monotonic() + 60
        while len(list(folder.glob("images/*/*.jpg"))) < 3 and time.monotonic() < limit:
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    finished = contents(shop)
    kept = {n: d for n, d in contents(folder).items() if not n.endswith(".partial")}
    assert 3 <= sum(name.endswith(".jpg") for name in kept) < 20
    assert METADATA not in kept
    assert all(finished[name] == data for name, data in kept.items())
    write_studio_catalog(folder, **SHOP, workers=1)
    assert contents(folder) == finished


def test_other_parameters_are_refused_with_the_difference(shop: Path) -> None:
    with pytest.raises(CatalogError, match="seed: 1 there, 2 wanted"):
        write_studio_catalog(shop, **{**SHOP, "seed": 2})


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(CatalogError, match="not empty"):
        write_studio_catalog(tmp_path, **SHOP)
    assert contents(tmp_path) == {"mine.txt": b"keep"}


def test_a_broken_parameter_file_is_named(tmp_path: Path) -> None:
    (tmp_path / PARAMETERS).write_text("{")
    with pytest.raises(CatalogError, match=r"studio\.json is not JSON"):
        write_studio_catalog(tmp_path, **SHOP)


@pytest.mark.parametrize("name", ["products", "photos_per_product", "image_size"])
def test_sizes_below_one_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CatalogError, match=f"{name} must be at least 1, not 0"):
        write_studio_catalog(tmp_path / "shop", **{**SHOP, name: 0})


def test_the_parameters_are_written_for_people_too(shop: Path) -> None:
    assert json.loads((shop / PARAMETERS).read_text()).items() >= SHOP.items()
