"""A container's share of the processors counts, and the machine's where it has none."""

import os
from pathlib import Path

import pytest

from function.processor import usable_processors

ALL = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("max 100000", ALL), ("100000 100000", 1), ("50000 100000", 1), ("100000000 100000", ALL)],
)
def test_version_two(tmp_path: Path, limit: str, expected: int) -> None:
    (tmp_path / "cpu.max").write_text(f"{limit}\n")
    assert usable_processors(tmp_path) == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1", ALL), ("60000", 1)])
def test_version_one(tmp_path: Path, quota: str, expected: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert usable_processors(tmp_path) == expected


def test_what_cannot_be_read_limits_nothing(tmp_path: Path) -> None:
    assert usable_processors(tmp_path / "absent") == ALL
    (tmp_path / "cpu.max").write_text("nonsense")
    assert usable_processors(tmp_path) == ALL
