"""A signal is a question asked after each step; the same one told twice is one."""

import os
import signal
import time

import pytest

from trainer.training import interruption as module
from trainer.training.interruption import interruption


def test_a_signal_told_twice_at_once_is_held_back_as_one() -> None:
    with interruption() as came:
        assert came() is None
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.05)
        assert came() == "SIGTERM"


def interrupted_twice() -> None:
    with interruption() as came:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        assert came() == "SIGINT"
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)


@pytest.mark.usefixtures("hears_ctrl_c")
def test_one_that_comes_later_acts_as_it_would_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REPEATED_WITHIN_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        interrupted_twice()
