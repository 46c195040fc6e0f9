"""Statistics as files: for scripts, for slides, and for people with a browser."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from function.storage import open_storage
from trainer.data.records import Catalog
from trainer.data.split import split_products
from trainer.data.statistics.distribution import class_distribution
from trainer.data.statistics.duplicates import Duplicates, find_duplicates
from trainer.data.statistics.measure import Measurements, measure
from trainer.data.statistics.numbers import Group, groups_of, sides_of, summarise
from trainer.data.statistics.overview import overview
from trainer.data.statistics.sheet import per_class_visualization
from trainer.data.statistics.signature import correlation, hamming_distance
from trainer.figures import png
from trainer.page import render

STATISTICS = "stats.json"
DUPLICATES = "duplicates.csv"
DISTRIBUTION = "class_distribution.png"
VISUALIZATION = "per_class_visualization.png"
PAGE = "index.html"

_COLUMNS = (
    "group", "degree", "distance_bits", "correlation", "product_id", "image", "row", "role",
    "side", "group_products", "group_across_split",
)  # fmt: skip


_CONTENT_TYPES = {
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
    ".png": "image/png",
    ".html": "text/html; charset=utf-8",
}


def write_statistics(
    catalog: Catalog, out: str | Path, *, holdout: float, seed: int
) -> dict[str, Any]:
    """Measure a catalogue and write what was found: JSON, CSV, two figures and a page.

    Files appear whole, each by a rename, and only after everything has been measured; the page,
    which shows all of it, is the last.

    Args:
        catalog: what to measure.
        out: a folder, or gs://bucket/prefix.
        holdout: fraction of the products kept unseen, as an experiment's.
        seed: an experiment's.

    Returns:
        `summarise`'s numbers, as stats.json holds them.

    Raises:
        CatalogError: no photo can be read, or rows of one product name both splits.
    """
    split = split_products(catalog, holdout=holdout, seed=seed)
    measured = measure(catalog)
    duplicates = find_duplicates(measured)
    sides = sides_of(measured.catalog.photos, split)
    summary = summarise(measured, duplicates, sides)
    summary["split"] |= {"holdout": holdout, "seed": seed}
    groups = groups_of(duplicates.near, measured.catalog.photos, sides)
    distribution = class_distribution(summary)
    visualization = per_class_visualization(measured.catalog.photos, catalog.read)
    page = overview(
        measured,
        summary,
        groups,
        sides,
        distribution=distribution,
        visualization=visualization,
        files=(STATISTICS, DUPLICATES, DISTRIBUTION, VISUALIZATION),
    )
    files = {
        STATISTICS: (json.dumps(summary, indent=2) + "\n").encode(),
        DUPLICATES: _table(measured, duplicates, groups, sides).encode(),
        DISTRIBUTION: png(distribution),
        VISUALIZATION: _png(visualization),
        PAGE: render(page).encode(),
    }
    storage = open_storage(out)
    for name, data in files.items():
        storage.write(name, data, content_type=_CONTENT_TYPES[Path(name).suffix])
    return summary


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _table(
    measured: Measurements, duplicates: Duplicates, groups: Sequence[Group], sides: Sequence[str]
) -> str:
    """One row for each photo that has copies: how it compares with the first of its group."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for number, group in enumerate(groups, 1):
        first, rows = group.rows[0], list(group.rows)
        firsts = [first] * len(rows)
        distances = hamming_distance(measured.hashes[firsts], measured.hashes[rows])
        alike = correlation(measured.pixels[firsts], measured.pixels[rows])
        for row, distance, likeness in zip(rows, distances, alike, strict=True):
            photo = measured.catalog.photos[row]
            writer.writerow(
                (
                    number, _degree(duplicates, first, row), int(distance), f"{likeness:.4f}",
                    photo.product_id, photo.image, photo.row or "", photo.role, sides[row],
                    group.products, "yes" if group.across_split else "no",
                )
            )  # fmt: skip
    return text.getvalue()


def _degree(duplicates: Duplicates, first: int, row: int) -> str:
    if row == first:
        return "first"
    if duplicates.same_bytes[row] == duplicates.same_bytes[first]:
        return "same bytes"
    return "same pixels" if duplicates.same_pixels[row] == duplicates.same_pixels[first] else "near"
