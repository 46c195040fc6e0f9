"""The worker process is killed, as where memory runs out: what it did is repeated, and is answered.

The server's parent starts another worker, which loads the release anew.
"""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

from tests.answers import PHOTO, results
from tests.releases import TinyRelease
from tests.server import RunningFunction, run_function
from tests.waiting import eventually

CLIENTS = 6
SEARCHES = 20
TRIES = 60


def workers(running: RunningFunction) -> list[int]:
    """Ids of the server's child processes."""
    children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children")
    return [int(word) for word in children.read_text().split()]


def search_again(running: RunningFunction) -> int:
    """Search as a client that retries does: repeat what broke off or was put off; count repeats."""
    for repeats in range(TRIES):
        try:
            answer = running.search(PHOTO)
        except (OSError, HTTPException):
            time.sleep(0.1)
            continue
        if answer.status not in (429, 503):
            assert results(answer)
            return repeats
        time.sleep(min(float(answer.headers["Retry-After"]), 0.5))
    raise AssertionError("it was never answered")


def test_a_killed_worker_costs_what_it_was_doing_and_another_takes_over(
    tiny_release: TinyRelease, tmp_path: Path
) -> None:
    # Nobody is put off while it loads again: what is repeated was broken off.
    chosen = {"loading_wait_seconds": "60"}
    with run_function(tmp_path / "log.txt", root=str(tiny_release.root), **chosen) as running:
        running.wait_until_ready()
        (first,) = workers(running)
        with ThreadPoolExecutor(CLIENTS) as pool:
            searches = [pool.submit(search_again, running) for _ in range(CLIENTS * SEARCHES)]
            eventually(lambda: sum(search.done() for search in searches) > CLIENTS)
            killed = time.monotonic()
            os.kill(first, signal.SIGKILL)
            eventually(lambda: first not in workers(running))
            running.wait_until_ready()
            again = time.monotonic() - killed
            repeats = [search.result() for search in searches]
        (second,) = workers(running)
        assert second != first
        loads = [x for x in running.log_lines() if "is loaded" in x["message"]]
        assert len(loads) == 2
        # Each of the clients had at most one search with the worker that died.
        assert sum(1 for repeated in repeats if repeated) <= CLIENTS
        print(
            f"{len(repeats)} searches of {CLIENTS} clients: {sum(map(bool, repeats))} repeated, "
            f"none lost; ready {again:.2f} s after SIGKILL, of which loading "
            f"{loads[1]['seconds']:.2f} s (first: {loads[0]['seconds']:.2f} s)"
        )
