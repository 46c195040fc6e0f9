"""The server's end: who was let in is answered, who comes later is turned away at once.

On SIGTERM gunicorn's worker answers the connections that it has accepted, but leaves those in its
listening socket's queue, which the kernel goes on filling: their clients have sent their requests,
and are cut off at the worker's end. Here nobody is let into the queue any more, it is emptied, and
then closed, so that others learn within a second that they have to go elsewhere.
"""

import ctypes
import os
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from gunicorn import config
from gunicorn.workers.gthread import ThreadWorker

# Linux's, which Python does not name.
_SO_ATTACH_FILTER = 26
# One instruction of the classic packet filter: return, with none of the packet's bytes kept.
_KEEP_NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)


class DrainingWorker(ThreadWorker):  # type: ignore[misc]
    """A worker with threads that accepts all who wait before it accepts no more."""

    def set_accept_enabled(self, enabled: bool) -> None:
        """Begin to accept connections, or stop; for ever where the worker is about to end."""
        if self.alive:
            super().set_accept_enabled(enabled)
            return
        for listener in self.sockets:
            let_nobody_in(listener)
            self._accept_waiting(listener)
        super().set_accept_enabled(False)
        for listener in self.sockets:
            listener.close()

    def _accept_waiting(self, listener: Any) -> None:
        queue = select.poll()
        queue.register(listener, select.POLLIN)
        while queue.poll(0):
            self.accept(listener)


def let_nobody_in(listener: Any) -> None:
    """Have the kernel drop all that arrives at a listening socket, where it can.

    Whoever connects hears nothing, tries again after a second, and finds it closed. Else one who
    comes between the last look at the queue and its end would be cut off.
    """
    if _is_held_by(os.getppid(), listener):
        # This worker alone ends: the socket is the others' too.
        return
    instructions = ctypes.create_string_buffer(_KEEP_NOTHING)
    program = struct.pack("HP", 1, ctypes.addressof(instructions))
    # Not on every system there is such a filter.
    with suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def _is_held_by(process: int, listener: Any) -> bool:
    """Whether another process has a socket open as well; True where that cannot be seen."""
    try:
        return f"socket:[{os.fstat(listener.fileno()).st_ino}]" in _opened_by(process)
    except OSError:
        return True


def _opened_by(process: int) -> Iterator[str]:
    for path in Path(f"/proc/{process}/fd").iterdir():
        # It may close one meanwhile.
        with suppress(FileNotFoundError):
            yield path.readlink().name


def drain_at_the_end() -> None:
    """Make servers that start from now on end like this.

    functions-framework says what its gunicorn does, and asks nobody which kind of worker is to do
    it; what it leaves unsaid is the setting's default.
    """
    config.WorkerClass.default = DrainingWorker
