"""curves.jsonl: every logged step as a line of JSON, complete and free of repetitions."""

import json
import math
from collections.abc import Mapping
from typing import Any

from function.storage import Storage
from trainer.tracking.tracker import Tracker

CURVES = "curves.jsonl"


class CurvesFile(Tracker):
    """The file as it will be after the next `publish`, which replaces the one before in one piece.

    A line is {"step": 20, "loss": 0.5, …}; a value that JSON cannot say (NaN, infinity) is null.
    """

    def __init__(self, storage: Storage, *, start_step: int) -> None:
        """Keep what an earlier call wrote, and drop what it wrote from `start_step` on."""
        self._storage = storage
        self._lines = [line for line in _read_lines(storage) if _step(line) < start_step]

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        finite = {name: v if math.isfinite(v) else None for name, v in scalars.items()}
        self._lines.append(json.dumps({"step": step, **finite}, ensure_ascii=False))

    def publish(self) -> None:
        data = "".join(f"{line}\n" for line in self._lines).encode()
        self._storage.write(CURVES, data, content_type="application/jsonl")

    def close(self, *, failed: bool) -> None:
        self.publish()


def read_curves(storage: Storage) -> list[dict[str, Any]]:
    """Return the points of a run's curves.jsonl by ascending step; none where there is no file."""
    return [json.loads(line) for line in _read_lines(storage)]


def _read_lines(storage: Storage) -> list[str]:
    found = storage.read_versioned(CURVES)
    # Not splitlines: it would also split at rarer ends of line, which a name may contain.
    return found[0].decode().split("\n")[:-1] if found else []


def _step(line: str) -> int:
    step: int = json.loads(line)["step"]
    return step
