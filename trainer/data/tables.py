"""CSV, JSON Lines and Parquet as rows of named values; what they mean is told in columns.py."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.errors import CatalogError

# Of a Parquet listing, whatever its size.
_ROWS_AT_ONCE = 8192


@dataclass(frozen=True)
class Table:
    """Rows of a listing."""

    location: str
    """The file, for messages."""
    columns: tuple[str, ...]
    """Every column's name as written, in the order of appearance."""
    rows: Iterable[tuple[int, dict[str, object]]]
    """(1-based row, its values by column); absent values may be missing, None or empty. Those of a
    large Parquet listing come as they are read, and once."""


def read_csv(data: bytes, location: str) -> Table:
    """Read a CSV with a header, in UTF-8, separated by commas, semicolons or tabs.

    Rows are counted as a spreadsheet does: the header is row 1, a quoted line break ends none.

    Raises:
        CatalogError: not UTF-8, no header, or rows that the header does not fit.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise CatalogError(
            f"{location}: line {line} is not UTF-8: save the file as 'CSV UTF-8'"
        ) from error
    header = text.partition("\n")[0]
    # Spreadsheets write semicolons where the comma is the decimal mark.
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[int, dict[str, object]]] = []
    try:
        columns = tuple(next(reader, ()))
        if not any(columns):
            raise CatalogError(f"{location} is empty: expected a header row that names the columns")
        for row, values in enumerate(reader, start=2):
            if not values:
                continue
            if len(values) != len(columns):
                raise CatalogError(
                    f"{location}: row {row} has {len(values)} cells, the header {len(columns)}: "
                    "is a quote or a separator missing or too many?"
                )
            rows.append((row, dict(zip(columns, values, strict=True))))
    except csv.Error as error:
        raise CatalogError(f"{location}: line {reader.line_num}: {error}") from error
    return Table(location, columns, tuple(rows))


def read_json_lines(data: bytes, location: str) -> Table:
    """Read one JSON object a line; a row is a line.

    Raises:
        CatalogError: a line that is not UTF-8 or no JSON object.
    """
    rows = tuple(_json_rows(data, location))
    return Table(location, tuple(dict.fromkeys(key for _, row in rows for key in row)), rows)


def _json_rows(data: bytes, location: str) -> Iterator[tuple[int, dict[str, object]]]:
    for line, text in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except ValueError as error:
            raise CatalogError(f"{location}: line {line} is no JSON: {error}") from error
        if not isinstance(row, dict):
            raise CatalogError(
                f"{location}: line {line}: expected a JSON object, found {row!r:.60}"
            )
        yield line, row


def read_parquet(files: Sequence[Path], location: str) -> Table:
    """Read Parquet files that make up one listing, in their order, row by row when asked.

    Rows are counted from 1 through all of them.

    Raises:
        CatalogError: a file is none, or has other columns than the first; in its rows, when these
            are read.
    """
    columns: tuple[str, ...] | None = None
    for path in files:
        with _parquet(path) as file:
            names = tuple(file.schema_arrow.names)
        if columns is not None and names != columns:
            raise CatalogError(
                f"{path}: expected the columns of {files[0].name}, {', '.join(columns)}; found "
                f"{', '.join(names)}"
            )
        columns = names
    return Table(location, columns or (), enumerate(_parquet_rows(files), start=1))


def parquet_rows(path: Path) -> int:
    """Return how many rows a Parquet file has; CatalogError where it is none."""
    with _parquet(path) as file:
        rows: int = file.metadata.num_rows
    return rows


def _parquet_rows(files: Sequence[Path]) -> Iterator[dict[str, object]]:
    for path in files:
        with _parquet(path) as file:
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE):
                yield from batch.to_pylist()


@contextmanager
def _parquet(path: Path) -> Iterator[Any]:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    try:
        with parquet.ParquetFile(path) as file:
            yield file
    except (arrow.ArrowInvalid, OSError) as error:
        raise CatalogError(f"{path} is no readable Parquet file: {error}") from error
