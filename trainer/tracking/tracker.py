"""What training asks of whatever keeps its curves."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import TracebackType


class Tracker(ABC):
    """Scalars by name and step. Use as a context: leaving publishes what is left.

    Publish before each checkpoint is saved, not after. Killed between the two, training goes on
    from the checkpoint before and writes the same points again, which every tracker expects; in
    the other order it would go on from this one, and points written until then would be missing.
    """

    @abstractmethod
    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Add one point to each curve.

        Args:
            step: batches learned from; larger than in the call before.
            scalars: values by the name of their curve.
        """

    @abstractmethod
    def publish(self) -> None:
        """Make what was written durable, and readable by others."""

    @abstractmethod
    def close(self, *, failed: bool) -> None:
        """Publish what is left and let go; nothing is written afterwards.

        Args:
            failed: training ended with an exception, an interruption included.
        """

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(failed=kind is not None)
