"""Cars196: 16,185 photos of 196 models of cars.

Krause, Stark, Deng and Fei-Fei, "3D Object Representations for Fine-Grained Categorization",
3dRR-13, 2013. Metric learning trains on models 1 to 98 and tests on the others, as in Song et al.,
CVPR 2016; the data set's own `test` mark, which divides photos and not models, is not read.
"""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from trainer.data.prepare.benchmark import Benchmark
from trainer.data.records import Photo, Source
from trainer.data.sources import checked_image
from trainer.errors import CatalogError

TRAINED_CLASSES = 98
_LISTING = "cars_annos.mat"


def read_cars(source: Source) -> Iterator[Photo]:
    """Yield the photos of cars_annos.mat; the title is the model: "AM General Hummer SUV 2000"."""
    annotations, titles = _annotations(source)
    for number, (path, class_id) in enumerate(annotations, start=1):
        if not 1 <= class_id <= len(titles):
            raise CatalogError(
                f"{source.location}/{_LISTING}: image {number}: expected a class of 1 to "
                f"{len(titles)}, found {class_id}"
            )
        yield Photo(
            product_id=str(class_id),
            image=checked_image(path, uris=False),
            title=titles[class_id - 1],
            split="train" if class_id <= TRAINED_CLASSES else "test",
            row=number,
        )


def _annotations(source: Source) -> tuple[list[tuple[str, int]], list[str]]:
    """Return (path, class from 1) of each image, and the classes' names."""
    from scipy.io import loadmat

    location = f"{source.location}/{_LISTING}"
    try:
        listing: dict[str, Any] = loadmat(io.BytesIO(source.read(_LISTING)))
        table = np.ravel(listing["annotations"])
        paths = (str(path.item()) for path in table["relative_im_path"])
        classes = (int(class_id.item()) for class_id in table["class"])
        titles = [str(name.item()) for name in np.ravel(listing["class_names"])]
        return list(zip(paths, classes, strict=True)), titles
    except OSError:
        raise
    except Exception as error:  # its parser raises nearly everything on a damaged file
        raise CatalogError(
            f"{location}: expected MATLAB's annotations (relative_im_path, class) and "
            f"class_names, found none ({error}): download it again"
        ) from error


CARS = Benchmark(
    name="cars",
    title="Cars196",
    homepage="https://ai.stanford.edu/~jkrause/cars/car_dataset.html",
    citation=(
        "J. Krause, M. Stark, J. Deng, L. Fei-Fei. 3D Object Representations for Fine-Grained "
        "Categorization. 4th IEEE Workshop on 3D Representation and Recognition, 2013"
    ),
    read=read_cars,
    listings=(_LISTING,),
    photos={"train": 8_054, "test": 8_131},
    products={"train": 98, "test": 98},
    beside={
        "car_ims.tgz": "d5c8f0aa497503f355e17dc7886c3f14",
        _LISTING: "b407c6086d669747186bd1d764ff9dbc",
    },
)
