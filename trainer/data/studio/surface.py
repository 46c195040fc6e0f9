"""The colour of a point on an object: palette, materials, patterns. Colours are linear RGB."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32

from trainer.data.studio.distance import Points

Colours = Float32[np.ndarray, "3 n"]
Amounts = Float32[np.ndarray, " n"]
RGB = tuple[float, float, float]

PALETTE: dict[str, str] = {
    "white": "f4f1ea",
    "cream": "ead9b5",
    "grey": "8d9094",
    "charcoal": "34363b",
    "red": "c2282d",
    "terracotta": "c0633f",
    "orange": "ea7f24",
    "mustard": "d9a521",
    "lemon": "f2df55",
    "olive": "77803a",
    "green": "2f8a4b",
    "mint": "a3dcc0",
    "teal": "1d8087",
    "sky": "86bfe4",
    "cobalt": "2a52b8",
    "navy": "223060",
    "lilac": "b7a0d9",
    "plum": "6c2f6b",
    "pink": "f0a3b6",
    "magenta": "cc3a86",
    "chocolate": "5a3826",
}
WOODS = {"oak": "b98a55", "walnut": "6e4529", "birch": "dcbf92", "cherry": "96502f"}
METALS = {"brass": "c9a24a", "steel": "b4b8bd", "copper": "c57a52", "gunmetal": "565a62"}


def linear(code: str) -> RGB:
    """Hexadecimal sRGB to linear RGB in 0..1 (gamma 2.2)."""
    r, g, b = (float((int(code[i : i + 2], 16) / 255) ** 2.2) for i in (0, 2, 4))
    return r, g, b


@dataclass(frozen=True)
class Material:
    """How a surface answers light."""

    diffuse: float = 1.0
    highlight: float = 0.0
    """Strength of the lamp's mirror image."""
    sharpness: float = 20.0
    """Blinn-Phong exponent of that image."""
    mirror: float = 0.0
    """Reflection of the room, seen head on; at grazing angles it grows (Schlick)."""
    tinted: bool = False
    """Whether reflections take the surface's colour, as metals' do."""
    grain: Literal["none", "wood", "weave", "leather"] = "none"


MATERIALS: dict[str, Material] = {
    "ceramic": Material(highlight=0.55, sharpness=90.0, mirror=0.05),
    "stoneware": Material(highlight=0.06, sharpness=12.0),
    "enamel": Material(highlight=0.8, sharpness=140.0, mirror=0.08),
    "metal": Material(diffuse=0.4, highlight=0.9, sharpness=50.0, mirror=0.6, tinted=True),
    "wooden": Material(highlight=0.12, sharpness=25.0, grain="wood"),
    "lacquered": Material(highlight=0.6, sharpness=70.0, mirror=0.06),
    "cotton": Material(grain="weave"),
    "leather": Material(highlight=0.22, sharpness=18.0, grain="leather"),
    "rubber": Material(highlight=0.3, sharpness=40.0, mirror=0.02),
    "paper": Material(),
}


@dataclass(frozen=True)
class Finish:
    """What one slot of a product wears."""

    material: str
    primary: RGB
    secondary: RGB
    pattern: str = "plain"
    scale: float = 1.0
    """Factor on the size of the pattern, about 0.75 to 1.4."""
    phase: float = 0.0
    """Shifts the pattern, 0..1."""


def value_noise(p: Points, frequency: float, phase: float) -> Amounts:
    """Smooth solid noise in about -1..1: a few waves in skew directions."""
    x, y, z = p * np.float32(frequency)
    s = 6.3 * phase
    a = np.sin(1.3 * x + 0.7 * y + 1.1 * z + s) + np.sin(-0.8 * x + 1.7 * y + 0.6 * z + 2.1 * s)
    b = np.sin(2.3 * z - 1.9 * x + 1.2 * a + s) + np.sin(2.7 * y + 1.4 * z - 0.9 * a)
    noise: Amounts = (0.25 * (a + b)).astype(np.float32)
    return noise


def clamped(amounts: Amounts) -> Amounts:
    """Limited to 0..1."""
    limited: Amounts = np.clip(amounts, 0.0, 1.0)
    return limited


def _edge(inside: Amounts, soft: float) -> Amounts:
    """1 where positive, 0 where negative, a ramp of width `soft` between."""
    return clamped(inside / soft + 0.5)


def _wave(t: Amounts, share: float = 0.5, soft: float = 0.06) -> Amounts:
    """A soft square wave of period 1: 1 on `share` of it."""
    from_centre = np.abs(t - np.floor(t) - 0.5)
    return _edge(0.5 * share - from_centre, soft)


def _dots(u: Amounts, v: Amounts) -> Amounts:
    row = np.floor(v)
    u = u + 0.5 * (row % 2)
    x, y = u - np.floor(u) - 0.5, v - row - 0.5
    return _edge(0.31 - np.sqrt(x * x + y * y), 0.08)


