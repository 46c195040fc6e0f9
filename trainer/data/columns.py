"""What a listing's columns mean: rows of values become photos, or every problem is named."""

import math
from collections.abc import Iterator, Mapping

from trainer.data.problems import SHOWN_PROBLEMS, refuse
from trainer.data.records import Photo, Role, SplitName
from trainer.data.sources import checked_image
from trainer.data.tables import Table

# The names that shops give to each field, the first being ours. Case, spaces and '-' do not count.
ALIASES: Mapping[str, tuple[str, ...]] = {
    "product_id": ("product_id", "product", "id", "sku", "item_id"),
    "image": ("image", "path", "image_path", "image_uri", "uri", "file", "file_name", "filename"),
    "image_url": ("image_url", "image_link", "url"),
    "title": ("title", "name", "display_name", "product_name"),
    "category": ("category", "product_category"),
    "price": ("price",),
    "labels": ("labels", "product_labels", "attributes"),
    "product_sets": ("product_set", "product_sets", "product_set_id"),
    "role": ("role",),
    "split": ("split",),
}
# Columns of research packs that say nothing about the product.
IGNORED = ("variant", "licence", "license", "source", "width", "height")

ROLES: Mapping[str, Role] = {"": "", "catalog": "catalog", "query": "query"}
SPLITS: Mapping[str, SplitName] = {"": "", "train": "train", "test": "test"}

_MANY = ("labels", "product_sets")

_FIELD_OF_ALIAS = {alias: field for field, aliases in ALIASES.items() for alias in aliases}


def parse_photos(table: Table, *, uris: bool, without_image: bool = False) -> tuple[Photo, ...]:
    """Turn a listing's rows into photos, in their order.

    Args:
        table: the rows.
        uris: whether images may be file:// and gs:// URIs.
        without_image: whether rows may name none: they are about a product alone.

    Raises:
        CatalogError: unknown or missing columns; then every bad row: an image that is no path, an
            empty product id where the role is not query, another role or split than the known
            ones, labels that are no key=value pairs, the same product and image twice.
    """
    photos: list[Photo] = []
    problems: list[str] = []
    first_rows: dict[tuple[str, str], int] = {}
    for row, photo in _parsed(table, uris, without_image):
        if isinstance(photo, str):
            problems.append(f"row {row}: {photo}")
            continue
        key = (photo.product_id, photo.image)
        if (first := first_rows.setdefault(key, row)) != row:
            product = f"product {photo.product_id!r}" if photo.product_id else "no product"
            problems.append(f"row {row}: image {photo.image!r} of {product} repeats row {first}")
        photos.append(photo)
    refuse(table.location, problems)
    return tuple(photos)


def stream_photos(table: Table, *, uris: bool) -> Iterator[Photo]:
    """Yield what `parse_photos` would return, keeping none.

    That the same product and image come twice is not noticed.

    Raises:
        CatalogError: as `parse_photos`, with the first bad rows: some photos may have come before.
    """
    problems: list[str] = []
    for row, photo in _parsed(table, uris, without_image=False):
        if not isinstance(photo, str):
            yield photo
            continue
        problems.append(f"row {row}: {photo}")
        if len(problems) == SHOWN_PROBLEMS:
            break
    refuse(table.location, problems)


def _parsed(table: Table, uris: bool, without_image: bool) -> Iterator[tuple[int, Photo | str]]:
    """Yield each row's number, and its photo or what is wrong with it."""
    columns = _known_columns(table, ("product_id",) if without_image else ("product_id", "image"))
    for row, values in table.rows:
        try:
            named = {columns[name]: value for name, value in values.items()}
            yield row, _photo(row, named, uris, without_image)
        except ValueError as error:
            yield row, str(error)


def plain_name(column: str) -> str:
    """Return a column's name without case, and with underscores for spaces and hyphens."""
    return column.strip().casefold().replace(" ", "_").replace("-", "_")


def _known_columns(table: Table, needed: tuple[str, ...]) -> dict[str, str]:
    """Return the field that each column fills; "" for the ignored ones."""
    fields: dict[str, str] = {}
    problems: list[str] = []
    for column in table.columns:
        name = plain_name(column)
        field = "" if name in IGNORED else _FIELD_OF_ALIAS.get(name)
        if field is None:
            problems.append(f"unknown column {column!r}")
        elif field and field in fields.values():
            other = next(known for known, filled in fields.items() if filled == field)
            problems.append(f"columns {other!r} and {column!r} both give {field}: keep one")
        else:
            fields[column] = field
    if len(set(table.columns)) != len(table.columns):
        problems.append("a column's name comes twice")
    if table.columns:
        problems += [
            f"no column gives {field}: expected one of {', '.join(ALIASES[field])}"
            for field in needed
            if field not in fields.values()
        ]
    valid = "; ".join("/".join(aliases) for aliases in ALIASES.values())
    refuse(table.location, problems, f"Columns that are read: {valid}")
    return fields


def _photo(row: int, values: Mapping[str, object], uris: bool, without_image: bool) -> Photo:
    text = {
        field: _text(field, value) for field, value in values.items() if field not in ("", *_MANY)
    }
    role, split = text.get("role", "").casefold(), text.get("split", "").casefold()
    if role not in ROLES:
        raise ValueError(f"role: expected catalog, query or nothing, found {text['role']!r}")
    if split not in SPLITS:
        raise ValueError(f"split: expected train, test or nothing, found {text['split']!r}")
    product_id = text.get("product_id", "")
    if not product_id and role != "query":
        raise ValueError("product id: expected one, found none; only role query may go without")
    image = text.get("image", "")
    return Photo(
        product_id=product_id,
        image=checked_image(image, uris=uris) if image or not without_image else "",
        image_url=text.get("image_url", ""),
        title=text.get("title", ""),
        category=text.get("category", ""),
        price=text.get("price", ""),
        labels=tuple(_labels(values.get("labels"))),
        product_sets=tuple(_names("product_sets", values.get("product_sets"))),
        role=ROLES[role],
        split=SPLITS[split],
        row=row,
    )


def _text(field: str, value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, (dict, list, bytes)):
        raise ValueError(f"{field}: expected text, found {type(value).__name__} {value!r:.40}")
    # A column of whole numbers with one gap comes out of data frames as floats.
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _names(field: str, value: object) -> Iterator[str]:
    """Yield the names of "a;b" or ["a", "b"]."""
    parts = value if isinstance(value, list) else _text(field, value).split(";")
    for part in parts:
        if name := _text(field, part).strip():
            yield name


def _labels(value: object) -> Iterator[tuple[str, str]]:
    """Yield (key, value) pairs of "k=v;k=v", {k: v}, {k: [v, …]}, ["k=v", …] or [(k, v), …]."""
    if isinstance(value, dict):
        for key, one_or_many in value.items():
            for one in one_or_many if isinstance(one_or_many, list) else [one_or_many]:
                # Parquet structs hold every row's keys, with None where a row has none.
                if one is not None:
                    yield key, _text("labels", one)
        return
    parts = value if isinstance(value, list) else _text("labels", value).split(";")
    for part in parts:
        if isinstance(part, dict) and part.keys() == {"key", "value"}:
            part = (part["key"], part["value"])
        if isinstance(part, tuple | list) and len(part) == 2:
            yield _text("labels", part[0]), _text("labels", part[1])
        elif text := _text("labels", part):
            key, separator, label = text.partition("=")
            if not separator or not key.strip():
                raise ValueError(f"labels: expected key=value;key=value, found {text!r}")
            yield key.strip(), label.strip()
