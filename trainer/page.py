"""A report as one HTML file that needs nothing else: no network, no script, no second file.

A `Page` is plain data: a title, summary tiles, and sections of blocks. `render` makes the text of
the file. Everything in it is escaped by jinja2, so product names may hold what they like, and a
content security policy in the page forbids its reader to load anything from elsewhere.

    page = Page(
        title="What the catalogue holds",
        tiles=(Tile("photos", 1_359), Tile("duplicates", 3, alarm=True)),
        sections=(
            Section("Sizes", (Table(("format", "photos"), (("JPEG", 1_359),)),)),
            Section("Copies", (Photos((PhotoTile(thumbnail(data), "Red shoe"),)),)),
        ),
    )
    html = render(page)

Figures are drawn with `trainer.figures`, whose `inline_svg` follows the page's colours.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from typing import ClassVar, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from function.photo import decode

THUMBNAIL_QUALITY = 70

type Cell = str | int | float | None
type Block = Text | Table | Illustration | Illustrations | Photos


@dataclass(frozen=True)
class Tile:
    """One number at the top of a page."""

    label: str
    value: Cell
    note: str = ""
    """Smaller, below: the unit, the condition, the interval."""
    alarm: bool = False
    """Something a reader should look at; marked by a sign as well as by colour."""


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str
    alarm: bool = False
    """As a tile's."""


@dataclass(frozen=True)
class Table:
    """Rows under headings; columns that hold numbers alone stand to the right."""

    kind: ClassVar[str] = "table"
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    """Each as long as `columns`; None shows as a dash."""
    caption: str = ""

    def numeric(self, column: int) -> bool:
        """Whether this column holds numbers, and nothing else."""
        cells = [row[column] for row in self.rows if row[column] is not None]
        return bool(cells) and all(isinstance(cell, int | float) for cell in cells)


@dataclass(frozen=True)
class Illustration:
    """A figure."""

    kind: ClassVar[str] = "illustration"
    image: Markup | str
    """`inline_svg`'s markup, or a data: URI as of `png_uri`."""
    caption: str
    alt: str
    """What the figure shows, for readers who do not see it."""
    wide: bool = False
    """As wide as the page, such as a contact sheet; else as wide as a figure is drawn."""

    @property
    def inline(self) -> bool:
        """Whether the image is markup."""
        return isinstance(self.image, Markup)


@dataclass(frozen=True)
class Illustrations:
    """Small figures: as many beside each other as there is room for."""

    kind: ClassVar[str] = "illustrations"
    figures: Sequence[Illustration]


@dataclass(frozen=True)
class PhotoTile:
    """A photo of a grid."""

    image: str
    """A data: URI, as `thumbnail` makes; empty where there is no photo to show."""
    title: str
    """Below the photo; also what readers hear who do not see it."""
    detail: str = ""
    """A second, fainter line."""
    mark: Literal["", "right", "wrong"] = ""
    """A frame with a tick or a cross."""


@dataclass(frozen=True)
class Photos:
    """A grid of photos, or one row of them: as many beside each other as there is room for."""

    kind: ClassVar[str] = "photos"
    photos: Sequence[PhotoTile]
    heading: str = ""
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """A heading that can be linked to, and what stands below it."""

    title: str
    blocks: Sequence[Block]

    @property
    def anchor(self) -> str:
        """The title in lower case, with hyphens: index.html#near-duplicates."""
        return re.sub(r"[^\w]+", "-", self.title.casefold()).strip("-") or "section"


@dataclass(frozen=True)
class Page:
    """A whole report."""

    title: str
    sections: Sequence[Section]
    subtitle: str = ""
    tiles: Sequence[Tile] = ()
    downloads: Sequence[str] = field(default=())
    """Names of files that lie beside the page."""
    footer: str = ""


def render(page: Page) -> str:
    """Return the page as one HTML document."""
    return _templates().get_template("page.html").render(page=page)


def readable(value: Cell) -> str:
    """A number as people read it: thousands separated, four significant digits, None a dash."""
    match value:
        case None:
            return "–"
        case bool() | str():
            return str(value)
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def thumbnail(data: bytes, side: int = 120) -> str:
    """Return a small JPEG of a photo as a data: URI.

    Args:
        data: the encoded photo, of any type that `function.photo` reads.
        side: pixels of the longer side, at most; nothing is stretched or enlarged.

    Raises:
        FunctionError: the photo cannot be decoded.
    """
    image = decode(data, reduce_to=side)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    file = BytesIO()
    image.save(file, "JPEG", quality=THUMBNAIL_QUALITY, optimize=True)
    return data_uri(file.getvalue(), "image/jpeg")


def data_uri(data: bytes, media_type: str) -> str:
    """Return bytes as an address that holds them itself."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("trainer", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["readable"] = readable
    return environment
