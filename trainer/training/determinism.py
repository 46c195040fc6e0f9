"""The same bits on every run where the chip is a GPU; CPUs give them as they are."""

import os
import sys

from trainer.errors import TrainingError

_FLAG = "--xla_gpu_deterministic_ops=true"


def compute_deterministically() -> None:
    """Ask XLA for run-to-run determinism on GPUs; elsewhere it changes nothing.

    XLA then leaves out kernels that add in the order in which threads happen to come, and chooses
    none by timing it. It reads XLA_FLAGS when it starts: call this before anything imports JAX.

    Raises:
        TrainingError: JAX is loaded already.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if _FLAG in flags.split():
        return
    if "jax" in sys.modules:
        raise TrainingError(
            "Expected to be told of --deterministic before JAX is loaded; found it loaded. Train "
            f"in a process of its own, or set XLA_FLAGS={_FLAG} before Python starts."
        )
    # Of several values XLA takes the last.
    os.environ["XLA_FLAGS"] = f"{flags} {_FLAG}".strip()
