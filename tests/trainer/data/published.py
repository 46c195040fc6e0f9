"""Small trees in the formats of published data sets, and what their publishers would say of them.

Every tree has two products to train on and two to test on, with two photos each; In-Shop's test
products have a query and a gallery photo.
"""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.io import savemat

from tests.trainer.data.conftest import jpeg
from trainer.data.prepare.benchmark import Benchmark
from trainer.data.prepare.cars import CARS
from trainer.data.prepare.cub import CUB
from trainer.data.prepare.inshop import INSHOP
from trainer.data.prepare.sop import SOP

EVEN = {"photos": {"train": 4, "test": 4}, "products": {"train": 2, "test": 2}}


def write_sop(folder: Path) -> Benchmark:
    """bicycle and chair, each with a product of both splits."""
    image = 0
    for split, first in (("train", 1), ("test", 11319)):
        lines = ["image_id class_id super_class_id path"]
        for product, kind in enumerate(("bicycle", "chair")):
            for photo in range(2):
                path = f"{kind}_final/1110{first + product}_{photo}.JPG"
                image += 1
                lines.append(f"{image} {first + product} {product + 1} {path}")
                _write(folder / path, image)
        _text(folder / f"Ebay_{split}.txt", lines)
    return replace(SOP, md5="", **EVEN)


def write_inshop(folder: Path) -> Benchmark:
    """As published: Eval/list_eval_partition.txt and img/."""
    rows = []
    for product in range(4):
        for photo in range(2):
            path = f"img/WOMEN/Dresses/id_{product:08}/0{photo}_1_front.jpg"
            _write(folder / path, 10 * product + photo)
            status = "train" if product < 2 else ("query", "gallery")[photo]
            rows.append(f"{path:<70} id_{product:08}  {status}")
    header = [str(len(rows)), "image_name item_id evaluation_status"]
    _text(folder / "Eval" / "list_eval_partition.txt", [*header, *rows])
    photos = {"train": 4, "test query": 2, "test catalog": 2}
    return replace(INSHOP, photos=photos, products=EVEN["products"])


def write_cub(folder: Path) -> Benchmark:
    """Species 1, 100, 101 and 200: both sides of the split's border."""
    images, labels = [], []
    for species in (1, 100, 101, 200):
        for _ in range(2):
            number = len(images) + 1
            path = f"{species:03}.Sooty_Albatross/Sooty_{number}.jpg"
            _write(folder / "images" / path, number)
            images.append(f"{number} {path}")
            labels.append(f"{number} {species}")
    _text(folder / "images.txt", images)
    _text(folder / "image_class_labels.txt", labels)
    return replace(CUB, md5="", **EVEN)


def write_cars(folder: Path) -> Benchmark:
    """Models 1, 98, 99 and 196: both sides of the split's border."""
    rows = []
    for model in (1, 98, 99, 196):
        for _ in range(2):
            path = f"car_ims/{len(rows) + 1:06}.jpg"
            _write(folder / path, len(rows))
            rows.append((path, 1, 2, 30, 40, model, 0))
    fields = ("relative_im_path", "bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "test")
    annotations = np.array([rows], dtype=object).view()
    table = np.zeros((1, len(rows)), dtype=[(name, object) for name in fields])
    for column, name in enumerate(fields):
        table[name][0] = annotations[0, :, column]
    names = np.array([[f"Make Model {number}" for number in range(1, 197)]], dtype=object)
    savemat(folder / "cars_annos.mat", {"annotations": table, "class_names": names})
    return replace(CARS, beside={"car_ims.tgz": ""}, **EVEN)


def zipped(folder: Path) -> Path:
    """Zip a tree as publishers do: below one top folder, with macOS' shadows beside it."""
    shadow = folder.parent / "__MACOSX" / folder.name
    shadow.mkdir(parents=True)
    for name in ("Ebay_train.txt", "._Ebay_train.txt"):
        (shadow / name).write_bytes(b"\0\0")
    made = shutil.make_archive(str(folder.parent / "published"), "zip", folder.parent)
    shutil.rmtree(shadow.parent)
    return Path(made)


def _write(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(jpeg(seed))


def _text(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
