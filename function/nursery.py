"""Processes that work for the server's, forked by one that has neither threads nor connections.

The first is forked before the server's process has threads, and does nothing but fork the others,
each when it is asked for. What these hold is shared with it, so each takes a few megabytes. They
ignore the signals that end the server, whose last answers need them, and end when the sockets that
they were given are closed.
"""

import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NoReturn

from .errors import Unavailable
from .telemetry import log

# Does its work with the descriptors that it is given, and returns when nobody needs it any more.
Work = Callable[[Sequence[int]], None]

# That Linux hands over in one message.
MOST_DESCRIPTORS = 253
# Of a work's name, at the most.
_NAME_BYTES = 100
_FIRST_OF_OURS = 3


class Nursery:
    """Forks processes, where the system is Linux and `start` was called. Safe for threads.

    Args:
        works: what each kind of process does; its name stands in the log.
    """

    def __init__(self, works: Mapping[str, Work]) -> None:
        self._works = works
        self._requests: socket.socket | None = None
        self._is_forking = False

    def start(self) -> bool:
        """Fork the process that forks: right after a fork, before there are threads.

        Returns:
            False in that process, and in those that it forks: hooks run there too.
        """
        if self._is_forking:
            return False
        if sys.platform == "linux":
            self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._is_forking = True
            if os.fork() == 0:
                _fork_on_request(theirs, self._works)
            self._is_forking = False
            theirs.close()
        return True

    @property
    def is_there(self) -> bool:
        """Whether `fork` can be called."""
        return self._requests is not None

    def fork(self, work: str, descriptors: Sequence[int]) -> None:
        """Have a process forked that does this work with descriptors of its own like these.

        Raises:
            Unavailable: none can be forked any more: this server ends, and another takes its place.
        """
        if self._requests is None:
            raise RuntimeError("The nursery was not started.")
        try:
            socket.send_fds(self._requests, [work.encode()], descriptors)
        except ConnectionError:
            _end_server()


def _fork_on_request(requests: socket.socket, works: Mapping[str, Work]) -> NoReturn:
    """Fork a process for each message, which names its work, until there are no more."""
    try:
        requests = _keep_only(requests)
        # The collector's marks would make copies of what is shared.
        gc.freeze()
        for name in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(name, signal.SIG_DFL)
        # Sent to all of the server's processes; the last answers are still to be given.
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(name, signal.SIG_IGN)
        # The handler takes away those that it tells of, so that no number names two of them.
        forked: dict[int, str] = {}
        signal.signal(signal.SIGCHLD, lambda *_: _tell_ends(forked))
        while (asked := socket.recv_fds(requests, _NAME_BYTES, MOST_DESCRIPTORS))[1]:
            work, descriptors = asked[0].decode(), asked[1]
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
            process = os.fork()
            if process == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
                requests.close()
                works[work](descriptors)
                os._exit(0)
            forked[process] = work
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            for descriptor in descriptors:
                os.close(descriptor)
        os._exit(0)
    finally:
        # Whatever happened: nothing of the server may run here.
        os._exit(1)


def _keep_only(one: socket.socket) -> socket.socket:
    """Close all descriptors but this one, among them those that the server listens at."""
    os.dup2(one.detach(), _FIRST_OF_OURS)
    os.closerange(_FIRST_OF_OURS + 1, os.sysconf("SC_OPEN_MAX"))
    return socket.socket(fileno=_FIRST_OF_OURS)


def _tell_ends(forked: dict[int, str]) -> None:
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            work = forked.pop(ended[0])
            if code := os.waitstatus_to_exitcode(ended[1]):
                how = signal.Signals(-code).name if code < 0 else f"status {code}"
                log("ERROR", f"A process was ended that {work}: {how}.")


def _end_server() -> NoReturn:
    """Have gunicorn replace this process: in one that has threads, nothing may be forked."""
    log("ERROR", "The process that forks others is gone: this worker ends, for another.")
    os.kill(os.getpid(), signal.SIGTERM)
    raise Unavailable("The function starts anew. Try again in a moment.")
