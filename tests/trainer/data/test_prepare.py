"""A prepared folder is whole or not there, and says what it was made from."""

import csv
import json
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.data.file_server import Server
from tests.trainer.data.published import write_cars, write_cub, write_inshop, write_sop, zipped
from trainer.cli import main
from trainer.data.catalog import open_catalog
from trainer.data.download import check_md5
from trainer.data.prepare import benchmarks
from trainer.data.prepare.benchmark import Benchmark
from trainer.data.prepare.benchmarks import BENCHMARKS, prepare_benchmark
from trainer.data.prepare.catalogs import prepare_catalog
from trainer.errors import CatalogError

WRITERS = {"sop": write_sop, "inshop": write_inshop, "cub": write_cub, "cars": write_cars}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "published" / "Data_Set"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def sop(tree: Path) -> Benchmark:
    return write_sop(tree)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "data" / "prepared"


def md5_of(path: Path) -> str:
    with pytest.raises(CatalogError) as caught:
        check_md5(path, "")
    return str(caught.value).partition("found ")[2][:32]


@pytest.mark.parametrize("name", WRITERS)
def test_a_prepared_data_set_is_the_published_one(name: str, tree: Path, out: Path) -> None:
    benchmark = WRITERS[name](tree)
    prepared, already = prepare_benchmark(benchmark, out, source=tree)
    assert not already
    assert (prepared.photos, prepared.products, prepared.bad_photos) == (8, 4, 0)
    published, catalog = benchmark.open(tree), open_catalog(out)
    assert catalog.photos == published.photos
    assert catalog.fingerprint == published.fingerprint
    for photo in published.photos:
        assert catalog.read(photo) == published.read(photo)
    assert {path.name for path in out.parent.iterdir()} == {"prepared"}


def test_zip_and_folder_give_the_same(sop: Benchmark, tree: Path, tmp_path: Path) -> None:
    archive = zipped(tree)
    sop = replace(sop, md5=md5_of(archive))
    for name, source in (("a", archive), ("b", tree)):
        prepare_benchmark(sop, tmp_path / name, source=source)
    first, second = tmp_path / "a", tmp_path / "b"
    names = sorted(path.name for path in first.iterdir())
    assert names == sorted(path.name for path in second.iterdir())
    assert [(first / n).read_bytes() for n in names] == [(second / n).read_bytes() for n in names]


def test_another_zip_than_the_published_one_is_refused(tree: Path, out: Path) -> None:
    write_sop(tree)
    with pytest.raises(CatalogError, match=r"expected md5 7f73d41a2f44250d4779881525aea32e, found"):
        prepare_benchmark(BENCHMARKS["sop"], out, source=zipped(tree))
    assert not out.exists()


def test_a_file_beside_the_listing_is_checked(tree: Path, out: Path) -> None:
    write_cars(tree)
    with pytest.raises(CatalogError, match=r"cars_annos\.mat: expected md5 b407c6086d669747186bd1"):
        prepare_benchmark(BENCHMARKS["cars"], out, source=tree)


def test_an_incomplete_copy_is_refused_with_its_counts(tree: Path, out: Path) -> None:
    write_sop(tree)
    with pytest.raises(CatalogError, match="train: expected 59,551 images, found 4"):
        prepare_benchmark(BENCHMARKS["sop"], out, source=tree)
    assert not list(out.parent.iterdir())


