"""The server's end: who was let in is answered, who comes later is turned away at once.

On SIGTERM gunicorn's worker answers the connections that it has accepted, but leaves those in its
listening socket's queue, which the kernel goes on filling: their clients have sent their requests,
and are cut off at the worker's end. Here the queue is emptied first, and then closed, so that
others learn at once that they have to go elsewhere.
"""

import select
from typing import Any

from gunicorn import config
from gunicorn.workers.gthread import ThreadWorker


class DrainingWorker(ThreadWorker):  # type: ignore[misc]
    """A worker with threads that accepts all who wait before it accepts no more."""

    def set_accept_enabled(self, enabled: bool) -> None:
        """Begin to accept connections, or stop; for ever where the worker is about to end."""
        if self.alive:
            super().set_accept_enabled(enabled)
            return
        for listener in self.sockets:
            self._accept_waiting(listener)
        super().set_accept_enabled(False)
        for listener in self.sockets:
            listener.close()

    def _accept_waiting(self, listener: Any) -> None:
        queue = select.poll()
        queue.register(listener, select.POLLIN)
        while queue.poll(0):
            self.accept(listener)


def drain_at_the_end() -> None:
    """Make servers that start from now on end like this.

    functions-framework says what its gunicorn does, and asks nobody which kind of worker is to do
    it; what it leaves unsaid is the setting's default.
    """
    config.WorkerClass.default = DrainingWorker
