"""What changed in a catalogue since it was published: a listing with one column more.

| `change` | The product of the row |
|---|---|
| `add` | is new: its rows are all of its photos |
| `change` | is known: its rows are all of its photos now; one without an image keeps those it had |
| `remove` | goes, with all its photos; the row needs its id alone |
| nothing | is added or changed, as it is new or known |
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from trainer.data.catalog import open_listing
from trainer.data.columns import parse_photos, plain_name
from trainer.data.problems import refuse
from trainer.data.records import Catalog, Photo
from trainer.data.tables import Table
from trainer.errors import CatalogError

Kind = Literal["add", "change", "remove", ""]

COLUMN = "change"


@dataclass(frozen=True)
class Changes:
    """Changes of products, each product once.

    Attributes:
        catalog: all photos of the products that are added or get others, in the listing's order.
        texts: of the products that keep their photos, a row each, by id.
        removed: ids of those that go.
        demanded: what a product must be for its change, by id: "add" new, "change" known.
        rows: where a product is first listed, for messages.
    """

    catalog: Catalog
    texts: Mapping[str, Photo]
    removed: tuple[str, ...]
    demanded: Mapping[str, Kind]
    rows: Mapping[str, int]


def open_changes(path: str | Path) -> Changes:
    """Read what changed: a catalogue's listing in any shape but a folder of folders.

    Raises:
        CatalogError: nothing is there, or rows are bad; up to ten problems are named.
    """
    location, path = str(path), Path(path).expanduser()
    if not path.exists():
        raise CatalogError(f"{location} does not exist: expected a listing of changes")
    try:
        listing = open_listing(path, location)
    except OSError as error:
        raise CatalogError(f"{location} cannot be read: {error.strerror}") from error
    if listing is None:
        raise CatalogError(
            f"{location} has no metadata.csv: expected a listing of changes, with the columns of a "
            f"catalogue and a column {COLUMN!r}"
        )
    kinds, table = _kinds(listing.table)
    photos = parse_photos(table, uris=listing.uris, without_image=True)
    by_product: defaultdict[str, list[Photo]] = defaultdict(list)
    for photo in photos:
        # A release holds no queries.
        if photo.role != "query":
            by_product[photo.product_id].append(photo)
    if not by_product:
        raise CatalogError(f"{location} lists no change of a product that can be published")
    problems = [
        f"row {rows[0].row}: product {name!r}: {problem}"
        for name, rows in by_product.items()
        if (problem := _contradiction([kinds[photo.row] for photo in rows], rows))
    ]
    refuse(location, problems)
    kind_of = {name: kinds[rows[0].row] for name, rows in by_product.items()}
    removed = tuple(name for name, kind in kind_of.items() if kind == "remove")
    shown = [photo for photo in photos if photo.image and kind_of.get(photo.product_id) != "remove"]
    return Changes(
        catalog=Catalog(listing.name, listing.source, tuple(p for p in shown if p.role != "query")),
        texts={
            name: rows[0]
            for name, rows in by_product.items()
            if not rows[0].image and kind_of[name] != "remove"
        },
        removed=removed,
        demanded=kind_of,
        rows={name: rows[0].row for name, rows in by_product.items()},
    )


def _kinds(table: Table) -> tuple[dict[int, Kind], Table]:
    """Return each row's kind, and the table without the column."""
    columns = [column for column in table.columns if plain_name(column) == COLUMN]
    kinds: dict[int, Kind] = {}
    problems = []
    rows = []
    for row, values in table.rows:
        given = [str(values.get(column) or "").strip().casefold() for column in columns]
        kind = given[0] if given else ""
        if kind in get_args(Kind):
            kinds[row] = kind  # type: ignore[assignment]  # checked in the line above
        else:
            expected = ", ".join(filter(None, get_args(Kind)))
            problems.append(f"row {row}: {COLUMN}: expected {expected} or nothing, found {kind!r}")
        rows.append((row, {name: item for name, item in values.items() if name not in columns}))
    refuse(table.location, problems)
    left = tuple(column for column in table.columns if column not in columns)
    return kinds, replace(table, columns=left, rows=tuple(rows))


def _contradiction(kinds: list[Kind], rows: list[Photo]) -> str | None:
    """Say what is wrong with the rows of one product; None if nothing is."""
    if len(set(kinds)) > 1:
        told = ", ".join(sorted({kind or "nothing" for kind in kinds}))
        return f"expected one kind of change in all its rows, found {told}"
    if kinds[0] == "remove":
        return None
    if kinds[0] == "add" and not all(photo.image for photo in rows):
        return "expected an image in every row of a product that is added"
    if len(rows) > 1 and not all(photo.image for photo in rows):
        return "expected an image in every row, or one row without any, which keeps its photos"
    return None
