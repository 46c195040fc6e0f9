"""TensorBoard curves, written without TensorFlow, on a folder or gs://.

tensorboardX's event files are used without its `SummaryWriter`, whose thread may still hold points
when a flush returns: a checkpoint's curves would be incomplete.
"""

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto import event_pb2
from tensorboardX.proto.summary_pb2 import Summary

from function.storage import Storage
from trainer.tracking.tracker import Tracker


class TensorBoard(Tracker):
    """Event files, one for each time that training was started."""

    def __init__(self, storage: Storage, *, start_step: int) -> None:
        """Open a new event file.

        Args:
            storage: a folder is written in place; gs:// gets each event file when published.
            start_step: points that an interrupted run had written from here on are hidden.
        """
        self._storage = storage
        self._temporary = tempfile.TemporaryDirectory() if storage.folder is None else None
        self._folder = storage.folder or Path(self._temporary.name if self._temporary else "")
        self._folder.mkdir(parents=True, exist_ok=True)
        # Event files are named by the second: two within one would be one, written over.
        self._events = EventsWriter(str(self._folder / "events"), f".{start_step:08d}")
        # Tells TensorBoard to drop what an earlier file says about this step and later ones.
        started = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._add(start_step, session_log=started)

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        points = [Summary.Value(tag=name, simple_value=value) for name, value in scalars.items()]
        self._add(step, summary=Summary(value=points))

    def publish(self) -> None:
        self._events.flush()
        if self._temporary is not None:
            self._upload()

    def close(self, *, failed: bool) -> None:
        self._events.close()
        if self._temporary is not None:
            with self._temporary:
                self._upload()

    def _add(self, step: int, **content: Any) -> None:
        self._events.write_event(event_pb2.Event(wall_time=time.time(), step=step, **content))

    def _upload(self) -> None:
        for path in self._folder.iterdir():
            self._storage.upload(path, path.name)
