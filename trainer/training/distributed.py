"""Several processes as one trainer: who they are, and who writes what all share."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import jax
import numpy as np
from jax.experimental import multihost_utils

from function.errors import FunctionError
from trainer.errors import LookalikeError, PeersUnreachable, TrainingError
from trainer.progress import console

Distributed = Literal["auto", "on", "off"]

MAY_PASS = (jax.errors.JaxRuntimeError, PeersUnreachable, FunctionError, OSError)
"""What ends one process of several, most likely for the loss of another or of the storage, and may
not happen again: all begin anew from the last checkpoint."""

# A host that was taken away is noticed within this, and the others leave to start again.
HEARTBEAT_TIMEOUT_SECONDS = 30
# How the primary's part ended, and why: as long as a message for people, and the same for all.
_DONE, _REFUSED, _FAILED = range(3)
_MESSAGE_BYTES = 4096
_ADDRESS, _COUNT, _INDEX = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"


@dataclass(frozen=True)
class Place:
    """Which process this one is, where no environment says it."""

    coordinator: str
    """host:port of process 0, which listens nowhere else."""
    processes: int
    """How many there are."""
    index: int
    """Of this one, from 0."""


def connect(mode: Distributed, place: Place | None = None) -> None:
    """Join the processes of this cluster; the chips of all then are those of one mesh.

    TPU slices, GKE and Slurm say themselves who belongs together. Elsewhere three environment
    variables do: JAX_COORDINATOR_ADDRESS (host:port of process 0), JAX_NUM_PROCESSES and
    JAX_PROCESS_ID; JAX_COORDINATOR_BIND_ADDRESS is where process 0 listens, if not everywhere.
    Must come before anything is computed.

    Args:
        mode: "off" stays alone; "on" must find a cluster; "auto" joins where there is one.
        place: taken instead of what the surroundings say.

    Raises:
        TrainingError: "on", or a part of the environment, and no cluster.
        PeersUnreachable: the others do not come.
    """
    if mode == "off":
        return
    # The loop tells all processes of a signal itself, within a step: see `StepMetrics.interrupted`.
    jax.config.update("jax_enable_preemption_service", False)  # type: ignore[no-untyped-call]
    try:
        if place is None:
            jax.distributed.initialize(
                num_processes=_number(_COUNT),
                process_id=_number(_INDEX),
                heartbeat_timeout_seconds=HEARTBEAT_TIMEOUT_SECONDS,
            )
        else:
            jax.distributed.initialize(
                place.coordinator,
                place.processes,
                place.index,
                cluster_detection_method="deactivate",
                coordinator_bind_address=place.coordinator,
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


def all_say(yes: bool) -> bool:
    """Return whether every process says yes; each must ask."""
    if jax.process_count() == 1:
        return yes
    return bool(np.all(multihost_utils.process_allgather(np.asarray(yes))))


@contextmanager
def primary_first(what: str) -> Iterator[None]:
    """Run the block in the primary process, then in the others, which find what it wrote.

    Where it fails in the primary, the others do not run it: they fail as well, at once.

    Args:
        what: the block, for people.

    Raises:
        TrainingError: in the others, where the primary refused; in its words.
        PeersUnreachable: in the others, where the primary failed in a way that may pass.
    """
    if jax.process_count() == 1:
        yield
    elif is_primary():
        try:
            yield
        except BaseException as error:
            _tell(_REFUSED if isinstance(error, LookalikeError) else _FAILED, _described(error))
            raise
        _tell(_DONE)
    else:
        outcome, cause = _told()
        if outcome != _DONE:
            kind = TrainingError if outcome == _REFUSED else PeersUnreachable
            raise kind(f"The first process could not do its part ({what}): {cause}")
        yield


def _keep_stdout_for_results() -> None:
    """Send what native code prints there to stderr: gloo greets every peer."""
    sys.stdout.flush()
    results = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.stdout = os.fdopen(results, "w")


def _tell(outcome: int, cause: str = "") -> None:
    """From the primary to all others, which wait for it in `_told`."""
    message = np.zeros(_MESSAGE_BYTES, np.uint8)
    text = cause.encode()[: _MESSAGE_BYTES - 1]
    message[: len(text) + 1] = (outcome, *text)
    multihost_utils.broadcast_one_to_all(message)


def _told() -> tuple[int, str]:
    """The outcome in the primary, and what caused it."""
    message = multihost_utils.broadcast_one_to_all(np.zeros(_MESSAGE_BYTES, np.uint8))
    outcome, *text = np.asarray(message).tolist()
    return outcome, bytes(text).rstrip(b"\0").decode(errors="ignore")


def _described(error: BaseException) -> str:
    return str(error) if isinstance(error, LookalikeError) else f"{type(error).__name__}: {error}"


def _number(name: str) -> int | None:
    text = os.environ.get(name)
    if text is None:
        return None
    if not text.isdecimal():
        raise TrainingError(f"{name}: expected a number; found {text!r}.")
    return int(text)