def _checks(u: Amounts, v: Amounts) -> Amounts:
    a, b = _wave(u), _wave(v)
    share: Amounts = np.abs(a - b)
    return share


def _diamonds(u: Amounts, v: Amounts) -> Amounts:
    x, y = np.abs(u - np.floor(u) - 0.5), np.abs(v - np.floor(v) - 0.5)
    return _edge(0.42 - x - y, 0.08)


def _zigzag(u: Amounts, v: Amounts) -> Amounts:
    return _wave(v + np.abs(u - np.floor(u) - 0.5) * 1.3, 0.5, 0.09)


# Each takes the unrolled surface (u, v), periods 1; "waist" and "dipped" use v as absolute height.
_FLAT_PATTERNS: dict[str, Callable[[Amounts, Amounts], Amounts]] = {
    "striped": lambda u, v: _wave(u),
    "banded": lambda u, v: _wave(v),
    "dotted": _dots,
    "checked": _checks,
    "diamond": _diamonds,
    "zigzag": _zigzag,
    "tartan": lambda u, v: 0.5 * _wave(u, 0.45) + 0.5 * _wave(v, 0.45),
    "pinstriped": lambda u, v: _wave(1.6 * u, 0.25, 0.12),
}
PATTERNS = (*_FLAT_PATTERNS, "plain", "dipped", "marbled", "speckled", "ringed")


def _marble(p: Points, finish: Finish) -> Amounts:
    warp = value_noise(p, 2.6 / finish.scale, finish.phase)
    vein = np.sin((4.5 / finish.scale) * (p[0] + 0.6 * p[1] - 0.5 * p[2]) + 4.0 * warp)
    return clamped(1.25 - 2.6 * np.abs(vein)).astype(np.float32)


def _speckle(p: Points, finish: Finish) -> Amounts:
    cell = np.floor(p * np.float32(13.0 / finish.scale))
    code: Amounts = (
        np.sin(cell[0] * 12.99 + cell[1] * 78.23 + cell[2] * 37.72 + finish.phase) * 43758.5
    )
    return ((code - np.floor(code)) > 0.8).astype(np.float32)


def pattern(p: Points, n: Points, finish: Finish, *, wrapped: bool, height: float) -> Amounts:
    """Share of the secondary colour at each point, 0..1.

    Args:
        p, n: points and unit normals in the object's own axes.
        wrapped: unroll around the y axis; otherwise project along the dominant normal.
        height: of the object: "dipped" and "ringed" are proportions of it.
    """
    if finish.pattern == "plain":
        return np.zeros_like(p[0])
    if finish.pattern == "marbled":
        return _marble(p, finish)
    if finish.pattern == "speckled":
        return _speckle(p, finish)
    if finish.pattern == "dipped":
        return _edge(height * (0.3 + 0.25 * finish.phase) - p[1], 0.03)
    if finish.pattern == "ringed":
        middle = height * (0.35 + 0.3 * finish.phase)
        return _edge(0.09 * finish.scale - np.abs(p[1] - middle), 0.02)
    frequency = 3.1 / finish.scale
    if wrapped:
        around = max(4, round(3.2 * frequency))
        u = np.arctan2(p[2], p[0]) * np.float32(around / (2 * np.pi))
        v = p[1] * frequency
    else:
        from_above = np.abs(n[1]) > np.maximum(np.abs(n[0]), np.abs(n[2]))
        from_side = ~from_above & (np.abs(n[0]) > np.abs(n[2]))
        u = np.where(from_side, p[2], p[0]) * frequency
        v = np.where(from_above, p[2], p[1]) * frequency
    return _FLAT_PATTERNS[finish.pattern](u + finish.phase, v + 0.5 * finish.phase)


def albedo(p: Points, n: Points, finish: Finish, *, wrapped: bool, height: float) -> Colours:
    """Diffuse colour of each point, linear RGB [3, n]."""
    share = pattern(p, n, finish, wrapped=wrapped, height=height)
    first, second = (np.array(c, np.float32)[:, None] for c in (finish.primary, finish.secondary))
    colour = first + (second - first) * share
    grain = MATERIALS[finish.material].grain
    if grain == "wood":
        rings = np.sin(26.0 * (p[2] + 0.35 * p[0]) + 3.0 * value_noise(p, 1.8, finish.phase))
        colour = colour * (1.0 - 0.17 * (rings > 0.1) - 0.05 * rings)
    elif grain == "weave":
        colour = colour * (1.0 + 0.09 * np.sin(48.0 * (p[0] + p[2])) * np.sin(48.0 * p[1]))
    elif grain == "leather":
        colour = colour * (1.0 + 0.08 * value_noise(p, 16.0, finish.phase))
    coloured: Colours = colour.astype(np.float32)
    return coloured
