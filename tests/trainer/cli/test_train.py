"""`lookalike train`: what it hands on to the process that trains."""

import sys
from collections.abc import Mapping, Sequence

import pytest

from trainer.cli import main


def test_restarts_give_the_process_that_trains_the_arguments_that_were_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[tuple[Sequence[str], int]] = []

    def supervise(command: Sequence[str], restarts: int, environment: Mapping[str, str]) -> int:
        started.append((command, restarts))
        return 3

    monkeypatch.setattr("trainer.cli.train.supervise", supervise)
    monkeypatch.setattr(sys, "argv", ["another-program", "of its own"])
    given = ["train", "--catalog", "shop", "--run", "run", "--restarts", "2"]
    with pytest.raises(SystemExit) as end:
        main(given)
    assert end.value.code == 3
    assert started == [([sys.executable, "-m", "trainer", *given], 2)]
