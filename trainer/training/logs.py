"""TensorBoard curves, written without TensorFlow, on a folder or gs://."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tensorboardX import SummaryWriter

from function.storage import Storage


class Curves:
    """Scalars by name and step. Use as a context: leaving publishes what is left."""

    def __init__(self, storage: Storage, *, start_step: int) -> None:
        """Open a new event file.

        Args:
            storage: a folder is written in place; gs:// gets each event file when published.
            start_step: points that an interrupted run had written from here on are hidden.
        """
        self._storage = storage
        self._temporary = tempfile.TemporaryDirectory() if storage.folder is None else None
        self._folder = storage.folder or Path(self._temporary.name if self._temporary else "")
        # Event files are named by the second: two within one would be one, written over.
        self._writer = SummaryWriter(
            str(self._folder), purge_step=start_step, filename_suffix=f".{start_step:08d}"
        )

    def __enter__(self) -> "Curves":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writer.close()
        if self._temporary is not None:
            with self._temporary:
                self._upload()

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Add one point to each curve."""
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, step)

    def publish(self) -> None:
        """Make what was written readable by others: called at each checkpoint."""
        self._writer.flush()
        if self._temporary is not None:
            self._upload()

    def _upload(self) -> None:
        for path in self._folder.iterdir():
            self._storage.upload(path, path.name)
