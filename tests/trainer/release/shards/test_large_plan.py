"""A plan is written in the same memory, however long its listing is."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from function.storage import open_storage
from tests.releases import TinyRelease
from tests.trainer.release.shards.driver import opened_program
from trainer.data.large import open_large
from trainer.release.shards.columns import read_photos
from trainer.release.shards.planning import plan_job

_PLANNED = """
import json, sys
from pathlib import Path
from function.storage import open_storage
from tests.trainer.release.shards.driver import opened_program
from trainer.data.large import open_large
from trainer.release.shards.planning import plan_job

program = opened_program(Path(sys.argv[1]))
job = plan_job(open_large(sys.argv[2]), program, open_storage(sys.argv[3]))
# Of this program alone: what getrusage tells began with the process that started it.
told = dict(line.split(":", 1) for line in open("/proc/self/status"))
kilobytes = int(told["VmHWM"].split()[0])
print(json.dumps([job.plan().rows, job.plan().shards, kilobytes * 1024]))
"""


def write_listing(path: Path, rows: int, at_once: int = 50_000) -> None:
    with parquet.ParquetWriter(
        path, arrow.schema([(name, arrow.string()) for name in ("product_id", "image", "title")])
    ) as writer:
        for first in range(0, rows, at_once):
            numbers = np.arange(first, min(rows, first + at_once))
            columns = {
                "product_id": [f"product-{number // 3}" for number in numbers],
                "image": [f"gs://shop/photos/{number:012d}.jpg" for number in numbers],
                "title": [f"A title of the product {number // 3}" for number in numbers],
            }
            writer.write_table(arrow.table(columns))


def test_a_large_listing_is_planned_as_it_is_listed(
    tiny_release: TinyRelease, tmp_path: Path
) -> None:
    write_listing(tmp_path / "listing.parquet", 25)
    large = open_large(tmp_path / "listing.parquet")
    program = opened_program(tiny_release.root / "releases" / tiny_release.release_id)
    job = plan_job(large, program, open_storage(tmp_path / "root"), rows_per_shard=10)
    plan = job.plan()
    assert (plan.rows, plan.shards, plan.here, plan.numbered) == (25, 3, False, False)
    planned = [
        photo
        for shard in range(plan.shards)
        for photo in read_photos(job.read(job.photos_name(shard)), "")
    ]
    assert planned == list(large.photos())
    assert [plan.rows_of(shard) for shard in range(3)] == [10, 10, 5]


@pytest.mark.slow
def test_ten_times_the_rows_take_no_more_memory(tiny_release: TinyRelease, tmp_path: Path) -> None:
    peaks = []
    release = tiny_release.root / "releases" / tiny_release.release_id
    for rows in (100_000, 1_000_000):
        write_listing(tmp_path / f"{rows}.parquet", rows)
        done = subprocess.run(
            [sys.executable, "-c", _PLANNED, release, tmp_path / f"{rows}.parquet", tmp_path],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        planned, shards, peak = json.loads(done.stdout)
        assert (planned, shards) == (rows, -(-rows // 2048))
        peaks.append(peak)
    print(f"peak {peaks[0] / 1e6:.0f} and {peaks[1] / 1e6:.0f} MB")
    # All rows held would be hundreds of megabytes more.
    assert peaks[1] < peaks[0] + 100e6
