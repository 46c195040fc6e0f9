"""The camera: aims at an object so that it fills the wished part of the frame, never cut."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from trainer.data.studio.distance import Points
from trainer.data.studio.scene import Scene

LARGEST = 0.9  # share of the frame's side that the object's longer side may fill
# Share of the way from the frame's middle to its edge that an object off the middle may reach: its
# extent is probed coarsely, so that a corner may lie a little further out.
FARTHEST = 0.92
# What is mostly air, as a table, comes nearer until it covers this share of the frame, measured in
# cells of its box, which count whole where any of it is.
LEAST_COVERED = 0.15
CELLS = 24


@dataclass(frozen=True, eq=False)
class Frame:
    """Rays of a square picture, row by row from the top left, in the scene's axes."""

    pixels: int
    origin: Float32[np.ndarray, "3"]
    directions: Points
    """Unit length, float32 [3, pixels * pixels]."""
    low: Float32[np.ndarray, "3"]
    """Corner of the object's box, in the object's own axes."""
    high: Float32[np.ndarray, "3"]


def rotated(p: Points, angle: float) -> Points:
    """Turn points about the y axis."""
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return np.stack([c * p[0] + s * p[2], p[1], c * p[2] - s * p[0]])


def aim(scene: Scene, extent: Points, pixels: int) -> Frame:
    """Place the camera and crop its picture around the object.

    Args:
        extent: points of the object's surface, in its own axes.
        pixels: side of the picture.
    """
    low, high = extent.min(axis=1), extent.max(axis=1)
    sine, cosine = np.sin(scene.elevation), np.cos(scene.elevation)
    target = np.array([0.0, 0.5 * high[1], 0.0], np.float32)
    back = np.array([0.0, sine, cosine], np.float32)
    origin = target + np.float32(scene.distance) * back
    right = np.array([1.0, 0.0, 0.0], np.float32)
    up = np.array([0.0, cosine, -sine], np.float32)
    c, s = np.cos(scene.roll), np.sin(scene.roll)
    right, up = (c * right + s * up).astype(np.float32), (c * up - s * right).astype(np.float32)

    seen = rotated(extent, scene.turn) - origin[:, None]
    depth = -(back @ seen)
    screen = np.stack([right @ seen, up @ seen]) / depth
    middle, size = 0.5 * (screen.min(axis=1) + screen.max(axis=1)), np.ptp(screen, axis=1)
    covered = _share_of_cells((screen - screen.min(axis=1)[:, None]) / size[:, None])
    fill = max(scene.fill, np.sqrt(LEAST_COVERED / covered))
    half = max(np.sqrt(size[0] * size[1]) / (2 * fill), size.max() / (2 * LARGEST))
    margin = half * (0.5 + 0.5 * LARGEST) - 0.5 * size
    room = FARTHEST * half - 0.5 * size
    middle = middle - (np.array(scene.shift) * np.maximum(margin, 0.0)).clip(-room, room)

    steps = ((np.arange(pixels) + 0.5) / pixels * 2 - 1) * half
    x = np.broadcast_to((middle[0] + steps).astype(np.float32), (pixels, pixels)).ravel()
    y = np.repeat((middle[1] - steps).astype(np.float32), pixels)
    d = right[:, None] * x + up[:, None] * y - back[:, None]
    d /= np.sqrt((d * d).sum(axis=0))
    return Frame(pixels, origin, d, low, high)


def _share_of_cells(places: Float32[np.ndarray, "2 points"]) -> float:
    """Share of a square's CELLS × CELLS cells that points in it, 0 to 1, fall into."""
    column, row = (places * CELLS).astype(np.int64).clip(0, CELLS - 1)
    return len(np.unique(column * CELLS + row)) / CELLS**2
