"""Caltech-UCSD Birds-200-2011: 11,788 photos of 200 species.

Wah, Branson, Welinder, Perona and Belongie, Caltech technical report CNS-TR-2011-001. Metric
learning trains on species 1 to 100 and tests on the others, as in Song et al., CVPR 2016; the data
set's own train_test_split.txt, which divides photos and not species, is not read.
"""

from collections.abc import Iterator

from trainer.data.prepare.benchmark import Benchmark
from trainer.data.prepare.lines import read_lines
from trainer.data.problems import refuse
from trainer.data.records import Photo, Source
from trainer.data.sources import checked_image

TRAINED_CLASSES = 100


def read_cub(source: Source) -> Iterator[Photo]:
    """Yield the photos of images.txt; the title is the species, from the folder's name."""
    labels = read_lines(source, "image_class_labels.txt", ("image_id", "class_id"))
    classes = {image: class_id for _, (image, class_id) in labels}
    lines = read_lines(source, "images.txt", ("image_id", "path"))
    refuse(
        f"{source.location}/image_class_labels.txt",
        [
            f"expected the class number of image {image}, found {classes.get(image)!r}"
            for _, (image, _) in lines
            if not classes.get(image, "").isdecimal()
        ],
    )
    for line, (image, path) in lines:
        yield Photo(
            product_id=classes[image],
            image=checked_image(f"images/{path}", uris=False),
            title=path.partition("/")[0].partition(".")[2].replace("_", " "),
            split="train" if int(classes[image]) <= TRAINED_CLASSES else "test",
            row=line,
        )


CUB = Benchmark(
    name="cub",
    title="Caltech-UCSD Birds-200-2011",
    homepage="https://data.caltech.edu/records/65de6-vp158",
    citation=(
        "C. Wah, S. Branson, P. Welinder, P. Perona, S. Belongie. The Caltech-UCSD "
        "Birds-200-2011 Dataset. CNS-TR-2011-001, Caltech, 2011"
    ),
    read=read_cub,
    listings=("images.txt",),
    photos={"train": 5_864, "test": 5_924},
    products={"train": 100, "test": 100},
    url="https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
    archive_name="CUB_200_2011.tgz",
    md5="97eceeb196236b17998738112f37df78",
)
