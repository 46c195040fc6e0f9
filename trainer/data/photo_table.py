"""Photos as columns of a Parquet file, and back: all that their source lists, unchanged."""

from collections.abc import Iterator, Sequence
from typing import Any

from trainer.data.records import Photo

_TEXT_COLUMNS = (
    "product_id", "image", "image_url", "title", "category", "price", "role", "split",
)  # fmt: skip


def photo_columns(photos: Sequence[Photo]) -> dict[str, Any]:
    """Return the columns, as Arrow arrays, by name; a row is a photo."""
    import pyarrow as arrow

    labels = arrow.list_(arrow.struct([("key", arrow.string()), ("value", arrow.string())]))
    return {
        **{
            name: arrow.array([getattr(photo, name) for photo in photos], arrow.string())
            for name in _TEXT_COLUMNS
        },
        "labels": arrow.array(
            [[{"key": key, "value": value} for key, value in photo.labels] for photo in photos],
            labels,
        ),
        "product_sets": arrow.array(
            [photo.product_sets for photo in photos], arrow.list_(arrow.string())
        ),
        "row": arrow.array([photo.row for photo in photos], arrow.int64()),
    }


def photos_of(table: Any) -> Iterator[Photo]:
    """Yield the photos of an Arrow table that has these columns; KeyError where it has not."""
    columns = [table.column(name).to_pylist() for name in _TEXT_COLUMNS]
    labels, product_sets, rows = (
        table.column(name).to_pylist() for name in ("labels", "product_sets", "row")
    )
    for *texts, pairs, names, row in zip(*columns, labels, product_sets, rows, strict=True):
        yield Photo(
            **dict(zip(_TEXT_COLUMNS, texts, strict=True)),
            labels=tuple((pair["key"], pair["value"]) for pair in pairs),
            product_sets=tuple(names),
            row=row,
        )
