"""Listings of the field: text lines of a few columns between blanks."""

from collections.abc import Sequence

from trainer.data.problems import refuse
from trainer.data.records import Source
from trainer.errors import CatalogError


def read_lines(
    source: Source, name: str, columns: Sequence[str], *, header: int = 0
) -> list[tuple[int, list[str]]]:
    """Split a listing's lines.

    Args:
        source: where it lies.
        name: its path there.
        columns: what each line holds, for messages; no value holds a blank.
        header: how many lines before the first are none.

    Returns:
        (1-based line, its values), empty lines left out.

    Raises:
        CatalogError: there is no such file, it is not UTF-8, or lines have other columns.
    """
    location = f"{source.location}/{name}"
    try:
        text = source.read(name).decode()
    except FileNotFoundError as error:
        raise CatalogError(f"{location} does not exist: is the copy complete?") from error
    except UnicodeDecodeError as error:
        raise CatalogError(f"{location} is no text ({error}): copy the data set again") from error
    lines = [
        (number, values)
        for number, line in enumerate(text.splitlines(), start=1)
        if number > header and (values := line.split())
    ]
    refuse(
        location,
        [
            f"line {number}: found {' '.join(values)!r:.80}"
            for number, values in lines
            if len(values) != len(columns)
        ],
        f"Expected on each line: {' '.join(columns)}",
    )
    return lines
