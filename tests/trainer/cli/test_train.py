"""`lookalike train`: what it settles before anything is trained."""

import os
import subprocess
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


DETERMINISTIC = ("train", "--catalog", "nowhere", "--run", "run", "--deterministic")


@pytest.mark.parametrize("before", ["", "--xla_force_host_platform_device_count=2"])
def test_deterministic_tells_xla_before_it_starts(before: str) -> None:
    code = (
        "import os, sys\nfrom trainer.cli import main\n"
        f"try:\n    main({list(DETERMINISTIC)!r})\nexcept SystemExit:\n    pass\n"
        # A flag that XLA does not know ends the process.
        "import jax\njax.numpy.ones(3).sum()\n"
        "print(jax.device_count(), os.environ['XLA_FLAGS'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "XLA_FLAGS": before},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    count, *flags = done.stdout.split()
    assert flags == [*before.split(), "--xla_gpu_deterministic_ops=true"]
    assert count == ("2" if before else "1")


def test_deterministic_is_refused_where_jax_is_loaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    assert "jax" in sys.modules
    with pytest.raises(SystemExit) as end:
        main(DETERMINISTIC)
    assert end.value.code == 1
    assert "XLA_FLAGS=--xla_gpu_deterministic_ops=true before Python" in capsys.readouterr().err
    assert "XLA_FLAGS" not in os.environ
