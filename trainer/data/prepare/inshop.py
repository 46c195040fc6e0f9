"""DeepFashion In-Shop Clothes Retrieval: 52,712 photos of 7,982 clothes.

Liu, Luo, Qiu, Wang and Tang, "DeepFashion: Powering Robust Clothes Recognition and Retrieval with
Rich Annotations", CVPR 2016. Its gallery is our "catalog": queries are answered from it.
"""

from collections.abc import Iterator, Mapping

from trainer.data.prepare.benchmark import Benchmark
from trainer.data.prepare.lines import read_lines
from trainer.data.records import Photo, Role, Source, SplitName
from trainer.data.sources import checked_image
from trainer.errors import CatalogError

_LISTINGS = ("Eval/list_eval_partition.txt", "list_eval_partition.txt")
_COLUMNS = ("image_name", "item_id", "evaluation_status")
_STATUS: Mapping[str, tuple[SplitName, Role]] = {
    "train": ("train", ""),
    "query": ("test", "query"),
    "gallery": ("test", "catalog"),
}
# Photos lie in img/, which is published as Img/img.zip and extracted beside or above it.
_FOLDERS = ("", "Img/")


def read_inshop(source: Source) -> Iterator[Photo]:
    """Yield the photos of list_eval_partition.txt; the category is as "WOMEN/Dresses"."""
    sizes = source.sizes(_LISTINGS)
    name = _LISTINGS[0] if sizes[0] is not None else _LISTINGS[1]
    lines = read_lines(source, name, _COLUMNS, header=2)
    folder = _photo_folder(source, [path for _, (path, _, _) in lines])
    for line, (path, product, status) in lines:
        parts = path.split("/")
        if status not in _STATUS or len(parts) != 5:
            raise CatalogError(
                f"{source.location}/{name}: line {line}: expected img/WOMEN/Dresses/id_…/….jpg, "
                f"id_… and one of {', '.join(_STATUS)}, found {path!r}, {product!r}, {status!r}"
            )
        split, role = _STATUS[status]
        yield Photo(
            product_id=product,
            image=checked_image(folder + path, uris=False),
            category="/".join(parts[1:3]),
            role=role,
            split=split,
            row=line,
        )


def _photo_folder(source: Source, paths: list[str]) -> str:
    """Where the listed photos are: the folder that has most of the first hundred."""
    some = paths[:100]
    return max(
        _FOLDERS,
        key=lambda folder: sum(
            size is not None for size in source.sizes([folder + path for path in some])
        ),
    )


INSHOP = Benchmark(
    name="inshop",
    title="DeepFashion In-Shop Clothes Retrieval",
    homepage="https://mmlab.ie.cuhk.edu.hk/projects/DeepFashion/InShopRetrieval.html",
    citation=(
        "Z. Liu, P. Luo, S. Qiu, X. Wang, X. Tang. DeepFashion: Powering Robust Clothes "
        "Recognition and Retrieval with Rich Annotations. CVPR 2016"
    ),
    read=read_inshop,
    listings=_LISTINGS,
    photos={"train": 25_882, "test query": 14_218, "test catalog": 12_612},
    products={"train": 3_997, "test": 3_985},
    beside={"img.zip": "", "Img/img.zip": ""},
)
