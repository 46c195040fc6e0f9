"""What a family of objects returns: parts with their finishes, and where the surface lies."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
from jaxtyping import Float32, Int

from trainer.data.studio.distance import Distances, Points

PROBES = 40  # per axis, to find the extent of a shape
PROBE_REACH = 1.35  # half width of the space in which every shape stands, its height is twice that

Traits = tuple[float, ...]
TRAITS = 8  # numbers in 0..1 that make one shape of a family


class Slot(IntEnum):
    """Which of a product's finishes a part wears."""

    BODY = 0
    ACCENT = 1
    DETAIL = 2
    LINING = 3
    FACE = 4


@dataclass(frozen=True, eq=False)
class Part:
    """One solid of a shape."""

    distance: Callable[[Points], Distances]
    slot: Slot = Slot.BODY


@dataclass(frozen=True, eq=False)
class Shape:
    """An object standing on the floor y = 0, about 1 to 2 units large."""

    parts: tuple[Part, ...]
    mapping: Literal["round", "flat"] = "round"
    """How patterns wrap: around the y axis, or from the sides."""
    lined: bool = False
    """Whether body surface that faces the axis is the inside and wears the lining."""
    ink: Callable[[Points], Float32[np.ndarray, " n"]] | None = None
    """How much of a FACE point is printed, 0..1."""

    def distance(self, p: Points) -> Distances:
        nearest = self.parts[0].distance(p)
        for part in self.parts[1:]:
            nearest = np.minimum(nearest, part.distance(p))
        return nearest

    def slots(self, p: Points) -> Int[np.ndarray, " n"]:
        """The slot of the part nearest to each point."""
        distances = np.stack([part.distance(p) for part in self.parts])
        return np.array([part.slot for part in self.parts])[distances.argmin(axis=0)]

    def surface_points(self) -> Points:
        """Points near the surface on a coarse grid: the extent of the object for framing."""
        side = np.linspace(-PROBE_REACH, PROBE_REACH, PROBES, dtype=np.float32)
        up = np.linspace(0.0, 2 * PROBE_REACH, PROBES, dtype=np.float32)
        p = np.stack(np.meshgrid(side, up, side, indexing="ij")).reshape(3, -1)
        return p[:, self.distance(p) < 1.2 * PROBE_REACH / PROBES]


def between(low: float, high: float, trait: float) -> float:
    return low + (high - low) * trait


def pick[T](options: tuple[T, ...], trait: float) -> T:
    return options[min(int(trait * len(options)), len(options) - 1)]
