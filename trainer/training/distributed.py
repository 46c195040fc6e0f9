"""Several processes as one trainer: who they are, and who writes what all share."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import jax
from jax.experimental import multihost_utils

from trainer.errors import PeersUnreachable, TrainingError
from trainer.progress import console

Distributed = Literal["auto", "on", "off"]

# A host that was taken away is noticed within this, and the others leave to start again.
HEARTBEAT_TIMEOUT_SECONDS = 30
_ADDRESS, _COUNT, _INDEX = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"


def connect(mode: Distributed) -> None:
    """Join the processes of this cluster; the chips of all then are those of one mesh.

    TPU slices, GKE and Slurm say themselves who belongs together. Elsewhere three environment
    variables do: JAX_COORDINATOR_ADDRESS (host:port of process 0), JAX_NUM_PROCESSES and
    JAX_PROCESS_ID; JAX_COORDINATOR_BIND_ADDRESS is where process 0 listens, if not everywhere.
    Must come before anything is computed.

    Args:
        mode: "off" stays alone; "on" must find a cluster; "auto" joins where there is one.

    Raises:
        TrainingError: "on", or a part of the environment, and no cluster.
        PeersUnreachable: the others do not come.
    """
    if mode == "off":
        return
    # The loop tells all processes of a signal itself, within a step: see `StepMetrics.interrupted`.
    jax.config.update("jax_enable_preemption_service", False)  # type: ignore[no-untyped-call]
    try:
        jax.distributed.initialize(
            num_processes=_number(_COUNT),
            process_id=_number(_INDEX),
            heartbeat_timeout_seconds=HEARTBEAT_TIMEOUT_SECONDS,
        )
    except ValueError as error:
        # What JAX raises on a machine that belongs to no cluster that it knows.
        if mode == "on" or any(name in os.environ for name in (_ADDRESS, _COUNT, _INDEX)):
            raise TrainingError(
                f"Expected a cluster to join (a TPU slice, GKE, Slurm, or {_ADDRESS}, "
                f"{_COUNT} and {_INDEX} in the environment); found none: {error}"
            ) from error
    except RuntimeError as error:
        raise PeersUnreachable(f"The other processes cannot be reached: {error}") from error
    if jax.process_count() > 1:
        _keep_stdout_for_results()
        console.quiet = not is_primary()


def is_primary() -> bool:
    """Whether this is the process that writes what is written once: logs, reports, the split."""
    return jax.process_index() == 0


def share() -> tuple[int, int]:
    """Return this process's number and how many there are: which part of each batch is its own."""
    return jax.process_index(), jax.process_count()


@contextmanager
def primary_first(what: str) -> Iterator[None]:
    """Run the block in the primary process, then in the others, which find what it wrote.

    Where it fails in the primary the others run it too, instead of waiting for what never comes.
    """
    if not is_primary():
        _meet(what)
    try:
        yield
    finally:
        if is_primary():
            _meet(what)


def _keep_stdout_for_results() -> None:
    """Send what native code prints there to stderr: gloo greets every peer."""
    sys.stdout.flush()
    results = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.stdout = os.fdopen(results, "w")


def _meet(what: str) -> None:
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(what)


def _number(name: str) -> int | None:
    text = os.environ.get(name)
    if text is None:
        return None
    if not text.isdecimal():
        raise TrainingError(f"{name}: expected a number; found {text!r}.")
    return int(text)
