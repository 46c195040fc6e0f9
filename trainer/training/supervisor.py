"""Training that gets up again: a process that watches another and starts it anew when it dies."""

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from types import FrameType

from trainer.progress import console

PEER_LOST_STATUS = 75
"""Exit status of a process that could not go on for the loss of another: sysexits' "try again"."""
_PAUSE_SECONDS = 1.0


def supervise(command: Sequence[str], restarts: int, environment: Mapping[str, str]) -> int:
    """Run a command until it ends by its own decision, and start it again where it was killed.

    Run on every host, all come back from the last checkpoint together: where one host is lost the
    others' processes end within the heartbeat's time-out, and wait for it when started again.

    Args:
        command: the program and its arguments; going on where it was is its own business.
        restarts: how often it is started again, at most.
        environment: its variables.

    Returns:
        The exit status of its last run: 128 + n where signal n ended it.
    """
    stopping = False
    while True:
        process = subprocess.Popen(command, env=environment)  # noqa: S603 - our own command line

        def forward(number: int, frame: FrameType | None, process: object = process) -> None:
            nonlocal stopping
            stopping = True
            if isinstance(process, subprocess.Popen) and process.poll() is None:
                process.send_signal(number)

        before = {n: signal.signal(n, forward) for n in (signal.SIGTERM, signal.SIGINT)}
        try:
            status = process.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        died = status < 0 or status == PEER_LOST_STATUS
        if stopping or not died or restarts == 0:
            return 128 - status if status < 0 else status
        restarts -= 1
        console.print(
            f"Training ended by {_reason(status)}: started again from its last checkpoint "
            f"({restarts} restarts left)."
        )
        time.sleep(_PAUSE_SECONDS)


def _reason(status: int) -> str:
    return "the loss of another process" if status > 0 else signal.Signals(-status).name
