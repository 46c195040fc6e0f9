"""The floor and the wall behind the object: colours by place, linear RGB [3, n]."""

import numpy as np
from jaxtyping import Float32

from trainer.data.studio.scene import Backdrop
from trainer.data.studio.surface import RGB, Colours

Coordinates = Float32[np.ndarray, " n"]


def _mix(colours: tuple[RGB, RGB], share: Coordinates) -> Colours:
    first, second = (np.array(c, np.float32)[:, None] for c in colours)
    return first + (second - first) * share.astype(np.float32)


def _cell_noise(u: Coordinates, v: Coordinates, seed: int) -> Coordinates:
    """A random number in 0..1 for each unit cell."""
    code = np.sin(np.floor(u) * 12.9898 + np.floor(v) * 78.233 + seed % 1000) * 43758.5453
    return (code - np.floor(code)).astype(np.float32)


def _clouds(u: Coordinates, v: Coordinates, seed: int) -> Coordinates:
    """Smooth blotches in 0..1."""
    a, b, c = np.random.default_rng(seed).uniform(0, 6.3, 3)
    warp = np.sin(1.7 * u + 0.9 * v + a) + np.sin(-1.1 * u + 1.5 * v + b)
    blotches: Coordinates = 2.0 + np.sin(1.3 * u + 1.9 * warp + c) + np.sin(2.3 * v - warp + a)
    return (0.25 * blotches).astype(np.float32)


def _stripe(t: Coordinates, share: float) -> Coordinates:
    return ((t - np.floor(t)) < share).astype(np.float32)


def _gingham(u: Coordinates, v: Coordinates) -> Coordinates:
    return 0.5 * _stripe(u, 0.5) + 0.5 * _stripe(v, 0.5)


def _joints(u: Coordinates, v: Coordinates, width: float) -> Coordinates:
    lines: Coordinates = np.maximum(_stripe(u, width), _stripe(v, width))
    return lines


def _bricks(u: Coordinates, v: Coordinates, seed: int) -> Coordinates:
    u = u + 0.5 * (np.floor(v) % 2)
    tone = 0.45 * _cell_noise(u, v, seed)
    share: Coordinates = np.maximum(tone, _joints(u, v, 0.12))
    return share


def wall_colour(backdrop: Backdrop, x: Coordinates, y: Coordinates) -> Colours:
    """The wall at (x, y) object units."""
    u, v = x / backdrop.scale, y / backdrop.scale
    seed, kind = backdrop.seed, backdrop.wall
    if kind == "gradient":
        share = np.clip(0.3 * v + 0.15 * u, 0.0, 1.0)
    elif kind == "wallpaper":
        share = _stripe(2.2 * u, 0.5)
    elif kind == "bricks":
        share = _bricks(1.6 * u, 3.6 * v, seed)
    elif kind == "panels":
        share = np.maximum(_stripe(1.3 * u, 0.06), 0.35 * _cell_noise(1.3 * u, 0 * v, seed))
    elif kind == "blurred":
        share = np.clip(2.2 * _clouds(0.9 * u, 0.9 * v, seed) - 0.6, 0.0, 1.0)
    elif kind == "tiles":
        share = np.maximum(
            _joints(2.1 * u, 2.1 * v, 0.07), 0.2 * _cell_noise(2.1 * u, 2.1 * v, seed)
        )
    elif kind == "gingham":
        share = _gingham(2.4 * u, 2.4 * v)
    else:
        share = np.zeros_like(u)
    return _mix(backdrop.wall_colours, share)


def floor_colour(backdrop: Backdrop, x: Coordinates, z: Coordinates) -> Colours:
    """The floor at (x, z) object units; a "sweep" runs into the wall without an edge."""
    if backdrop.floor == "sweep":
        return _mix(backdrop.wall_colours, np.zeros_like(x))
    c, s = np.cos(backdrop.turn), np.sin(backdrop.turn)
    u = ((c * x + s * z) / backdrop.scale).astype(np.float32)
    v = ((c * z - s * x) / backdrop.scale).astype(np.float32)
    seed, kind = backdrop.seed, backdrop.floor
    if kind == "planks":
        plank = 0.7 * _cell_noise(2.2 * u, 0.4 * v + 0.37 * np.floor(2.2 * u), seed)
        grain = 0.15 * np.sin(40.0 * u + 3.0 * np.sin(2.0 * v))
        share = np.maximum(plank + grain, _stripe(2.2 * u, 0.06))
    elif kind == "tiles":
        share = np.maximum(
            _joints(1.5 * u, 1.5 * v, 0.06), 0.2 * _cell_noise(1.5 * u, 1.5 * v, seed)
        )
    elif kind == "linen":
        share = 0.5 + 0.25 * np.sin(42.0 * u) + 0.25 * np.sin(42.0 * v)
    elif kind == "gingham":
        share = _gingham(2.2 * u, 2.2 * v)
    elif kind == "marble":
        share = np.clip(1.0 - 3.5 * np.abs(_clouds(1.4 * u, 1.4 * v, seed) - 0.5), 0.0, 1.0)
    elif kind == "gravel":
        share = _cell_noise(11.0 * u, 11.0 * v, seed)
    else:
        share = np.zeros_like(u)
    return _mix(backdrop.floor_colours, share.astype(np.float32))
