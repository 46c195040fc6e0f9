"""Photos to array_record files, as a data set of TensorFlow Datasets; without TensorFlow.

The builder writes shard by shard what it reads. TFDS' usual GeneratorBasedBuilder collects a split
first, and above 1 GB it wants TensorFlow for that.
"""

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from trainer.data.prepared import LISTING, write_listing
from trainer.data.records import Catalog, Photo
from trainer.progress import progress_bar

VERSION = "1.1.0"
SHARD_BYTES = 256 << 20
# TFDS names no split by the empty string.
UNASSIGNED = "unassigned"

type Example = dict[str, Any]
type Shards = Mapping[str, Sequence[Callable[[], Iterator[tuple[int, Example]]]]]


@dataclass(frozen=True)
class About:
    """What the data set says of itself."""

    name: str
    """A Python identifier in lower case."""
    description: str
    homepage: str = ""
    citation: str = ""


class PhotoDatasetBuilder(tfds.core.ShardBasedBuilder, skip_registration=True):  # type: ignore[call-arg,misc]
    """One record for each photo: its encoded bytes as they were, and the fields of `Photo`."""

    VERSION = tfds.core.Version(VERSION)

    def __init__(
        self, about: About, shards: Shards, metadata: Mapping[str, Any], data_dir: Path
    ) -> None:
        self.name = about.name
        self._about = about
        self._shards = shards
        self._metadata = metadata
        super().__init__(data_dir=data_dir, file_format="array_record")

    def _info(self) -> tfds.core.DatasetInfo:
        text = tfds.features.Text
        return tfds.core.DatasetInfo(
            builder=self,
            description=self._about.description,
            homepage=self._about.homepage or None,
            citation=self._about.citation or None,
            metadata=tfds.core.MetadataDict(self._metadata),
            disable_shuffling=True,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(doc="the encoded photo, byte for byte"),
                    "product_id": text(doc="whose photo this is"),
                    "image_path": text(doc="where it lay in the source"),
                    "image_url": text(),
                    "title": text(),
                    "category": text(doc="the super-class, where there are any"),
                    "price": text(),
                    "labels": tfds.features.Sequence({"key": text(), "value": text()}),
                    "product_sets": tfds.features.Sequence(text()),
                    "role": text(doc="catalog, query or empty"),
                    "row": tfds.features.Scalar(np.int64, doc="1-based, in the source's listing"),
                }
            ),
        )

    def _shard_iterators_per_split(self, dl_manager: object) -> Shards:
        return self._shards


def write_dataset(
    catalog: Catalog, about: About, metadata: Mapping[str, Any], workspace: Path
) -> Path:
    """Write a catalogue's photos and their listing.

    Args:
        catalog: every photo can be read.
        about: for dataset_info.json.
        metadata: for metadata.json; JSON's own types.
        workspace: an empty folder.

    Returns:
        The finished folder, inside the workspace.

    Raises:
        OSError: a photo cannot be read any more, or the disk is full.
    """
    splits: dict[str, list[int]] = {}
    for number, photo in enumerate(catalog.photos):
        splits.setdefault(photo.split or UNASSIGNED, []).append(number)
    order = [number for numbers in splits.values() for number in numbers]
    records = {number: record for record, number in enumerate(order)}
    sizes: dict[int, int] = {}
    with progress_bar("Writing", len(order)) as bar:
        shards = {
            split: [
                partial(_examples, catalog, shard, sizes, bar.advance)
                for shard in _divided(catalog, numbers)
            ]
            for split, numbers in splits.items()
        }
        builder = PhotoDatasetBuilder(about, shards, metadata, workspace)
        # It announces itself on stdout, which is for results.
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare(
                download_dir=workspace / "downloads",
                download_config=tfds.download.DownloadConfig(try_download_gcs=False),
            )
    folder = Path(builder.data_dir)
    places = [(records[number], sizes[number]) for number in range(len(catalog.photos))]
    write_listing(folder / LISTING, catalog.photos, places)
    return folder


def _divided(catalog: Catalog, numbers: Sequence[int]) -> Iterator[list[int]]:
    """Cut a split into shards of about SHARD_BYTES."""
    shard: list[int] = []
    total = 0
    for number, size in zip(
        numbers, catalog.source.sizes([catalog.photos[n].image for n in numbers]), strict=True
    ):
        if shard and total + (size or 0) > SHARD_BYTES:
            yield shard
            shard, total = [], 0
        shard.append(number)
        total += size or 0
    yield shard


def _examples(
    catalog: Catalog, numbers: Sequence[int], sizes: dict[int, int], advance: Callable[[], None]
) -> Iterator[tuple[int, Example]]:
    for number in numbers:
        photo = catalog.photos[number]
        data = catalog.read(photo)
        sizes[number] = len(data)
        yield number, _example(photo, data)
        advance()


def _example(photo: Photo, data: bytes) -> Example:
    return {
        "image": data,
        "product_id": photo.product_id,
        "image_path": photo.image,
        "image_url": photo.image_url,
        "title": photo.title,
        "category": photo.category,
        "price": photo.price,
        "labels": {
            "key": [key for key, _ in photo.labels],
            "value": [value for _, value in photo.labels],
        },
        "product_sets": list(photo.product_sets),
        "role": photo.role,
        "row": photo.row,
    }
