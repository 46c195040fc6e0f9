"""Signed distances (negative inside) of simple solids, vectorised over points.

Points are float32 [3, n] with y up; distances are float32 [n], exact or a lower bound, which is
what sphere tracing needs (Hart, "Sphere tracing", The Visual Computer 1996). The formulas of the
single solids are Inigo Quilez' "Distance functions".
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

Points = Float32[np.ndarray, "3 n"]
Distances = Float32[np.ndarray, " n"]
Polyline = Float32[np.ndarray, "m 2"]
Outline = Float32[np.ndarray, "k 2"]
Vector = tuple[float, float, float]

PROFILE_STEP = 0.02  # spacing of a profile's distance grid, in object units (a mug is about 1 high)
PROFILE_PADDING = 0.16  # of the grid around the outline


def mirrored(p: Points, *, x: bool = False, z: bool = False) -> Points:
    """Fold space so that a solid at positive x (or z) also stands at its mirror image."""
    return np.stack([np.abs(p[0]) if x else p[0], p[1], np.abs(p[2]) if z else p[2]])


def length(*axes: Distances) -> Distances:
    """Euclidean length of vectors given axis by axis."""
    square = axes[0] * axes[0]
    for axis in axes[1:]:
        square += axis * axis
    root: Distances = np.sqrt(square)
    return root


def union(a: Distances, *others: Distances) -> Distances:
    """What is in any of the solids."""
    for b in others:
        a = np.minimum(a, b)
    return a


def overlap(a: Distances, *others: Distances) -> Distances:
    """What is in all of the solids."""
    for b in others:
        a = np.maximum(a, b)
    return a


def smooth_union(a: Distances, b: Distances, blend: float) -> Distances:
    """Union of two solids whose seam is filled over a width of about `blend`."""
    h = np.maximum(blend - np.abs(a - b), 0.0)
    filled: Distances = union(a, b) - h * h * (0.25 / blend)
    return filled


def sphere(p: Points, center: Vector, radius: float) -> Distances:
    x, y, z = p[0] - center[0], p[1] - center[1], p[2] - center[2]
    return length(x, y, z) - radius


def ellipsoid(p: Points, center: Vector, radii: Vector) -> Distances:
    x, y, z = ((p[i] - center[i]) / radii[i] for i in range(3))
    k0 = length(x, y, z)
    x, y, z = x / radii[0], y / radii[1], z / radii[2]
    k1 = length(x, y, z)
    bound: Distances = k0 * (k0 - 1.0) / np.maximum(k1, 1e-6)
    return bound


def box(p: Points, center: Vector, half: Vector, rounding: float = 0.02) -> Distances:
    """A box with rounded edges; `half` are the outer half sides."""
    x, y, z = (np.abs(p[i] - center[i]) - (half[i] - rounding) for i in range(3))
    inside = np.minimum(np.maximum(np.maximum(x, y), z), 0.0)
    x, y, z = np.maximum(x, 0.0), np.maximum(y, 0.0), np.maximum(z, 0.0)
    distance: Distances = length(x, y, z) + inside - rounding
    return distance


def _rounded(across: Distances, along: Distances, rounding: float) -> Distances:
    across, along = across + rounding, along + rounding
    inside = np.minimum(np.maximum(across, along), 0.0)
    across, along = np.maximum(across, 0.0), np.maximum(along, 0.0)
    return length(across, along) + inside - rounding


def cylinder(
    p: Points, center: Vector, radius: float, half: float, *, axis: int = 1, rounding: float = 0.02
) -> Distances:
    """A round slab of height 2 `half` along `axis` (1: standing upright)."""
    a, b = (p[i] - center[i] for i in range(3) if i != axis)
    along = np.abs(p[axis] - center[axis]) - half
    return _rounded(length(a, b) - radius, along, rounding)


def limb(p: Points, start: Vector, end: Vector, radius: float, end_radius: float) -> Distances:
    """A round stick from `start` to `end` whose thickness changes on the way."""
    bx, by, bz = (end[i] - start[i] for i in range(3))
    x, y, z = (p[i] - start[i] for i in range(3))
    h = np.clip((x * bx + y * by + z * bz) / (bx * bx + by * by + bz * bz), 0.0, 1.0)
    x, y, z = x - h * bx, y - h * by, z - h * bz
    distance: Distances = length(x, y, z) - (radius + (end_radius - radius) * h)
    return distance


def ring(
    p: Points, center: Vector, radius: float, thickness: float, height: float = 0.0
) -> Distances:
    """An upright ring facing z; `height` (half, at least `radius`) makes it taller than wide."""
    x, y, z = p[0] - center[0], p[1] - center[1], p[2] - center[2]
    straight = max(height - radius, 0.0)
    y = y - np.clip(y, -straight, straight)
    across = length(x, y) - radius
    return length(across, z) - thickness


def footprint(
    p: Points,
    start: Vector,
    end: Vector,
    radius: float,
    end_radius: float,
    half: float,
    rounding: float = 0.02,
) -> Distances:
    """A flat slab, 2 `half` high, whose outline seen from above is a limb: the sole of a shoe."""
    flat = np.stack([p[0], np.full_like(p[1], start[1]), p[2]])
    across = limb(flat, start, end, radius, end_radius)
    return _rounded(across, np.abs(p[1] - start[1]) - half, rounding)


@dataclass(frozen=True, eq=False)
class Profile:
    """A solid of revolution about the y axis, from a closed outline in (radius, height).

    The outline's exact distance is sampled once on a grid; a look-up is bilinear.
    """

    grid: Float32[np.ndarray, "rows columns"]
    bottom: float

    def __call__(self, p: Points) -> Distances:
        rows, columns = self.grid.shape
        u = length(p[0], p[2]) * (1.0 / PROFILE_STEP)
        v = (p[1] - self.bottom) * (1.0 / PROFILE_STEP)
        inside_u = np.minimum(u, columns - 1.001)
        inside_v = np.clip(v, 0.0, rows - 1.001)
        i, j = inside_v.astype(np.int32), inside_u.astype(np.int32)
        fv, fu = inside_v - i, inside_u - j
        flat, at = self.grid.ravel(), i * columns + j
        low, high = flat.take(at), flat.take(at + columns)
        low += (flat.take(at + 1) - low) * fu
        high += (flat.take(at + columns + 1) - high) * fu
        low += (high - low) * fv
        u -= inside_u
        v -= inside_v
        outside = length(u, v) * PROFILE_STEP
        # Beyond the grid: a bound that never exceeds the true distance.
        distance: Distances = np.where(
            outside > 0.0, np.maximum(low, outside + PROFILE_PADDING - 0.06), low
        )
        return distance


def turned(outline: Outline, rounding: float = 0.0) -> Profile:
    """The solid of revolution of a closed outline [m, 2] of (radius, height), m >= 3."""
    bottom = float(outline[:, 1].min()) - PROFILE_PADDING
    radii = np.arange(0.0, float(outline[:, 0].max()) + PROFILE_PADDING, PROFILE_STEP)
    heights = np.arange(bottom, float(outline[:, 1].max()) + PROFILE_PADDING, PROFILE_STEP)
    r = np.broadcast_to(radii.astype(np.float32), (len(heights), len(radii)))
    h = np.broadcast_to(heights.astype(np.float32)[:, None], r.shape)
    nearest = np.full(r.shape, np.inf, np.float32)
    inside = np.zeros(r.shape, bool)
    for (ar, ah), (br, bh) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        dr, dh, pr, ph = br - ar, bh - ah, r - ar, h - ah
        length = dr * dr + dh * dh
        if length < 1e-12:
            continue
        # The closing edge on the axis is no surface: it must not attract rays inside the solid.
        if max(ar, br) > 1e-6:
            t = np.clip((pr * dr + ph * dh) / length, 0.0, 1.0)
            nearest = np.minimum(nearest, (pr - t * dr) ** 2 + (ph - t * dh) ** 2)
        if abs(dh) > 1e-9:
            crosses = (ah > h) != (bh > h)
            inside ^= crosses & (r < ar + dr * ph / dh)
    distance = np.sqrt(nearest)
    return Profile((np.where(inside, -distance, distance) - rounding).astype(np.float32), bottom)


def curve(*points: tuple[float, float], samples: int = 7) -> Polyline:
    """A smooth line through (radius, height) points, bottom to top (Catmull-Rom)."""
    knots = np.array([points[0], *points, points[-1]], np.float32)
    t = np.linspace(0.0, 1.0, samples, endpoint=False, dtype=np.float32)[:, None]
    pieces = []
    for a, b, c, d in zip(knots[:-3], knots[1:-2], knots[2:-1], knots[3:], strict=True):
        cubic = 2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2
        pieces.append(0.5 * (cubic + (3 * b - a - 3 * c + d) * t**3))
    line = np.concatenate([*pieces, knots[-1:]])
    line[:, 0] = np.maximum(line[:, 0], 0.01)
    return line.astype(np.float32)


def solid(line: Polyline) -> Outline:
    """Close a line against the axis: a full body."""
    axis = np.array([[0.0, line[-1, 1]], [0.0, line[0, 1]]], np.float32)
    return np.concatenate([line, axis])


def hollow(line: Polyline, wall: float, *, floor: bool = True) -> Outline:
    """Close a line by its own inner side: an open vessel, or a tube where `floor` is False."""
    inner = line.copy()
    inner[:, 0] = np.maximum(inner[:, 0] - wall, 0.01)
    inner = inner[::-1]
    if not floor:
        return np.concatenate([line, inner]).astype(np.float32)
    bottom = float(line[0, 1]) + 1.4 * wall
    inner = inner[inner[:, 1] > bottom]
    foot = np.array([[inner[-1, 0], bottom], [0.0, bottom], [0.0, line[0, 1]]], np.float32)
    return np.concatenate([line, inner, foot])
