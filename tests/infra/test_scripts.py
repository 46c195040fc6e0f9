"""The manner of all scripts: variables, dry runs, questions, help; and that they may run twice."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gcloud import (
    INFRA,
    REPOSITORY,
    SCRIPTS,
    WHERE,
    dry_run,
    run_script,
    second_run,
    the_line,
)

SHELL = [
    *sorted(INFRA.glob("*.sh")),
    *sorted(INFRA.glob("*/*.sh")),
    *sorted((REPOSITORY / ".ci").iterdir()),
]
A_SCREEN = 80


def tool(name: str) -> Path:
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        pytest.skip(f"needs {name}: make setup EXTRAS=dev")
    return path


def test_shellcheck_finds_nothing() -> None:
    done = subprocess.run(
        [tool("shellcheck"), "--external-sources", "--source-path=SCRIPTDIR", *SHELL],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_a_script_is_a_screen_long_and_can_be_run() -> None:
    for path in SHELL:
        assert len(path.read_text().splitlines()) <= A_SCREEN, path
        sourced = path.read_text().startswith("# ")
        assert os.access(path, os.X_OK) is not sourced, path


@pytest.fixture
def called(tmp_path: Path) -> Path:
    """What is there once the gcloud in this folder was called."""
    called, gcloud = tmp_path / "called", tmp_path / "gcloud"
    gcloud.write_text(f"#!/bin/sh\ntouch {called}\n")
    gcloud.chmod(0o755)
    return called


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_dry_run_calls_nothing_and_prints_lines_to_paste(
    script: str, tmp_path: Path, called: Path
) -> None:
    lines = dry_run(script, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert lines
    for line in lines:
        assert line.startswith("gcloud ")
        # A shell takes them apart into the same words.
        shell = subprocess.run(
            ["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, text=True, check=True
        )
        assert shell.stdout.split("\0")[:-1] == shlex.split(line)
    assert not called.exists()


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_says_what_it_reads(script: str) -> None:
    done = run_script(script, "--help")
    assert done.returncode == 0
    assert f"infra/{script}.sh" in done.stdout
    assert "DRY_RUN=1" in done.stdout
    assert "source " not in done.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_missing_variable_is_named(script: str) -> None:
    done = run_script(script, REGION="europe-west1")
    assert done.returncode == 2
    assert "PROJECT_ID is not set" in done.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_where_nobody_can_be_asked_nothing_is_done(
    script: str, tmp_path: Path, called: Path
) -> None:
    done = run_script(script, **(WHERE | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}))
    assert done.returncode == 2
    assert "YES=1" in done.stderr
    assert not called.exists()


@pytest.mark.parametrize(("answer", "goes_on"), [("y", True), ("n", False), ("", False)])
def test_who_is_asked_decides(answer: str, goes_on: bool, tmp_path: Path) -> None:
    if shutil.which("script") is None:
        pytest.skip("needs script(1), for a terminal")
    called = tmp_path / "called"
    gcloud = tmp_path / "gcloud"
    gcloud.write_text(f"#!/bin/sh\ntouch {called}\n")
    gcloud.chmod(0o755)
    subprocess.run(
        ["script", "--quiet", "--command", str(INFRA / "traffic.sh"), "/dev/null"],
        env=WHERE | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        input=f"{answer}\n",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert called.exists() is goes_on


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    made = [
        line
        for script in ("bootstrap", "launch_gpu", "launch_tpu")
        for line in second_run(
            tmp_path / script, script, REPOSITORY="https://github.com/o/r.git", GITHUB_APP="1"
        )
        if " create " in line
    ]
    # This one answers with the account that there is.
    assert [line.split()[1:5] for line in made] == [["beta", "services", "identity", "create"]]


def test_bootstrap_makes_what_a_deployment_needs() -> None:
    lines = dry_run("bootstrap")
    bucket = the_line(lines, "gcloud storage buckets create")
    assert "--uniform-bucket-level-access" in bucket
    assert "--public-access-prevention" in bucket
    update = the_line(lines, "gcloud storage buckets update")
    assert "--versioning" in update
    for option in ("--lifecycle-file=", "--cors-file="):
        assert option in update
    assert the_line(lines, "gcloud artifacts repositories create")
    trigger = the_line(lines, "gcloud builds triggers create github")
    assert "serviceAccounts/lookalike-deploy@shop-1.iam.gserviceaccount.com" in trigger
    assert "--build-config=cloudbuild.yaml" in trigger
    assert the_line(lines, "gcloud billing budgets create")
    policies = [line for line in lines if "policies create" in line]
    assert len(policies) == 5


def test_every_file_that_a_command_names_is_there() -> None:
    for script in SCRIPTS:
        for line in dry_run(script):
            for word in shlex.split(line):
                if "infra/" in word:
                    assert (REPOSITORY / word.rpartition("=")[2]).is_file(), word


def test_without_a_repository_there_is_no_trigger(tmp_path: Path) -> None:
    assert not [line for line in second_run(tmp_path, "bootstrap") if "gcloud builds" in line]


@pytest.mark.parametrize("script", ["launch_gpu", "launch_tpu"])
def test_a_machine_is_told_what_to_train(script: str) -> None:
    lines = dry_run(script, "--steps", "10", "--loss", "arcface", RUN="first", CATALOG="gs://c/d")
    create = next(line for line in lines if " create " in line)
    metadata = next(word for word in shlex.split(create) if word.startswith("--metadata="))
    pairs = metadata.removeprefix("--metadata=^|^").split("|")
    parts = dict(pair.split("=", 1) for pair in pairs)
    assert parts["run"] == "gs://shop-1-looks/runs/first"
    assert parts["catalog"] == "gs://c/d"
    assert parts["options"] == "--steps 10 --loss arcface"
    assert parts["extra"] in ("cuda", "tpu")
    assert (REPOSITORY / f"requirements-{parts['extra']}.lock").exists()
    assert "--service-account=lookalike-train@shop-1.iam.gserviceaccount.com" in create
    assert "--spot" in create or "--provisioning-model=SPOT" in create


def test_teardown_keeps_the_bucket_unless_it_is_told_to(tmp_path: Path) -> None:
    kept = second_run(tmp_path / "kept", "teardown")
    assert not [line for line in kept if "storage rm" in line]
    assert [line for line in kept if "run services delete" in line]
    gone = second_run(tmp_path / "gone", "teardown", DELETE_BUCKET="1")
    assert the_line(gone, "gcloud storage rm gs://shop-1-looks")
