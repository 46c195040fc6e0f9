"""Processes that train together, as on two hosts."""

import os


def environment_of(index: int, address: str) -> dict[str, str]:
    """Makes a process one of two that meet at this address."""
    return {
        **os.environ,
        "JAX_COORDINATOR_ADDRESS": address,
        "JAX_COORDINATOR_BIND_ADDRESS": address,
        "JAX_NUM_PROCESSES": "2",
        "JAX_PROCESS_ID": str(index),
    }
