"""Statistics as a page: numbers, figures, and the copies that were found, to look at."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

from trainer.data.statistics.distribution import SHOWN_CATEGORIES as BARS
from trainer.data.statistics.measure import Measurements
from trainer.data.statistics.numbers import PERCENTILES, Group
from trainer.data.statistics.sheet import MAX_LINES
from trainer.figures import inline_svg
from trainer.page import (
    Block,
    Illustration,
    Page,
    Photos,
    PhotoTile,
    Section,
    Table,
    Text,
    Tile,
    data_uri,
    thumbnail,
)

SHOWN_GROUPS = 60
SHOWN_PHOTOS_OF_A_GROUP = 8
SHOWN_UNREADABLE = 200
SHOWN_CATEGORIES = 200
_SHEET_QUALITY = 82

_DEGREES = {
    "same_bytes": "same file",
    "same_pixels": "same pixels",
    "near": "alike (saved again, scaled, in another light, or of one session)",
}
_MEASURES = {
    "width": "width, px",
    "height": "height, px",
    "megapixels": "megapixels",
    "aspect_ratio": "width / height",
    "file_bytes": "file size, bytes",
}


def overview(
    measured: Measurements,
    summary: Mapping[str, Any],
    groups: Sequence[Group],
    sides: Sequence[str],
    *,
    distribution: Figure,
    visualization: Image.Image,
    files: Sequence[str],
) -> Page:
    """Put together what was found.

    Args:
        measured: the photos; those of duplicates are read once more, for their thumbnails.
        summary: `summarise`'s numbers, split's holdout and seed among them.
        groups: near duplicates, in the order to show them.
        sides: "train" or "evaluation" for each photo.
        distribution: `class_distribution`'s figure.
        visualization: `per_class_visualization`'s picture.
        files: names of what lies beside the page.
    """
    exact, near = (summary["duplicates"][degree] for degree in ("same_pixels", "near"))
    catalog = measured.catalog
    return Page(
        title=f"What {catalog.name} holds",
        subtitle=catalog.source.location,
        tiles=(
            Tile("photos", summary["photos"]),
            Tile("products", summary["products"]),
            Tile("super-classes", summary["category_count"]),
            Tile("photos per product", summary["photos_per_product"]["median"], "median"),
            Tile(
                "leaks",
                exact["across_split"],
                "same pixels in train and evaluation",
                exact["across_split"] > 0,
            ),
            Tile("alike across the split", near["across_split"], "groups, to look at"),
            Tile("alike across products", near["across_products"], "groups, to look at"),
            Tile("surplus copies", exact["surplus"], "photos of the same pixels"),
            Tile("unreadable", len(summary["unreadable"]), "", bool(summary["unreadable"])),
        ),
        sections=(
            Section("Counts", _counts(summary)),
            Section("Classes", _classes(summary, distribution, visualization)),
            Section("Sizes", _sizes(summary)),
            Section("Duplicates", _duplicates(measured, summary, groups, sides)),
            Section("Unreadable photos", _unreadable(summary)),
        ),
        downloads=files,
        footer=f"Catalogue fingerprint {summary['fingerprint']}",
    )


def _counts(summary: Mapping[str, Any]) -> list[Block]:
    split = summary["split"]
    counts: list[tuple[str, int | str]] = [
        ("photos", summary["photos"]),
        ("products", summary["products"]),
        ("products with two photos or more", summary["trainable_products"]),
        ("photos of no product (open-set queries)", summary["open_set_queries"]),
        *((f"photos of role {role}", number) for role, number in summary["roles"].items()),
    ]
    sides = [(side, split[side]["products"], split[side]["photos"]) for side in _SIDES]
    chosen = f"{split['holdout']:.0%} of the free products held out, seed {split['seed']}"
    return [
        Table(("what", "how many"), counts),
        Table(("split", "products", "photos"), sides, f"As a training would split: {chosen}."),
    ]


_SIDES = ("train", "evaluation")


def _classes(
    summary: Mapping[str, Any], distribution: Figure, visualization: Image.Image
) -> list[Block]:
    categories = summary["by_category"]
    sheet = BytesIO()
    visualization.save(sheet, "JPEG", quality=_SHEET_QUALITY, optimize=True)
    shown = (
        f"the {MAX_LINES} largest super-classes"
        if len(categories) > MAX_LINES
        else "each super-class"
    )
    blocks: list[Block] = [
        Illustration(
            inline_svg(distribution),
            "How many photos products and super-classes have.",
            f"A histogram: products have {summary['photos_per_product']['min']} to "
            f"{summary['photos_per_product']['max']} photos. The numbers are in stats.json.",
        ),
        Illustration(
            data_uri(sheet.getvalue(), "image/jpeg"),
            f"Some products of {shown}; photos of one product stand side by side.",
            "A contact sheet: lines of product photos, under the names of their super-classes.",
            wide=True,
        ),
    ]
    if len(categories) > BARS:
        rows = [(row["category"], row["products"], row["photos"]) for row in categories]
        caption = _cut("super-classes", len(rows), SHOWN_CATEGORIES, "stats.json")
        columns = ("super-class", "products", "photos")
        blocks.append(Table(columns, rows[:SHOWN_CATEGORIES], caption))
    return blocks


def _sizes(summary: Mapping[str, Any]) -> list[Block]:
    names = {0: "smallest", 50: "median", 100: "largest"}
    columns = ["", *(names.get(percent, f"{percent} %") for percent in PERCENTILES)]
    rows = [
        [label, *(summary[key][str(percent)] for percent in PERCENTILES)]
        for key, label in _MEASURES.items()
    ]
    formats = list(summary["formats"].items())
    return [
        Table(columns, rows, "Photos as stored, upright; percentiles of each measure by itself."),
        Table(("format", "photos"), formats),
    ]


def _duplicates(
    measured: Measurements,
    summary: Mapping[str, Any],
    groups: Sequence[Group],
    sides: Sequence[str],
) -> list[Block]:
    found = summary["duplicates"]
    rows = [
        (
            label,
            *(
                found[degree][name]
                for name in ("groups", "photos", "across_products", "across_roles", "across_split")
            ),
        )
        for degree, label in _DEGREES.items()
    ]
    columns = (
        *("degree", "groups", "photos in them", "across products", "across roles"),
        "across the split",
    )
    blocks: list[Block] = [Table(columns, rows, "Each degree includes the one above.")]
    leaked = found["same_pixels"]["across_split_evaluated"]
    alike = found["near"]["across_split_evaluated"] - leaked
    if leaked:
        blocks.append(
            Text(
                f"Leaks: photos to evaluate on whose pixels are trained on as well: {leaked:,}. "
                "Recall on them measures memory: move their products to one side of the split, or "
                "drop them.",
                alarm=True,
            )
        )
    if alike:
        blocks.append(
            Text(
                f"Candidates: photos to evaluate on that look like one to train on: {alike:,}. "
                "Each may be that photo, saved again, and then is a leak too; or another photo of "
                "one session, as of two products of one family, and then is none. Look at them."
            )
        )
    if found["not_compared"] or not found["complete"]:
        blocks.append(
            Text(
                f"The search was cut short: {found['not_compared']:,} photos share their hash with "
                "too many different ones"
                + ("." if found["complete"] else ", and there were too many candidates to verify."),
                alarm=True,
            )
        )
    if not groups:
        blocks.append(Text("No two photos are copies of each other."))
    elif len(groups) > SHOWN_GROUPS:
        blocks.append(Text(_cut("groups", len(groups), SHOWN_GROUPS, "duplicates.csv")))
    blocks += [
        _group(measured, number, group, sides)
        for number, group in enumerate(groups[:SHOWN_GROUPS], 1)
    ]
    return blocks


def _group(measured: Measurements, number: int, group: Group, sides: Sequence[str]) -> Photos:
    photos = measured.catalog.photos
    tiles = [
        PhotoTile(
            thumbnail(measured.catalog.read(photos[row])),
            photos[row].product_id or "no product",
            " · ".join(part for part in (sides[row], photos[row].role, photos[row].image) if part),
        )
        for row in group.rows[:SHOWN_PHOTOS_OF_A_GROUP]
    ]
    where = f"{group.products} products" if group.products > 1 else "one product"
    heading = f"{number}. {len(group.rows):,} photos of {where}"
    return Photos(
        tiles,
        heading + (", on both sides of the split" if group.across_split else ""),
        _cut("photos", len(group.rows), SHOWN_PHOTOS_OF_A_GROUP, "duplicates.csv"),
    )


def _unreadable(summary: Mapping[str, Any]) -> list[Block]:
    rows = [(item["image"], item["row"] or None, item["reason"]) for item in summary["unreadable"]]
    if not rows:
        return [Text("All photos can be read.")]
    caption = _cut("photos", len(rows), SHOWN_UNREADABLE, "stats.json")
    return [Table(("photo", "row", "reason"), rows[:SHOWN_UNREADABLE], caption)]


def _cut(what: str, count: int, shown: int, where: str) -> str:
    """What to say where not all are shown; nothing where they are."""
    return f"{shown:,} of {count:,} {what}; all are in {where}." if count > shown else ""
