"""What the super-classes look like: some products of each, several photos of each product."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageOps

from function.photo import decode
from trainer.data.records import Photo
from trainer.figures import INK, LINE, MUTED, PNG_DPI, drawing, raster, shortened

COLUMNS = 14
PHOTOS_OF_A_PRODUCT = 4
MAX_LINES = 24
MAX_LINES_OF_A_CLASS = 6

_SIDE = 92
_GAP = 4
_BETWEEN_PRODUCTS = 14
_MARGIN = 24
_HEADING = 26
_NAME = 36


@dataclass(frozen=True)
class _Line:
    heading: str
    products: Sequence[Sequence[Photo]]


def per_class_visualization(photos: Sequence[Photo], read: Callable[[Photo], bytes]) -> Image.Image:
    """Draw a contact sheet: super-classes from the largest, on one line or more for each.

    Products are evenly spread over those that the class has; each stands with its first photos
    side by side, so that one can see what the network will be asked to bring together.

    Args:
        photos: readable ones.
        read: their encoded bytes, as `Catalog.read`.

    Returns:
        RGB.
    """
    lines = _lines(photos)
    heights = [_HEADING * bool(line.heading) + _SIDE + _NAME for line in lines]
    width = 2 * _MARGIN + COLUMNS * (_SIDE + _BETWEEN_PRODUCTS) - _BETWEEN_PRODUCTS
    height = _MARGIN + sum(heights)
    tops = [_MARGIN + sum(heights[:place]) for place in range(len(lines))]
    with drawing(width / PNG_DPI, height / PNG_DPI) as figure:
        for line, top in zip(lines, tops, strict=True):
            _write(figure, (_MARGIN, top), line.heading, width - 2 * _MARGIN, bold=True)
            for left, product in _places(line):
                name = product[0].title or product[0].product_id
                below = top + _HEADING * bool(line.heading) + _SIDE + 3
                _write(figure, (left, below), name, _wide(product))
    sheet = raster(figure)
    for line, top in zip(lines, tops, strict=True):
        for left, product in _places(line):
            for place, photo in enumerate(product):
                corner = left + place * (_SIDE + _GAP), top + _HEADING * bool(line.heading)
                sheet.paste(_tile(read(photo)), corner)
    return sheet


def _places(line: _Line) -> Iterator[tuple[int, Sequence[Photo]]]:
    """The left edge of each product of a line."""
    left = _MARGIN
    for product in line.products:
        yield left, product
        left += _wide(product) + _BETWEEN_PRODUCTS


def _wide(product: Sequence[Photo]) -> int:
    return len(product) * (_SIDE + _GAP) - _GAP


def _write(
    figure: Figure, corner: tuple[int, int], text: str, room: int, *, bold: bool = False
) -> None:
    """Write one line below and to the right of `corner`, in pixels, no wider than `room`."""
    width, height = figure.get_size_inches() * PNG_DPI
    points = 9.5 if bold else 6.5
    figure.text(
        corner[0] / width,
        1 - corner[1] / height,
        shortened(text, room / PNG_DPI, points, bold=bold),
        va="top",
        fontsize=points,
        fontweight="bold" if bold else "normal",
        color=INK if bold else MUTED,
    )


def _tile(data: bytes) -> Image.Image:
    photo = decode(data, reduce_to=_SIDE)
    inner = ImageOps.pad(photo, (_SIDE - 2, _SIDE - 2), Image.Resampling.LANCZOS, color="white")
    return ImageOps.expand(inner, 1, LINE)


def _lines(photos: Sequence[Photo]) -> list[_Line]:
    classes: defaultdict[str, dict[str, list[Photo]]] = defaultdict(dict)
    for number, photo in enumerate(photos):
        # Each photo of no product stands for itself.
        product = photo.product_id or f"\0{number}"
        classes[photo.category].setdefault(product, []).append(photo)
    largest = sorted(
        classes.items(), key=lambda item: (not item[0], -sum(map(len, item[1].values())))
    )[:MAX_LINES]
    room = min(MAX_LINES_OF_A_CLASS, MAX_LINES // len(largest))
    lines = []
    for category, products in largest:
        filled = _fill(list(products.values()), room)
        total = sum(map(len, products.values()))
        name = category or ("No super-class" if len(classes) > 1 else "")
        named = sum(not product.startswith("\0") for product in products)
        counted = _counted(total, "photo") + (f" of {_counted(named, 'product')}" if named else "")
        heading = f"{name}: {counted}" if name else counted
        lines += [_Line(heading * (not place), line) for place, line in enumerate(filled)]
    return lines


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _fill(products: Sequence[Sequence[Photo]], room: int) -> list[list[Sequence[Photo]]]:
    """Up to `room` lines of products that are evenly spread, each with its first photos."""
    widths = [min(len(product), PHOTOS_OF_A_PRODUCT) for product in products]
    wanted = min(len(products), max(1, round(room * COLUMNS / (sum(widths) / len(widths)))))
    lines: list[list[Sequence[Photo]]] = [[]]
    used = 0
    for place in np.linspace(0, len(products) - 1, wanted).round().astype(int):
        if used + widths[place] > COLUMNS:
            if len(lines) == room:
                break
            lines.append([])
            used = 0
        lines[-1].append(products[place][: widths[place]])
        used += widths[place]
    return lines
