"""Executors that tell what they were given to do."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class CountingExecutor(ThreadPoolExecutor):
    """One thread.

    Attributes:
        given: how much it was given to do.
    """

    def __init__(self) -> None:
        super().__init__(1)
        self.given = 0

    def submit(self, *job: Any, **options: Any) -> Future[Any]:
        self.given += 1
        return super().submit(*job, **options)