def damage(tree: Path) -> None:
    whole = (tree / "bicycle_final/11101_1.JPG").read_bytes()
    (tree / "bicycle_final/11101_1.JPG").write_bytes(whole[: len(whole) // 2])
    (tree / "chair_final/111011320_0.JPG").unlink()


def test_unreadable_photos_are_left_out_counted_and_listed(
    sop: Benchmark, tree: Path, out: Path
) -> None:
    damage(tree)
    prepared, _ = prepare_benchmark(sop, out, source=tree)
    assert (prepared.photos, prepared.products, prepared.bad_photos) == (6, 4, 2)
    with (out / "bad_photos.csv").open(newline="") as file:
        reasons = {row["image"]: row["reason"] for row in csv.DictReader(file)}
    assert reasons.keys() == {"bicycle_final/11101_1.JPG", "chair_final/111011320_0.JPG"}
    assert reasons["chair_final/111011320_0.JPG"] == "there is no such file"
    catalog = open_catalog(out)
    assert len(catalog.photos) == 6
    assert all(catalog.read(photo) for photo in catalog.photos)


def test_unreadable_photos_fail_where_that_is_asked(sop: Benchmark, tree: Path, out: Path) -> None:
    damage(tree)
    with pytest.raises(CatalogError, match=r"(?s)2 problems.*chair_final/111011320_0\.JPG"):
        prepare_benchmark(sop, out, source=tree, on_bad_photo="fail")
    assert not out.exists()
    prepare_benchmark(sop, out, source=tree)
    with pytest.raises(CatalogError, match="prepared without 2 photos"):
        prepare_benchmark(sop, out, source=tree, on_bad_photo="fail")


def test_a_fraction_is_the_same_products_every_time(
    sop: Benchmark, tree: Path, tmp_path: Path
) -> None:
    for product in range(20):
        shutil.copy(tree / "bicycle_final/11101_0.JPG", tree / f"bicycle_final/55{product}_0.JPG")
    rows = [f"{n} {500 + n} 1 bicycle_final/55{n}_0.JPG" for n in range(20)]
    with (tree / "Ebay_train.txt").open("a") as file:
        file.write("\n".join(rows) + "\n")
    sop = replace(sop, photos={"train": 24, "test": 4}, products={"train": 22, "test": 2})
    for name in ("a", "b"):
        prepare_benchmark(sop, tmp_path / name, source=tree, fraction=0.3)
    photos = open_catalog(tmp_path / "a").photos
    assert photos == open_catalog(tmp_path / "b").photos
    assert (
        len({p.product_id for p in photos if p.category == "bicycle" and p.split == "train"}) == 6
    )
    assert len({photo.product_id for photo in photos}) == 6 + 3


def test_what_is_prepared_is_not_prepared_again(
    sop: Benchmark, tree: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _ = prepare_benchmark(sop, out, source=tree)
    monkeypatch.setattr(benchmarks, "prepare", lambda *_, **__: pytest.fail("prepared again"))
    shutil.rmtree(tree)
    assert prepare_benchmark(sop, out, source=tree) == (made, True)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"fraction": 0.5}, "fraction: 1.0 there, 0.5 asked"),
        ({"name": "cub"}, "data_set: sop there, cub asked"),
        ({"md5": "abc"}, "source: official split there, abc asked"),
    ],
)
def test_another_preparation_in_the_folder_is_refused(
    sop: Benchmark, tree: Path, out: Path, change: dict[str, Any], told: str
) -> None:
    prepare_benchmark(sop, out, source=tree)
    fraction = change.pop("fraction", 1.0)
    with pytest.raises(CatalogError, match=told):
        prepare_benchmark(replace(sop, **change), out, source=tree, fraction=fraction)


def test_a_folder_with_something_else_is_left_alone(sop: Benchmark, tree: Path, out: Path) -> None:
    out.mkdir(parents=True)
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(CatalogError, match="no prepared data set"):
        prepare_benchmark(sop, out, source=tree)
    assert (out / "thesis.tex").read_text() == "years of work"


def test_an_empty_folder_is_filled(sop: Benchmark, tree: Path, out: Path) -> None:
    out.mkdir(parents=True)
    prepare_benchmark(sop, out, source=tree)
    assert len(open_catalog(out).photos) == 8


@pytest.mark.parametrize("fraction", [0.0, -1.0, 1.5])
def test_a_fraction_out_of_range_is_refused(
    sop: Benchmark, tree: Path, out: Path, fraction: float
) -> None:
    with pytest.raises(CatalogError, match="above 0 and up to 1"):
        prepare_benchmark(sop, out, source=tree, fraction=fraction)


