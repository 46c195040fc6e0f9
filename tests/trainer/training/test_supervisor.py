"""A process that is started again where it was killed, and only there."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trainer.training.supervisor import PEER_LOST_STATUS, supervise

# Notes each start in a file, and ends as the test asks of this start.
CHILD = """
import os, signal, sys
with open(sys.argv[1], "a") as file:
    print("started", file=file)
how = sys.argv[2:][len(open(sys.argv[1]).readlines()) - 1]
if how == "KILL":
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit(int(how))
"""


def supervised(tmp_path: Path, *ends: str, restarts: int) -> tuple[int, int]:
    """Return the status, and how often the child was started."""
    starts = tmp_path / "starts"
    command = [sys.executable, "-c", CHILD, str(starts), *ends]
    status = supervise(command, restarts, os.environ)
    return status, len(starts.read_text().splitlines())


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.training.supervisor._PAUSE_SECONDS", 0.0)


def test_a_killed_process_is_started_again_until_it_ends_well(tmp_path: Path) -> None:
    assert supervised(tmp_path, "KILL", str(PEER_LOST_STATUS), "0", restarts=5) == (0, 3)


def test_a_refusal_of_its_own_is_not_repeated(tmp_path: Path) -> None:
    assert supervised(tmp_path, "1", restarts=5) == (1, 1)


def test_restarts_come_to_an_end(tmp_path: Path) -> None:
    status = 128 + signal.SIGKILL
    assert supervised(tmp_path, "KILL", "KILL", "KILL", restarts=2) == (status, 3)


def test_a_signal_is_passed_on_and_ends_it(tmp_path: Path) -> None:
    waiting = tmp_path / "waiting"
    child = (
        "import pathlib, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))\n"
        f"pathlib.Path({str(waiting)!r}).touch()\n"
        "time.sleep(60)\n"
    )
    code = (
        "import os, sys\nfrom trainer.training.supervisor import supervise\n"
        f"sys.exit(supervise([sys.executable, '-c', {child!r}], 5, os.environ))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    while not waiting.exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.terminate()
    assert process.wait(timeout=30) == 1
