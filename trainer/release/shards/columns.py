"""The Parquet files of a shard: what is listed of its photos, and what became of them."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from jaxtyping import Int

from trainer.data.photo_table import photo_columns, photos_of
from trainer.data.records import Photo
from trainer.errors import PublishError
from trainer.release.copies import Signatures
from trainer.release.embedding import EmbeddedCatalog
from trainer.release.images import StoredPhoto

_SIDE = 16  # of what a signature keeps of a photo, in pixels
_SIGNATURE_BYTES = _SIDE * _SIDE * 3


def write_photos(photos: Sequence[Photo]) -> bytes:
    """Return a file of what is listed of photos."""
    return _written(photo_columns(photos))


def read_photos(data: bytes, name: str) -> list[Photo]:
    """Return what `write_photos` wrote; PublishError names a damaged file."""
    table = _table(data, name)
    try:
        return list(photos_of(table))
    except KeyError as error:
        raise _damaged(name, error) from error


def write_embedded(rows: Int[np.ndarray, " photos"], embedded: EmbeddedCatalog) -> bytes:
    """Return a file of what became of photos.

    Args:
        rows: the photos' numbers in the plan.
        embedded: with signatures.
    """
    import pyarrow as arrow

    count, dim = embedded.vectors.shape
    signatures = embedded.signatures
    assert signatures is not None  # noqa: S101  # shards always have them
    vectors = arrow.array(embedded.vectors.ravel(), arrow.float32())
    pixels = arrow.py_buffer(np.ascontiguousarray(signatures.pixels).tobytes())
    fixed = arrow.binary(_SIGNATURE_BYTES)
    return _written(
        {
            "row": arrow.array(rows, arrow.int64()),
            "vector": arrow.FixedSizeListArray.from_arrays(vectors, dim),
            "hash": arrow.array(signatures.hashes, arrow.uint64()),
            "pixels": arrow.Array.from_buffers(fixed, count, [None, pixels]),
            "sha256": arrow.array(
                [where.sha256 if where else None for where in embedded.stored], arrow.string()
            ),
            "thumbnail_sha256": arrow.array(
                [where.thumbnail_sha256 if where else None for where in embedded.stored],
                arrow.string(),
            ),
        }
    )


def read_embedded(
    data: bytes, name: str, dim: int
) -> tuple[Int[np.ndarray, " photos"], EmbeddedCatalog]:
    """Return what `write_embedded` wrote; PublishError names a damaged file."""
    table = _table(data, name)
    try:
        columns = {key: table.column(key).combine_chunks() for key in table.column_names}
        vectors = columns["vector"].flatten().to_numpy().reshape(-1, dim)
        pixels = b"".join(columns["pixels"].to_pylist())
        stored = tuple(
            None if sha256 is None else StoredPhoto(sha256, thumbnail)
            for sha256, thumbnail in zip(
                columns["sha256"].to_pylist(), columns["thumbnail_sha256"].to_pylist(), strict=True
            )
        )
        signatures = Signatures(
            columns["hash"].to_numpy(),
            np.frombuffer(pixels, np.uint8).reshape(-1, _SIDE, _SIDE, 3),
        )
        return columns["row"].to_numpy(), EmbeddedCatalog(vectors, stored, signatures)
    except (KeyError, ValueError) as error:
        raise _damaged(name, error) from error


def _written(columns: dict[str, Any]) -> bytes:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    buffer = BytesIO()
    parquet.write_table(arrow.table(columns), buffer, compression="zstd")
    return buffer.getvalue()


def _table(data: bytes, name: str) -> Any:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    try:
        return parquet.read_table(arrow.BufferReader(data))
    except (arrow.ArrowInvalid, OSError) as error:
        raise _damaged(name, error) from error


def _damaged(name: str, error: Exception) -> PublishError:
    return PublishError(f"{name} is damaged ({type(error).__name__}): publish again.")
