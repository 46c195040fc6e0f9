"""Prepared folders are read at random, by all threads, wherever they lie, and by TFDS itself."""

import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from trainer.data.catalog import open_catalog
from trainer.data.prepare import builder
from trainer.data.prepare.catalogs import prepare_catalog
from trainer.data.records import Catalog, Source
from trainer.data.screen import screen
from trainer.errors import CatalogError


@pytest.fixture
def original(shop: Callable[..., Path]) -> Catalog:
    """Twelve photos of six products, half of each split, in no order of splits."""
    return open_catalog(
        shop(
            {
                "product_id": f"p{product}",
                "image": f"{photo}/p{product}.jpg",
                "split": ("train", "test")[product % 2],
                "category": f"kind {product // 4}",
                "labels": f"listing={product};colour=red",
                "product_set": f"all;set {product % 2}",
            }
            for photo in range(2)
            for product in range(6)
        )
    )


@pytest.fixture
def folder(original: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same prepared, in shards of two photos or so."""
    size = len(original.read(original.photos[0]))
    monkeypatch.setattr(builder, "SHARD_BYTES", int(2.5 * size))
    prepare_catalog(tmp_path / "shop", tmp_path / "prepared")
    return tmp_path / "prepared"


def test_it_is_the_catalogue_it_was_made_from(original: Catalog, folder: Path) -> None:
    assert len(list(folder.glob("*.array_record-*"))) >= 4, "one shard tells nothing of their order"
    catalog = open_catalog(folder)
    assert catalog.photos == original.photos
    assert catalog.fingerprint == original.fingerprint
    assert [catalog.read(p) for p in catalog.photos] == [original.read(p) for p in original.photos]
    assert isinstance(catalog.source, Source)
    assert catalog.name == "prepared"


def test_many_threads_read_at_once(original: Catalog, folder: Path) -> None:
    catalog = open_catalog(folder)
    expected = {photo.image: original.read(photo) for photo in original.photos}
    wanted = [catalog.photos[n * 7 % len(catalog.photos)] for n in range(600)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(catalog.read, wanted))
    assert found == [expected[photo.image] for photo in wanted]


def test_it_may_be_moved_and_goes_to_other_processes(
    original: Catalog, folder: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "elsewhere" / "sop"
    moved.parent.mkdir()
    shutil.move(folder, moved)
    catalog = open_catalog(moved)
    assert catalog.fingerprint == original.fingerprint
    catalog.read(catalog.photos[0])
    sent = pickle.loads(pickle.dumps(catalog))  # noqa: S301 - as worker processes get it
    assert [sent.read(p) for p in sent.photos] == [original.read(p) for p in original.photos]


def test_a_photo_that_is_not_listed_is_missing(folder: Path) -> None:
    source = open_catalog(folder).source
    with pytest.raises(FileNotFoundError, match=r"nothing\.jpg"):
        source.read("nothing.jpg")
    assert source.sizes(["nothing.jpg"]) == [None]


TFDS_READS = """
import sys, json
import tensorflow_datasets as tfds
builder = tfds.builder_from_directory(sys.argv[1])
source = builder.as_data_source("train", decoders={"image": tfds.decode.SkipDecoding()})
print(json.dumps({
    "modules": [m for m in ("tensorflow", "trainer") if m in sys.modules],
    "length": len(source), "test": len(builder.as_data_source("test")),
    "images": [row["image"].hex() for row in source],
    "products": [row["product_id"].decode() for row in source],
    "paths": [row["image_path"].decode() for row in source],
    "labels": [[k.decode() for k in source[4]["labels"]["key"]],
               [v.decode() for v in source[4]["labels"]["value"]]],
    "category": source[4]["category"].decode(), "row": int(source[4]["row"]),
    "pixels": list(builder.as_data_source("train")[0]["image"].shape),
}))
"""


def test_tensorflow_datasets_reads_it_without_tensorflow_and_without_us(
    original: Catalog, folder: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TFDS_READS, str(folder)],
        capture_output=True, text=True, check=True, cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
    )  # fmt: skip
    seen = json.loads(done.stdout)
    train = [photo for photo in original.photos if photo.split == "train"]
    assert seen["modules"] == []
    assert (seen["length"], seen["test"]) == (6, 6)
    assert seen["images"] == [original.read(photo).hex() for photo in train]
    assert seen["products"] == [photo.product_id for photo in train]
    assert seen["paths"] == [photo.image for photo in train]
    assert seen["labels"] == [["listing", "colour"], ["2", "red"]]
    assert (seen["category"], seen["row"]) == (train[4].category, train[4].row)
    assert seen["pixels"] == [30, 40, 3]


def test_tfds_load_finds_it_by_name_and_version_where_its_layout_has_it(
    original: Catalog, tmp_path: Path
) -> None:
    import tensorflow_datasets as tfds

    prepare_catalog(tmp_path / "shop", tmp_path / "tfds" / "catalog" / builder.VERSION)
    loaded = tfds.data_source("catalog", split="train", data_dir=tmp_path / "tfds")
    assert len(loaded) == 6


def test_nothing_imports_tensorflow(original: Catalog, tmp_path: Path) -> None:
    probe = (
        "import sys; from pathlib import Path\n"
        "from trainer.data.catalog import open_catalog\n"
        "from trainer.data.prepare.catalogs import prepare_catalog\n"
        "assert 'tensorflow_datasets' not in sys.modules, 'seconds before anything is asked for'\n"
        "prepare_catalog(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "catalog = open_catalog(sys.argv[2])\n"
        "assert catalog.read(catalog.photos[0])\n"
        "assert 'tensorflow_datasets' in sys.modules\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run(
        [sys.executable, "-c", probe, str(tmp_path / "shop"), str(tmp_path / "out")], check=True
    )


def test_a_part_of_a_prepared_folder_can_be_prepared(folder: Path, tmp_path: Path) -> None:
    prepare_catalog(folder, tmp_path / "part", fraction=0.5)
    part = open_catalog(tmp_path / "part")
    whole = open_catalog(folder)
    assert 0 < len(part.photos) < len(whole.photos)
    assert all(part.read(photo) == whole.read(photo) for photo in part.photos)


def test_a_missing_file_is_named(folder: Path) -> None:
    shard = sorted(folder.glob("*.array_record-*"))[1]
    shard.unlink()
    with pytest.raises(CatalogError, match=shard.name):
        open_catalog(folder)


def test_a_file_that_is_cut_off_is_refused(folder: Path) -> None:
    shard = sorted(folder.glob("*.array_record-*"))[1]
    shard.write_bytes(shard.read_bytes()[:-70_000])
    with pytest.raises(CatalogError, match="damaged or cut off"):
        open_catalog(folder)


def test_a_damaged_record_is_one_bad_photo(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shard = next(iter(folder.glob("*-train.array_record-00000-*")))
    whole = shard.read_bytes()
    # Behind the file's header and the record's own lies the first photo of the split.
    shard.write_bytes(whole[:200] + bytes(byte ^ 255 for byte in whole[200:230]) + whole[230:])
    catalog = open_catalog(folder)
    assert screen(catalog).photos == catalog.photos[1:]
    with pytest.raises(OSError, match="the record is damaged"):
        catalog.read(catalog.photos[0])


@pytest.mark.parametrize(
    ("file", "told"),
    [("dataset_info.json", "dataset_info.json is damaged"), ("photos.parquet", "is damaged")],
)
def test_a_damaged_description_is_named(folder: Path, file: str, told: str) -> None:
    (folder / file).write_bytes(b"{")
    with pytest.raises(CatalogError, match=told):
        open_catalog(folder)


def test_a_listing_of_other_records_is_noticed(folder: Path) -> None:
    info = json.loads((folder / "dataset_info.json").read_bytes())
    info["splits"].pop()
    (folder / "dataset_info.json").write_text(json.dumps(info))
    with pytest.raises(CatalogError, match="the listing names 12 photos, the record files hold 6"):
        open_catalog(folder)


def test_another_tools_data_set_is_refused_with_what_to_do(folder: Path) -> None:
    (folder / "photos.parquet").unlink()
    with pytest.raises(CatalogError, match="lookalike data prepare"):
        open_catalog(folder)
