"""The clock on the wall jumps by hours while the function runs, as where a machine wakes up."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import function
from tests.answers import PHOTO, results
from tests.releases import TinyRelease
from tests.server import run_function

FUNCTION = Path(function.__file__).parent

# Each tenth of a second another time, for everything in the process that asks Python.
STEPPING = f"""
import sys, time

hours = (0, 5, -7, 1000, 3, -1)
real, real_ns = time.time, time.time_ns

def step():
    return 3600 * hours[int(10 * time.monotonic()) % len(hours)]

time.time = lambda: real() + step()
time.time_ns = lambda: real_ns() + step() * 10**9

sys.path.insert(0, {str(FUNCTION.parent)!r})
from function.main import lookalike
"""


def test_no_search_is_late_or_early_when_the_clock_steps(
    tiny_release: TinyRelease, tmp_path: Path
) -> None:
    wrapper = tmp_path / "main.py"
    wrapper.write_text(STEPPING)
    log = tmp_path / "log.txt"
    # One computes and the others wait for it: by what clock, decides.
    chosen = {"max_running": "1", "deadline_seconds": "60", "threads": "16"}
    with run_function(log, source=wrapper, root=str(tiny_release.root), **chosen) as running:
        running.wait_until_ready()
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: running.search(PHOTO, explain="true"), range(60)))
        for answer in answers:
            assert results(answer)
            assert all(0 <= spent < 60_000 for spent in answer.json()["timingsMs"].values())
        asked = [line for line in running.log_lines() if "httpRequest" in line]
        assert len(asked) == len(answers)
        for line in asked:
            assert 0 <= float(line["httpRequest"]["latency"].removesuffix("s")) < 60