KILLED = """
import os, sys, time
from pathlib import Path
from trainer.data.sources import FolderSource
from trainer.data.prepare.catalogs import prepare_catalog
read, count = FolderSource.read, 0
def slow(self, image):
    global count
    count += 1
    if count == 12:  # 8 reads to screen the photos, 4 written
        os.write(1, b"writing\\n")
        time.sleep(600)
    return read(self, image)
FolderSource.read = slow
prepare_catalog(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_killed_in_the_middle_it_leaves_nothing_that_looks_whole_and_starts_again(
    tree: Path, out: Path
) -> None:
    write_sop(tree)
    shop = tree.parent / "shop"
    for number, photo in enumerate(sorted((tree / "bicycle_final").iterdir()) * 2):
        (shop / f"p{number}").mkdir(parents=True)
        shutil.copy(photo, shop / f"p{number}" / "photo.jpg")
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(shop), str(out)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "writing\n"
            with pytest.raises(CatalogError, match="being prepared by another process"):
                prepare_catalog(shop, out)
        finally:
            process.send_signal(signal.SIGKILL)
    assert not out.exists()
    (left,) = out.parent.iterdir()
    assert any(left.rglob("*.array_record*")), "it was killed before it wrote anything"
    with pytest.raises(CatalogError):
        open_catalog(left)
    _, already = prepare_catalog(shop, out)
    assert not already
    assert open_catalog(out).fingerprint == open_catalog(shop).fingerprint
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_any_catalogue_is_prepared_with_all_that_its_rows_say(tmp_path: Path, shop: Any) -> None:
    source = shop(
        [
            {"product_id": "2", "image": "b.jpg", "split": "test", "labels": "colour=red;size=4"},
            {"product_id": "1", "image": "a.jpg", "split": "", "price": "5.90", "title": "Ü"},
            {"product_id": "", "image": "c.jpg", "role": "query", "image_url": "https://x/y"},
            {"product_id": "2", "image": "d.jpg", "split": "test", "category": "shoes"},
        ]
    )
    prepare_catalog(source, tmp_path / "out")
    catalog, prepared = open_catalog(source), open_catalog(tmp_path / "out")
    assert prepared.photos == catalog.photos
    assert prepared.fingerprint == catalog.fingerprint
    assert [prepared.read(p) for p in prepared.photos] == [catalog.read(p) for p in catalog.photos]


def test_a_catalogue_that_changed_is_not_the_prepared_one(tmp_path: Path, products: Any) -> None:
    prepare_catalog(products(2, 2), tmp_path / "out")
    with pytest.raises(CatalogError, match="source: "):
        prepare_catalog(products(3, 2), tmp_path / "out")


def test_without_a_source_it_says_where_to_get_one(sop: Benchmark, out: Path) -> None:
    with pytest.raises(CatalogError, match="add --download"):
        prepare_benchmark(sop, out, source=None)
    with pytest.raises(CatalogError, match=r"get it from https://ai\.stanford\.edu"):
        prepare_benchmark(BENCHMARKS["cars"], out, source=None)
    with pytest.raises(CatalogError, match="by hand from https://mmlab"):
        prepare_benchmark(BENCHMARKS["inshop"], out, source=None, fetch=True)


def test_a_download_is_prepared_and_kept(
    sop: Benchmark,
    tree: Path,
    out: Path,
    server: Server,
) -> None:
    archive = zipped(tree)
    server.content = archive.read_bytes()
    sop = replace(sop, md5=md5_of(archive), url=server.url)
    prepared, _ = prepare_benchmark(sop, out, source=None, fetch=True)
    assert prepared.photos == 8
    kept = out.parent / "Stanford_Online_Products.zip"
    assert kept.read_bytes() == server.content
    shutil.rmtree(out)
    prepare_benchmark(sop, out, source=kept, fetch=True)
    assert len(server.asked) == 1


def test_a_download_with_another_checksum_is_not_kept(
    sop: Benchmark,
    out: Path,
    server: Server,
) -> None:
    with pytest.raises(CatalogError, match=f"expected md5 {'0' * 32}, found"):
        prepare_benchmark(replace(sop, md5="0" * 32, url=server.url), out, source=None, fetch=True)
    assert not list(out.parent.iterdir())


def test_preparing_touches_no_network(
    sop: Benchmark, tree: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    prepare_benchmark(sop, out, source=tree)


def test_what_lies_there_is_not_downloaded_again(
    sop: Benchmark, tree: Path, out: Path, server: Server
) -> None:
    prepare_benchmark(replace(sop, url=server.url), out, source=tree, fetch=True)
    assert server.asked == []


def test_a_split_too_large_for_tfds_memory_needs_no_tensorflow(
    sop: Benchmark, tree: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Above this many bytes TFDS' shuffling writer goes through TensorFlow's file system.
    monkeypatch.setattr("tensorflow_datasets.core.shuffle.MAX_MEM_BUFFER_SIZE", 1)
    prepare_benchmark(sop, out, source=tree)
    assert len(open_catalog(out).photos) == 8


def test_the_command_prints_what_it_prepared_and_check_reads_it(
    sop: Benchmark,
    tree: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(BENCHMARKS, "sop", sop)
    monkeypatch.chdir(tree.parent)
    command = ["data", "prepare", "sop", "--source", str(tree), "--out", str(out)]
    main([*command, "--json"])
    first = json.loads(capsys.readouterr().out)
    assert first["photos"] == 8
    assert first["already"] is False
    main(command)
    assert "prepared before" in capsys.readouterr().err.replace("\n", " ")
    main(["data", "check", str(out), "--json"])
    summary = json.loads(capsys.readouterr().out)
    assert summary["splits"] == {"train": 4, "test": 4}
    assert summary["categories"] == {"bicycle": 4, "chair": 4}
    assert summary["bad_photos"] == 0


def test_the_command_prepares_a_catalogue(
    products: Any, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = products(3, 2)
    main(["data", "prepare", "catalog", "--source", str(shop), "--out", str(out), "--json"])
    assert json.loads(capsys.readouterr().out)["products"] == 3
    with pytest.raises(SystemExit):
        main(["data", "prepare", "catalog", "--out", str(out)])
    assert "Expected --source CATALOG" in capsys.readouterr().err


def test_metadata_tells_what_was_prepared(sop: Benchmark, tree: Path, out: Path) -> None:
    prepared, _ = prepare_benchmark(sop, out, source=tree)
    assert json.loads((out / "metadata.json").read_bytes()) == asdict(prepared)
