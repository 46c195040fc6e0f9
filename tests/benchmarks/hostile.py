"""What photos and bodies made to harm cost the real function: seconds, and memory at its peak.

    python -m tests.benchmarks.hostile [--root ROOT]

Each is posted by itself to a function under functions-framework, over a small release unless a root
is given. Seconds are until the answer, the upload and the search included; memory is what the
worker and its decoders held at their peak beyond what they held before, shared pages counted in
each. Limits of the same run: the deadline of a search, and what a decoder may take.
"""

import argparse
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from function.photo import DEFAULT_LIMITS
from function.settings import Settings
from tests.benchmarks.timing import Row, report
from tests.hostile_bodies import BODIES
from tests.hostile_photos import ALL, OUTCOMES
from tests.releases import IMAGE_SIZE, tiny_model, write_tiny_catalog
from tests.server import RunningFunction, form, run_function
from trainer.release.publish import publish

PATH = "/v1/products:search"
# The dearest that are shown by themselves.
SHOWN = 12


@dataclass(frozen=True)
class Case:
    """What is posted, and the reason that it is to be refused for; "" where it is searched for."""

    name: str
    build: Callable[[], tuple[bytes, str]]
    outcome: str


def cases() -> list[Case]:
    photos = [
        Case(name, lambda build=build: form(build()), OUTCOMES[name])  # type: ignore[misc]
        for name, build in ALL.items()
    ]
    bodies = [
        Case(f"body: {name}", lambda one=one: (one.build(), one.content_type), one.outcome)  # type: ignore[misc]
        for name, one in BODIES.items()
    ]
    return photos + bodies


def family(process: int) -> list[int]:
    """A process, and those that it started, and those that they did."""
    ids = [process]
    for parent in ids:
        ids += map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())
    return ids


def megabytes(process: int, what: str) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    (found,) = re.findall(rf"^{what}:\s+(\d+) kB", status, re.MULTILINE)
    return int(found) / 1e3


def measure(running: RunningFunction, case: Case) -> Row:
    """Post it; RuntimeError where it comes out otherwise than is promised."""
    body, content_type = case.build()
    held = {one: megabytes(one, "VmRSS") for one in family(running.process.pid)}
    for one in held:
        # Their peaks begin anew.
        Path(f"/proc/{one}/clear_refs").write_text("5")
    start = time.perf_counter()
    answer = running.request("POST", PATH, body, {"Content-Type": content_type})
    taken = time.perf_counter() - start
    reason = "" if answer.status == 200 else answer.json()["error"]["details"][0]["reason"]
    # The largest photos, on a machine that has other work.
    if reason not in (case.outcome, "DEADLINE_EXCEEDED"):
        raise RuntimeError(f"{case.name}: expected {case.outcome!r}; found {reason!r}")
    # A decoder that is new began with its parent's memory.
    least = min(held.values())
    more = sum(
        max(0.0, megabytes(one, "VmHWM") - held.get(one, least))
        for one in family(running.process.pid)
    )
    return {
        "case": case.name,
        "MB": len(body) / 1e6,
        "s": taken,
        "peak MB": more,
        "": reason or "read",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", default="", help="a release's; else a small one is made")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = arguments.root or f"{scratch}/root"
        if not arguments.root:
            catalog = write_tiny_catalog(Path(scratch) / "catalog")
            publish(tiny_model(), IMAGE_SIZE, catalog, root, evaluation={})
        with run_function(Path(scratch) / "log.txt", root=root) as running:
            running.wait_until_ready()
            rows = [measure(running, case) for case in cases()]
            if len(family(running.process.pid)) < 4:
                raise RuntimeError("expected the server, its worker and their decoders; some ended")
    seconds = sorted(rows, key=lambda row: -float(row["s"] or 0))
    memory = sorted(rows, key=lambda row: -float(row["peak MB"] or 0))
    limits = f"{Settings().deadline_seconds:.0f} s, {DEFAULT_LIMITS.max_memory_bytes / 1e6:.0f} MB"
    report("hostile-time", f"{len(rows)} cases, the slowest; limits {limits}", seconds[:SHOWN])
    report("hostile-memory", "the same, those that take most memory", memory[:SHOWN])


if __name__ == "__main__":
    main()
