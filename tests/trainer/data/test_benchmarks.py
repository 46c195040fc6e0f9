"""Published data sets, read as they are published."""

import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.trainer.data.published import write_cars, write_cub, write_inshop, write_sop, zipped
from trainer.data.archives import open_files
from trainer.data.prepare.benchmark import Benchmark
from trainer.data.prepare.benchmarks import BENCHMARKS
from trainer.data.records import Catalog, Photo
from trainer.errors import CatalogError

WRITERS = {"sop": write_sop, "inshop": write_inshop, "cub": write_cub, "cars": write_cars}


def contents(catalog: Catalog) -> list[tuple[Photo, bytes]]:
    """Every photo and its bytes; sizes as the source tells them are those of the bytes."""
    read = [(photo, catalog.read(photo)) for photo in catalog.photos]
    sizes = catalog.source.sizes([photo.image for photo in catalog.photos])
    assert sizes == [len(data) for _, data in read]
    return read


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "published" / "Data_Set"
    folder.mkdir(parents=True)
    return folder


def test_every_benchmark_is_tried_here() -> None:
    assert WRITERS.keys() == BENCHMARKS.keys()


@pytest.mark.parametrize(
    ("name", "photos", "products"),
    [
        ("sop", {"train": 59551, "test": 60502}, {"train": 11318, "test": 11316}),
        (
            "inshop",
            {"train": 25882, "test query": 14218, "test catalog": 12612},
            {"train": 3997, "test": 3985},
        ),
        ("cub", {"train": 5864, "test": 5924}, {"train": 100, "test": 100}),
        ("cars", {"train": 8054, "test": 8131}, {"train": 98, "test": 98}),
    ],
)
def test_the_official_split_is_what_papers_report_on(
    name: str, photos: dict[str, int], products: dict[str, int]
) -> None:
    assert BENCHMARKS[name].photos == photos
    assert BENCHMARKS[name].products == products


@pytest.mark.parametrize("name", WRITERS)
def test_folder_and_archives_give_the_same_photos(name: str, tree: Path) -> None:
    benchmark = WRITERS[name](tree)
    with tarfile.open(tree.parent.parent / "published.tgz", "w:gz") as tar:
        tar.add(tree, tree.name)
    expected = contents(benchmark.open(tree))
    for path in (tree.parent, zipped(tree), tree.parent.parent / "published.tgz"):
        assert contents(benchmark.open(path)) == expected
    assert len({data for _, data in expected}) == 8


def test_a_product_of_sop_is_a_listing_with_its_number_and_super_class(tree: Path) -> None:
    photos = write_sop(tree).open(tree).photos
    assert photos[0] == Photo(
        product_id="1",
        image="bicycle_final/11101_0.JPG",
        category="bicycle",
        labels=(("listing", "11101"),),
        split="train",
        row=2,
    )
    assert photos[-1] == Photo(
        product_id="11320",
        image="chair_final/111011320_1.JPG",
        category="chair",
        labels=(("listing", "111011320"),),
        split="test",
        row=5,
    )


def test_the_gallery_of_inshop_is_the_catalogue(tree: Path) -> None:
    photos = write_inshop(tree).open(tree).photos
    assert [(p.product_id, p.split, p.role) for p in photos[3:6]] == [
        ("id_00000001", "train", ""),
        ("id_00000002", "test", "query"),
        ("id_00000002", "test", "catalog"),
    ]
    assert {photo.category for photo in photos} == {"WOMEN/Dresses"}


@pytest.mark.parametrize("archive", ["img.zip", "Img/img.zip"])
def test_inshop_is_read_with_its_photos_still_zipped(tree: Path, archive: str) -> None:
    benchmark = write_inshop(tree)
    expected = contents(benchmark.open(tree))
    made = zipped(tree / "img")
    (tree / "img").rename(tree.parent / "elsewhere")
    (tree / archive).parent.mkdir(exist_ok=True)
    made.rename(tree / archive)
    assert contents(benchmark.open(tree)) == expected


