"""The processes that photos are decoded in, where each has one of its own.

The first is forked before the server's process has threads, and does nothing but fork the others,
one whenever it is asked: the decoders. What these hold is shared with it, so each takes a few
megabytes. The system limits a decoder's memory and time, and ends it first where memory is short.

A decoder is given a socket and memory that it shares with whoever asks. A photo's bytes lie in the
memory, and a JSON message says what is wanted; the pixels take the bytes' place, and a message says
so, or which error there was. A decoder that is ended says nothing: its socket is closed.
"""

import gc
import json
import mmap
import os
import resource
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from .errors import FunctionError
from .photo import PhotoLimits, load_pixels
from .region import Region
from .telemetry import log

MAX_MESSAGE_BYTES = 16_384
_FIRST_OF_OURS = 3
_ENDED_FIRST = "1000"


def fork_decoders(requests: socket.socket, limits: PhotoLimits) -> NoReturn:
    """Fork a decoder for each message, which brings its socket and its memory, until there is none.

    Args:
        requests: all other descriptors but standard output and error are closed.
        limits: of each photo.
    """
    try:
        requests = _keep_only(requests)
        # The collector's marks would make copies of what is shared.
        gc.freeze()
        for name in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(name, signal.SIG_DFL)
        # Sent to all of the server's processes; the last answers are still to be given.
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(name, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, _tell_ends)
        while (asked := socket.recv_fds(requests, 1, 2))[0]:
            job_socket, memory = asked[1]
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                requests.close()
                _decode(socket.socket(fileno=job_socket), mmap.mmap(memory, 0), limits)
            os.close(job_socket)
            os.close(memory)
        os._exit(0)
    finally:
        # Whatever happened: nothing of the server may run here.
        os._exit(1)


def _keep_only(one: socket.socket) -> socket.socket:
    """Close all descriptors but this one, among them those that the server listens at."""
    os.dup2(one.detach(), _FIRST_OF_OURS)
    os.closerange(_FIRST_OF_OURS + 1, os.sysconf("SC_OPEN_MAX"))
    return socket.socket(fileno=_FIRST_OF_OURS)


def _tell_ends(*_: object) -> None:
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if code := os.waitstatus_to_exitcode(ended[1]):
                how = signal.Signals(-code).name if code < 0 else f"status {code}"
                log("ERROR", f"A decoder of photos was ended: {how}.")


def _decode(jobs: socket.socket, memory: mmap.mmap, limits: PhotoLimits) -> NoReturn:
    """Decode what is asked for, until nobody asks any more."""
    _limit_memory(limits.max_memory_bytes)
    while message := jobs.recv(MAX_MESSAGE_BYTES):
        job = json.loads(message)
        # Its default is to end the process, whatever that does.
        signal.setitimer(signal.ITIMER_REAL, job["seconds"])
        answer = _answer(job, memory, limits)
        signal.setitimer(signal.ITIMER_REAL, 0)
        jobs.send(json.dumps(answer).encode())
    os._exit(0)


def _answer(job: dict[str, Any], memory: mmap.mmap, limits: PhotoLimits) -> dict[str, object]:
    region = None if job["region"] is None else Region(**job["region"])
    try:
        pixels = load_pixels(memory[: job["bytes"]], job["size"], limits, region)
    except FunctionError as error:
        return {
            "error": type(error).__name__,
            "message": error.message,
            "reason": error.reason,
            "metadata": error.metadata,
        }
    memory[: pixels.nbytes] = np.ascontiguousarray(pixels).data.cast("B")
    return {}


def _limit_memory(more_bytes: int) -> None:
    """Limit what the system gives out to so much more than there is."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + more_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_ENDED_FIRST)
