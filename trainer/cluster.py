"""A Ray cluster, joined for as long as it is needed: https://docs.ray.io."""

import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from secrets import token_hex
from typing import Literal

from trainer.errors import LookalikeError
from trainer.extras import require

_ANSWER_SECONDS = 10.0


@contextmanager
def connected(
    address: str | None, purpose: str, *, otherwise: Literal["auto", "local"]
) -> Iterator[None]:
    """Join a cluster as the process that gives orders; what still runs of them ends with the block.

    Within the block stdout is kept for results: Ray tells of lost nodes there. What workers print
    stays in the cluster's logs.

    Args:
        address: of the cluster's head, host:port, whose node this machine is; None: RAY_ADDRESS.
        purpose: what needs it, for people.
        otherwise: where neither is given, the cluster that this machine is a node of, or one of
            this machine alone, which ends with the block.

    Raises:
        LookalikeError: Ray is not installed, or there is no such cluster.
    """
    require("ray", "ray", purpose)
    import ray

    found = address or os.environ.get("RAY_ADDRESS") or otherwise
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if found == "local":
        # Else Ray writes a token into the home folder, which later clusters would not know.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", token_hex(32))
    with redirect_stdout(sys.stderr):
        try:
            if found not in ("auto", "local"):
                # Ray itself would try again for a quarter of an hour.
                host, _, port = found.rpartition(":")
                socket.create_connection((host, int(port)), timeout=_ANSWER_SECONDS).close()
            ray.init(
                found,
                include_dashboard=False if found == "local" else None,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (OSError, RuntimeError, ValueError) as error:
            raise LookalikeError(
                f"{purpose}: expected a Ray cluster at {found}, and this machine one of its nodes; "
                f"found none ({error}). Start one with `ray start --head`, join with "
                "`ray start --address=…`, and name it by --ray-address or RAY_ADDRESS."
            ) from error
        try:
            yield
        finally:
            ray.shutdown()