def test_inshop_is_read_where_its_photos_were_extracted_in_their_folder(tree: Path) -> None:
    benchmark = write_inshop(tree)
    (tree / "Img").mkdir()
    (tree / "img").rename(tree / "Img" / "img")
    catalog = benchmark.open(tree)
    assert all(catalog.read(photo) for photo in catalog.photos)


@pytest.mark.parametrize(
    ("write", "border", "title"),
    [(write_cub, ("100", "101"), "Sooty Albatross"), (write_cars, ("98", "99"), "Make Model 98")],
)
def test_classes_are_split_in_the_middle(
    tree: Path, write: Callable[[Path], Benchmark], border: tuple[str, str], title: str
) -> None:
    photos = write(tree).open(tree).photos
    assert [photo.split for photo in photos] == ["train"] * 4 + ["test"] * 4
    assert (photos[3].product_id, photos[4].product_id) == border
    assert photos[3].title == title


def test_cars_are_read_with_their_photos_still_in_the_tar(tree: Path) -> None:
    benchmark = write_cars(tree)
    expected = contents(benchmark.open(tree))
    with tarfile.open(tree / "car_ims.tgz", "w:gz") as tar:
        tar.add(tree / "car_ims", "car_ims")
    (tree / "car_ims").rename(tree.parent / "elsewhere")
    assert contents(benchmark.open(tree)) == expected


def test_other_counts_than_published_are_named(tree: Path) -> None:
    benchmark = replace(
        write_sop(tree), photos={"train": 4, "test": 60_502}, products={"train": 3, "test": 2}
    )
    with pytest.raises(CatalogError) as caught:
        benchmark.open(tree)
    message = str(caught.value)
    assert "test: expected 60,502 images, found 4" in message
    assert "train: expected 3 classes, found 2" in message
    assert "2 problems" in message


def test_a_part_that_was_never_published_is_named(tree: Path) -> None:
    benchmark = replace(write_inshop(tree), photos={"train": 4, "test query": 2})
    with pytest.raises(CatalogError, match="test catalog: expected 0 images, found 2"):
        benchmark.open(tree)


@pytest.mark.parametrize(
    ("write", "file", "text", "told"),
    [
        (write_sop, "Ebay_test.txt", "h\n1 2 3\n", r"line 2: found '1 2 3'"),
        (write_sop, "Ebay_test.txt", "h\n1 2 3 photo.JPG\n", r"line 2: expected a path as"),
        (write_sop, "Ebay_test.txt", "h\n1 2 3 ../a/1_0.JPG\n", r"leaves the catalogue's folder"),
        (write_sop, "Ebay_test.txt", b"\xff\xfe", r"is no text"),
        (write_inshop, "Eval/list_eval_partition.txt", "1\nh\na/b.jpg id x\n", r"line 3: expected"),
        (write_cub, "image_class_labels.txt", "1 one\n", r"class number of image 1, found 'one'"),
        (write_cars, "cars_annos.mat", b"no matlab", r"cars_annos.mat: expected MATLAB's"),
    ],
)
def test_a_damaged_listing_is_refused_with_its_line(
    tree: Path, write: Callable[[Path], Benchmark], file: str, text: str | bytes, told: str
) -> None:
    benchmark = write(tree)
    (tree / file).write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(CatalogError, match=told):
        benchmark.open(tree)


@pytest.mark.parametrize("missing", ["Ebay_train.txt", "Ebay_test.txt"])
def test_a_listing_that_is_missing_is_named(tree: Path, missing: str) -> None:
    benchmark = write_sop(tree)
    (tree / missing).unlink()
    with pytest.raises(CatalogError, match=missing):
        benchmark.open(tree)


@pytest.mark.parametrize("name", ["nothing.zip", "no_zip.zip", "no_tar.tgz", "photo.jpg"])
def test_what_is_no_data_set_is_refused_by_name(tmp_path: Path, name: str) -> None:
    if name != "nothing.zip":
        (tmp_path / name).write_bytes(b"no archive")
    with pytest.raises(CatalogError, match=name):
        open_files(tmp_path / name, listings=("a.txt",))
