"""Stanford Online Products: 120,053 photos of 22,634 eBay listings, in 12 super-classes.

Song, Xiang, Jegelka and Savarese, "Deep Metric Learning via Lifted Structured Feature Embedding",
CVPR 2016; the split and its counts are those of its section 5.
"""

from collections.abc import Iterator
from typing import Literal

from trainer.data.prepare.benchmark import Benchmark
from trainer.data.prepare.lines import read_lines
from trainer.data.records import Photo, Source
from trainer.data.sources import checked_image
from trainer.errors import CatalogError

_COLUMNS = ("image_id", "class_id", "super_class_id", "path")
_SPLITS: tuple[Literal["train", "test"], ...] = ("train", "test")


def read_sop(source: Source) -> Iterator[Photo]:
    """Yield the photos of Ebay_train.txt, then of Ebay_test.txt.

    A class is one eBay listing, so it is the product; the number that its files' names begin with
    is eBay's own for the listing. The super-class is the folder's name: "bicycle_final".
    """
    for split in _SPLITS:
        name = f"Ebay_{split}.txt"
        for line, (_, product, _, path) in read_lines(source, name, _COLUMNS, header=1):
            folder, _, file = path.rpartition("/")
            listing, separator, _ = file.partition("_")
            if not folder or not separator:
                raise CatalogError(
                    f"{source.location}/{name}: line {line}: expected a path as "
                    f"bicycle_final/111085122871_0.JPG, found {path!r}"
                )
            yield Photo(
                product_id=product,
                image=checked_image(path, uris=False),
                category=folder.removesuffix("_final"),
                labels=(("listing", listing),),
                split=split,
                row=line,
            )


SOP = Benchmark(
    name="sop",
    title="Stanford Online Products",
    homepage="https://cvgl.stanford.edu/projects/lifted_struct/",
    citation=(
        "H. O. Song, Y. Xiang, S. Jegelka, S. Savarese. Deep Metric Learning via Lifted "
        "Structured Feature Embedding. CVPR 2016"
    ),
    read=read_sop,
    listings=("Ebay_train.txt",),
    photos={"train": 59_551, "test": 60_502},
    products={"train": 11_318, "test": 11_316},
    # The same file as ftp://cs.stanford.edu/cs/cvgl/, which many proxies refuse.
    url="http://ftp.cs.stanford.edu/cs/cvgl/Stanford_Online_Products.zip",
    archive_name="Stanford_Online_Products.zip",
    md5="7f73d41a2f44250d4779881525aea32e",
)
