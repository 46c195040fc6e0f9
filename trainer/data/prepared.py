"""Prepared catalogues: photos in the field's own format on disk, beside the listing of them.

dataset_info.json, features.json     TensorFlow Datasets' description: its tools open the folder
<name>-<split>.array_record-00000-of-00012   records, each one photo with all its fields
photos.parquet                       the listing, in the catalogue's order: opened at once,
                                     where the records would have to be read from end to end
metadata.json                        what the folder was prepared from
bad_photos.csv                       photos of the source that could not be read, if any
"""

import errno
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from trainer.data.photo_table import photo_columns, photos_of
from trainer.data.records import Catalog, Photo
from trainer.errors import CatalogError

DATASET_INFO = "dataset_info.json"
LISTING = "photos.parquet"


class PreparedSource:
    """Photos in array_record files, each read by its number; opened anew by every process."""

    def __init__(self, records: Any, location: str, places: dict[str, tuple[int, int]]) -> None:
        """Take what `open_prepared` found.

        Args:
            records: array_record's data source over all files: safe to read from many threads.
            location: the folder, for messages.
            places: the number of the record and the photo's size in bytes, by image.
        """
        self.location = location
        self._records = records
        self._places = places

    def read(self, image: str) -> bytes:
        # Importing it takes seconds; a process that has read one photo has paid.
        from tensorflow_datasets.proto import tf_example_pb2

        if image not in self._places:
            raise FileNotFoundError(f"{self.location} has no photo {image}")
        try:
            record = self._records[self._places[image][0]]
        # array_record raises several kinds for a damaged file.
        except (RuntimeError, ValueError, IndexError) as error:
            raise OSError(errno.EIO, f"the record is damaged ({error})") from error
        example = tf_example_pb2.Example.FromString(record)
        data: bytes = example.features.feature["image"].bytes_list.value[0]
        return data

    def sizes(self, images: Sequence[str]) -> list[int | None]:
        return [self._places[image][1] if image in self._places else None for image in images]


def is_prepared(folder: Path) -> bool:
    """Whether this is a data set on disk, as TensorFlow Datasets lays it out."""
    return (folder / DATASET_INFO).is_file()


def open_prepared(folder: Path, location: str) -> Catalog:
    """Read the listing of a prepared folder, and look whether its records are there.

    Args:
        folder: where `is_prepared`.
        location: its name for messages.

    Raises:
        CatalogError: it was prepared by something else, or files are missing or cut off.
    """
    if not (folder / LISTING).is_file():
        raise CatalogError(
            f"{location} holds a data set of TensorFlow Datasets, but no {LISTING}: only what "
            "`lookalike data prepare` made is read"
        )
    photos, places = _read_listing(folder / LISTING, location)
    return Catalog(
        folder.resolve().name,
        PreparedSource(_open_records(folder, location, len(photos)), location, places),
        photos,
    )


def write_listing(path: Path, photos: Sequence[Photo], places: Sequence[tuple[int, int]]) -> None:
    """Write photos.parquet.

    Args:
        path: the file.
        photos: in the catalogue's order.
        places: for each, the number of its record and its size in bytes.
    """
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    columns = {
        **photo_columns(photos),
        "record": arrow.array([record for record, _ in places], arrow.int64()),
        "size_bytes": arrow.array([size for _, size in places], arrow.int64()),
    }
    parquet.write_table(arrow.table(columns), path, compression="zstd")


def _read_listing(
    path: Path, location: str
) -> tuple[tuple[Photo, ...], dict[str, tuple[int, int]]]:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    try:
        table = parquet.read_table(path)
        photos = tuple(photos_of(table))
        records, sizes = (table.column(name).to_pylist() for name in ("record", "size_bytes"))
    except (arrow.ArrowInvalid, OSError, KeyError) as error:
        raise CatalogError(
            f"{location}/{LISTING} is damaged ({error}): prepare the data set again"
        ) from error
    places = zip(records, sizes, strict=True)
    return photos, {photo.image: place for photo, place in zip(photos, places, strict=True)}


def _open_records(folder: Path, location: str, expected: int) -> Any:
    from array_record.python.array_record_data_source import ArrayRecordDataSource

    try:
        info = json.loads((folder / DATASET_INFO).read_bytes())
        files = [folder / name for name in record_files(info)]
    except (ValueError, KeyError) as error:
        raise CatalogError(
            f"{location}/{DATASET_INFO} is damaged ({error!r}): prepare the data set again"
        ) from error
    if missing := [file.name for file in files if not file.is_file()]:
        raise CatalogError(
            f"{location}: {', '.join(missing)} missing: copy the folder again, with all its files"
        )
    try:
        records = ArrayRecordDataSource(files)
        found = len(records)
    except (RuntimeError, ValueError, OSError) as error:
        raise CatalogError(
            f"{location}: a record file is damaged or cut off ({error}): copy or prepare it again"
        ) from error
    if found != expected:
        raise CatalogError(
            f"{location}: the listing names {expected:,} photos, the record files hold {found:,}: "
            "copy or prepare the data set again"
        )
    return records


def record_files(info: Any) -> Iterator[str]:
    """Yield the record files' names that a dataset_info.json stands for, in their order."""
    for split in info["splits"]:
        shards = len(split["shardLengths"])
        for shard in range(shards):
            yield f"{info['name']}-{split['name']}.array_record-{shard:05d}-of-{shards:05d}"
