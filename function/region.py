"""The part of a photo that is searched: the bounding rectangle of `boundingPoly`, and its corners.

    {"normalizedVertices": [{"x": 0.1, "y": 0.2}, …]}     fractions of the photo's sides
    {"vertices": [{"x": 10, "y": 20}, …]}                 pixels

Both count from the upper left of the upright photo, and may reach beyond it. A coordinate that is
absent is 0, as Google's clients leave out what is 0. Two vertices are refused: they may be meant
as opposite corners, or as a corner and a size.
"""

import math
from dataclasses import dataclass
from typing import Any

from .errors import BadRequest

MIN_VERTICES, MAX_VERTICES = 3, 100

# Left, top, right, bottom.
type Box = tuple[float, float, float, float]

# All of a photo, in fractions of its sides.
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)

# Pillow's way to turn a photo upright, by its EXIF orientation: first mirrored left to right, then
# top to bottom, then along the diagonal.
_MIRRORED_ACROSS = frozenset({2, 3, 7, 8})
_MIRRORED_DOWN = frozenset({3, 4, 6, 7})
_TRANSPOSED = frozenset({5, 6, 7, 8})
# Of two that undo each other; the others undo themselves.
_UNDONE_BY = {6: 8, 8: 6}


@dataclass(frozen=True)
class Region:
    """A rectangle, which may reach beyond the photo.

    Attributes:
        left, top, right, bottom: fractions of the upright photo's sides, or pixels of it.
        normalized: whether they are fractions.
    """

    left: float
    top: float
    right: float
    bottom: float
    normalized: bool

    def box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return what lies within an upright photo: left, top, right, bottom in whole pixels.

        Raises:
            BadRequest: not one pixel does.
        """
        across, down = (width, height) if self.normalized else (1, 1)
        left, right = (_clipped(x * across, width) for x in (self.left, self.right))
        top, bottom = (_clipped(y * down, height) for y in (self.top, self.bottom))
        if left == right or top == bottom:
            raise _invalid(
                "",
                f"a rectangle that covers a pixel or more of the photo, {width} wide and "
                f"{height} high",
                "one that covers none",
            )
        return left, top, right, bottom


def parse_region(value: object) -> Region:
    """Read a polygon's JSON value.

    Raises:
        BadRequest: it is no polygon.
    """
    if not isinstance(value, dict) or set(value) not in ({"normalizedVertices"}, {"vertices"}):
        raise _invalid("", "an object of either normalizedVertices or vertices", "something else")
    ((name, vertices),) = value.items()
    if not isinstance(vertices, list) or not MIN_VERTICES <= len(vertices) <= MAX_VERTICES:
        found = f"{len(vertices)} of them" if isinstance(vertices, list) else "something else"
        raise _invalid(f".{name}", f"a list of {MIN_VERTICES} to {MAX_VERTICES} vertices", found)
    points = [_point(vertex, f".{name}[{place}]") for place, vertex in enumerate(vertices)]
    across, down = zip(*points, strict=True)
    return Region(min(across), min(down), max(across), max(down), name == "normalizedVertices")


def polygon_of(box: Box) -> dict[str, Any]:
    """Return a box, in fractions of the photo's sides, as the JSON value of a polygon: its corners
    from the top left, clockwise."""
    left, top, right, bottom = (round(edge, 4) for edge in box)
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return {"normalizedVertices": [{"x": x, "y": y} for x, y in corners]}


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Return width and height of a photo of this size once it is turned upright."""
    width, height = size
    return (height, width) if orientation in _TRANSPOSED else (width, height)


def upright_box(box: Box, orientation: int, size: tuple[float, float]) -> Box:
    """Return where a box of a stored photo of this size lies once it is turned upright."""
    left, top, right, bottom = box
    width, height = size
    if orientation in _MIRRORED_ACROSS:
        left, right = width - right, width - left
    if orientation in _MIRRORED_DOWN:
        top, bottom = height - bottom, height - top
    return (top, left, bottom, right) if orientation in _TRANSPOSED else (left, top, right, bottom)


def stored_box(region: Region, orientation: int, size: tuple[int, int]) -> Box:
    """Return where a region lies in the stored photo of this size, in whole pixels.

    Raises:
        BadRequest: not one pixel does.
    """
    upright = upright_size(size, orientation)
    return upright_box(region.box(*upright), _UNDONE_BY.get(orientation, orientation), upright)


def _clipped(edge: float, end: int) -> int:
    return round(min(max(edge, 0.0), float(end)))


def _point(vertex: object, where: str) -> tuple[float, float]:
    if not isinstance(vertex, dict) or not set(vertex) <= {"x", "y"}:
        raise _invalid(where, "an object of x and y", "something else")
    return _coordinate(vertex, "x", where), _coordinate(vertex, "y", where)


def _coordinate(vertex: dict[str, object], name: str, where: str) -> float:
    value = vertex.get(name, 0)
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise _invalid(f"{where}.{name}", "a finite number", "something else")


def _invalid(where: str, expected: str, found: str) -> BadRequest:
    return BadRequest(
        f"boundingPoly{where}: expected {expected}; found {found}.",
        reason="POLYGON_INVALID",
        metadata={"field": "boundingPoly"},
    )
