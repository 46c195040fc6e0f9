"""cloudbuild.yaml: what runs on a push, in which order, and what ends it."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.cloud.devtools import cloudbuild_v1
from google.protobuf import json_format

from tests.gcloud import REPOSITORY, check_schema
from tests.releases import TinyRelease
from tests.server import RunningFunction

FILE = REPOSITORY / "cloudbuild.yaml"

# Those that every build of a trigger knows.
BUILT_IN_SUBSTITUTIONS = {
    *("PROJECT_ID", "PROJECT_NUMBER", "LOCATION", "BUILD_ID", "COMMIT_SHA", "SHORT_SHA"),
}


@pytest.fixture
def build() -> dict[str, Any]:
    return dict(yaml.safe_load(FILE.read_text()))


def test_it_is_of_the_published_schema() -> None:
    check_schema(FILE, "vendor.cloudbuild")


def test_it_is_googles_own_message(build: dict[str, Any]) -> None:
    message = json_format.ParseDict(build, cloudbuild_v1.Build.pb(cloudbuild_v1.Build()))
    assert [step.id for step in message.steps] == [step["id"] for step in build["steps"]]
    assert message.timeout.seconds >= 3600


def test_every_step_waits_for_the_one_before_it(build: dict[str, Any]) -> None:
    ids = [step["id"] for step in build["steps"]]
    assert ids == ["check", "slow", "deploy", "smoke", "traffic"]
    for before, step in zip(ids, build["steps"][1:], strict=False):
        assert before in step["waitFor"]
        assert set(step["waitFor"]) <= set(ids[: ids.index(step["id"])])


def test_every_substitution_is_declared_and_used(build: dict[str, Any]) -> None:
    used = set(re.findall(r"(?<!\$)\$\{?([A-Z_]+)\}?", yaml.safe_dump(build["steps"])))
    assert used - BUILT_IN_SUBSTITUTIONS == set(build["substitutions"])


def test_every_step_runs_a_file_that_is_there(build: dict[str, Any]) -> None:
    for step in build["steps"]:
        (path,) = step["args"]
        assert os.access(REPOSITORY / path, os.X_OK)


def test_a_step_gets_the_variables_that_its_script_reads(build: dict[str, Any]) -> None:
    steps = {step["id"]: step for step in build["steps"]}
    given = {
        name: {item.partition("=")[0] for item in step.get("env", [])}
        for name, step in steps.items()
    }
    assert given["deploy"] == {"PROJECT_ID", "REGION", "ROOT", "SERVICE", "TAG"}
    assert given["traffic"] == {"PROJECT_ID", "REGION", "SERVICE", "TAG", "YES"}
    assert given["smoke"] == {"ROOT", "SMOKE"}
    # The same revision is deployed, asked and sent the traffic.
    tags = [item for step in steps.values() for item in step.get("env", []) if "TAG=" in item]
    assert tags == ["TAG=c$SHORT_SHA"] * 2


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The step's files in a folder of their own, with the environment of the checks."""
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".ci").mkdir()
    smoke = tmp_path / ".ci" / "smoke"
    smoke.write_text((REPOSITORY / ".ci" / "smoke").read_text())
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    command = tmp_path / ".venv" / "bin" / "lookalike"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m trainer "$@"\n')
    command.chmod(0o755)
    return tmp_path


def smoke_step(checkout: Path, candidate: str, **environment: str) -> int:
    (checkout / ".cache" / "candidate").write_text(candidate)
    done = subprocess.run(
        ["bash", ".ci/smoke"],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "SMOKE": "on", **environment},
        capture_output=True,
        timeout=120,
        check=False,
    )
    return done.returncode


def test_the_smoke_step_passes_a_good_revision_and_no_other(
    checkout: Path, running_function: RunningFunction, tiny_release: TinyRelease
) -> None:
    url, root = running_function.url, str(tiny_release.root)
    assert smoke_step(checkout, f"{url}\n", ROOT=root) == 0
    assert smoke_step(checkout, f"{url}/elsewhere\n", ROOT=root) == 1


def test_the_smoke_step_has_nothing_to_ask_of_a_first_revision_or_where_it_is_off(
    checkout: Path,
) -> None:
    assert smoke_step(checkout, "", ROOT="gs://none") == 0
    assert smoke_step(checkout, "http://127.0.0.1:1\n", ROOT="gs://none", SMOKE="off") == 0
