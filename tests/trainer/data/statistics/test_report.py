"""`lookalike data stats`: numbers, files, figures and page, on small catalogues."""

import csv
import json
from collections.abc import Callable, Mapping
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from function.storage import open_storage
from trainer.cli import main
from trainer.data.catalog import open_catalog
from trainer.data.records import Catalog, Photo
from trainer.data.split import split_products
from trainer.data.statistics import write_statistics
from trainer.data.statistics.distribution import class_distribution
from trainer.data.statistics.sheet import per_class_visualization
from trainer.errors import CatalogError
from trainer.figures import png

FILES = [
    "class_distribution.png",
    "duplicates.csv",
    "index.html",
    "per_class_visualization.png",
    "stats.json",
]
HOSTILE = "<script>alert(1)</script> $x_1$"


@pytest.fixture
def leaky(
    tmp_path: Path, picture: Callable[..., Image.Image], encode: Callable[..., bytes]
) -> Path:
    """Six products of three photos; p0 is trained on, p5 kept unseen, and both have one picture."""
    folder = tmp_path / "leaky"
    folder.mkdir()
    rows = [("image", "product_id", "category", "split", "title", "role")]
    for product in range(6):
        split = "train" if product < 3 else "test"
        for number in range(3):
            name = f"{product}-{number}.jpg"
            seed = 100 if (product, number) in ((0, 0), (5, 2)) else product * 3 + number
            quality = 70 if product == 5 else 90
            (folder / name).write_bytes(encode(picture(seed), quality=quality))
            role = "query" if product == 5 else "catalog"
            rows.append(
                (name, f"p{product}", ("shoes", HOSTILE)[product % 2], split, HOSTILE, role)
            )
    (folder / "2-2.jpg").write_bytes(b"no photo")
    with (folder / "metadata.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder


def test_numbers_files_and_leaks(leaky: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    summary = write_statistics(open_catalog(leaky), out, holdout=0.5, seed=0)
    assert sorted(path.name for path in out.iterdir()) == FILES
    assert json.loads((out / "stats.json").read_text()) == summary
    assert (summary["photos"], summary["products"]) == (17, 6)
    assert summary["unreadable"] == [
        {"row": 10, "image": "2-2.jpg", "reason": summary["unreadable"][0]["reason"]}
    ]
    assert summary["split"]["train"] == {"photos": 8, "products": 3}
    assert summary["split"]["evaluation"] == {"photos": 9, "products": 3}
    assert summary["products_by_photo_count"] == {"2": 1, "3": 5}
    assert summary["by_category"] == [
        {"category": HOSTILE, "photos": 9, "products": 3},
        {"category": "shoes", "photos": 8, "products": 3},
    ]
    assert summary["formats"] == {"JPEG": 17}
    assert summary["width"]["50"] == 160
    assert summary["aspect_ratio"]["0"] == pytest.approx(4 / 3, abs=1e-3)
    assert summary["duplicates"]["same_bytes"]["groups"] == 0
    assert summary["duplicates"]["near"] == {
        "groups": 1,
        "photos": 2,
        "surplus": 1,
        "across_products": 1,
        "across_roles": 1,
        "across_split": 1,
        "across_split_evaluated": 1,
    }
    rows = list(csv.DictReader(StringIO((out / "duplicates.csv").read_text())))
    assert [(row["degree"], row["image"], row["side"]) for row in rows] == [
        ("first", "0-0.jpg", "train"),
        ("near", "5-2.jpg", "evaluation"),
    ]
    assert {row["group_across_split"] for row in rows} == {"yes"}


def test_the_page_shows_it_and_hostile_names_stay_names(leaky: Path, tmp_path: Path) -> None:
    write_statistics(open_catalog(leaky), tmp_path, holdout=0.5, seed=0)
    html = (tmp_path / "index.html").read_text()
    assert "<script" not in html
    assert "2 photos of 2 products, on both sides of the split" in html
    assert "Candidates: photos to evaluate on that look like one to train on: 1." in html
    assert "Leaks:" not in html
    assert "2-2.jpg" in html
    assert html.count('src="data:image/jpeg;base64,') == 3
    assert "<svg" in html


def test_only_a_copy_of_the_same_pixels_is_called_a_leak(
    leaky: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Now 5-2 is 0-0 to the pixel, and 3-1 the same photo as 0-1, saved again.
    with Image.open(leaky / "0-0.jpg") as same:
        same.save(leaky / "5-2.jpg", "PNG")
    with Image.open(leaky / "0-1.jpg") as again:
        again.save(leaky / "3-1.jpg", quality=60)
    main(["data", "stats", str(leaky), "--out", str(tmp_path / "out")])
    page = (tmp_path / "out" / "index.html").read_text()
    assert "Leaks: photos to evaluate on whose pixels are trained on as well: 1." in page
    assert "Candidates: photos to evaluate on that look like one to train on: 1." in page
    told = capsys.readouterr().out
    assert not {"leaks", "leaked"} & set(told.split())
    pixels, _, alike = told.partition("alike, to look at")
    assert "across split: 1" in pixels.partition("same pixels")[2]
    assert "across split: 2" in alike


def test_the_files_may_lie_in_a_bucket(products: Callable[..., Path], storage_root: str) -> None:
    write_statistics(open_catalog(products(2, 2)), storage_root, holdout=0.5, seed=0)
    storage = open_storage(storage_root)
    assert storage.list() == FILES
    assert storage.read("index.html").startswith(b"<!doctype html>")


def test_the_split_is_that_of_a_training(tmp_path: Path, products: Callable[..., Path]) -> None:
    catalog = open_catalog(products(12, 2))
    for seed in (0, 1):
        summary = write_statistics(catalog, tmp_path / "out", holdout=0.25, seed=seed)
        split = split_products(catalog, holdout=0.25, seed=seed)
        assert summary["split"]["train"]["photos"] == len(split.train.photos)
        assert summary["split"]["evaluation"]["products"] == 3


def test_an_interrupted_run_leaves_what_was_there(
    tmp_path: Path, products: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = open_catalog(products(2, 2))
    write_statistics(catalog, tmp_path / "out", holdout=0.5, seed=0)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("trainer.data.statistics.report.render", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_statistics(catalog, tmp_path / "out", holdout=0.5, seed=1)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def summary_of(categories: Mapping[str, int], photos_each: Mapping[int, int]) -> dict[str, Any]:
    """What the figure needs: photos of each category, and products by their number of photos."""
    counts = sorted(count for count, number in photos_each.items() for _ in range(number))
    return {
        "by_category": [
            {"category": name, "photos": number, "products": number // 2}
            for name, number in sorted(categories.items(), key=lambda item: -item[1])
        ],
        "category_count": len(categories),
        "products_by_photo_count": {str(key): value for key, value in photos_each.items()},
        "photos_per_product": {"median": counts[len(counts) // 2] if counts else 0},
    }


@pytest.mark.parametrize(
    ("categories", "photos_each"),
    [
        ({}, {}),
        ({}, {1: 1}),
        ({"only one": 8}, {4: 2}),
        ({f"class {n}": 10 * n + 1 for n in range(12)}, {2: 5_000, 3: 4_000, 12: 1_000}),
        (
            {f"a super-class with a long name, {n} of many $_" * 2: 3 + n for n in range(200)},
            {1: 10_000},
        ),
        ({"one": 5}, {1: 1, 10_000: 1}),
    ],
)
def test_the_distribution_has_room_for_everything_it_says(
    categories: Mapping[str, int], photos_each: Mapping[int, int]
) -> None:
    figure = class_distribution(summary_of(categories, photos_each))
    image = Image.open(BytesIO(png(figure)))
    assert image.width == 1275
    assert 480 <= image.height <= 2200
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    for axes in figure.axes:
        box = axes.get_tightbbox(renderer)
        assert box is not None
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
        labels = [label.get_window_extent(renderer) for label in axes.get_yticklabels()]
        assert not any(a.overlaps(b) for n, a in enumerate(labels) for b in labels[:n])


def photos_of(classes: int, products_each: int, photos_each: int) -> list[Photo]:
    photos = [
        Photo(
            product_id=f"{c}-{p}",
            image=f"{c * 31 + p}",
            category=f"class {c}" if classes > 1 else "",
            title="A long title that does not fit below a photo",
        )
        for c in range(classes)
        for p in range(products_each)
        for _ in range(photos_each)
    ]
    return [photos[place] for place in np.random.default_rng(0).permutation(len(photos))]


@pytest.mark.parametrize(
    ("classes", "products_each", "photos_each", "height"),
    [
        (1, 1, 1, (150, 200)),
        (12, 9, 5, (3_000, 4_200)),
        (200, 1, 1, (3_000, 4_200)),
        (1, 500, 2, (700, 900)),
    ],
)
def test_the_contact_sheet_shows_classes_within_a_sensible_size(
    classes: int,
    products_each: int,
    photos_each: int,
    height: tuple[int, int],
    photo: Callable[..., bytes],
) -> None:
    read: list[str] = []

    def reading(one: Photo) -> bytes:
        read.append(one.image)
        return photo(int(one.image))

    sheet = per_class_visualization(photos_of(classes, products_each, photos_each), reading)
    assert 1_400 < sheet.width < 1_700
    assert height[0] <= sheet.height <= height[1]
    assert len(set(read)) >= min(classes, 24)
    # Photos are there: much of the sheet is neither white nor grey text.
    colourful = np.ptp(np.asarray(sheet).astype(int), axis=2) > 40
    assert colourful.sum() > 0.3 * len(read) * 92**2


def test_photos_of_no_product_are_shown_each_by_itself(photo: Callable[..., bytes]) -> None:
    photos = [Photo(product_id="", image=str(n), role="query") for n in range(30)]
    assert per_class_visualization(photos, lambda one: photo(int(one.image))).height > 150


def test_the_command_prints_json_alone_and_writes_the_files(
    leaky: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["data", "stats", str(leaky), "--out", str(tmp_path / "out"), "--seed", "3", "--json"])
    printed = json.loads(capsys.readouterr().out)
    assert printed["split"]["seed"] == 3
    assert (tmp_path / "out" / "index.html").is_file()
    main(["data", "stats", str(leaky), "--out", str(tmp_path / "out")])
    assert "across products: 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nowhere.csv",), "does not exist"),
        (("{empty}",), "no such file"),
        (("{leaky}", "--holdout", "1.5"), "holdout"),
    ],
)
def test_what_cannot_be_measured_is_said_with_status_1_and_nothing_is_written(
    leaky: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty.csv").write_text("product_id,image\na,missing.jpg\n")
    filled = [text.format(empty=tmp_path / "empty.csv", leaky=leaky) for text in arguments]
    with pytest.raises(SystemExit) as end:
        main(["data", "stats", *filled, "--out", str(tmp_path / "out")])
    assert end.value.code == 1
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_product_on_both_sides_is_refused_before_any_photo_is_read(
    shop: Callable[..., Path], tmp_path: Path
) -> None:
    rows = [{"id": "a", "image": f"{s}.jpg", "split": s} for s in ("train", "test")]
    catalog: Catalog = open_catalog(shop(rows, photos=False))
    with pytest.raises(CatalogError, match="split train and of split test"):
        write_statistics(catalog, tmp_path / "out", holdout=0.5, seed=0)
