"""Where the curves of a training go: curves.jsonl always, and the trackers that one chooses."""

from trainer.tracking.curves import CURVES, read_curves
from trainer.tracking.opening import TrackerName, Trackers, check_trackers, open_trackers
from trainer.tracking.tracker import Tracker

__all__ = [
    "CURVES",
    "Tracker",
    "TrackerName",
    "Trackers",
    "check_trackers",
    "open_trackers",
    "read_curves",
]
