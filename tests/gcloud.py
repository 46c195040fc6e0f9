"""The scripts of infra/ without a cloud: what they would call, and what the real gcloud says."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
INFRA = REPOSITORY / "infra"

# What the scripts read, so that nothing of this machine's environment reaches them.
WHERE = {
    "PROJECT_ID": "shop-1",
    "REGION": "europe-west1",
    "BUCKET": "shop-1-looks",
    "BILLING_ACCOUNT": "000000-AAAAAA-BBBBBB",
}
SCRIPTS = ("bootstrap", "deploy", "traffic", "launch_gpu", "launch_tpu", "teardown")


def run_script(
    script: str, *options: str, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run infra/<script>.sh with these variables, and of this process's with PATH alone."""
    return subprocess.run(
        [INFRA / f"{script}.sh", *options],
        env={"PATH": os.environ["PATH"], **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def dry_run(script: str, *options: str, **environment: str) -> list[str]:
    """The command lines that a script would call."""
    done = run_script(script, *options, DRY_RUN="1", **(WHERE | environment))
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def second_run(folder: Path, script: str, **environment: str) -> list[str]:
    """The command lines of a script where everything is there already.

    They are taken down by a gcloud that finds whatever it is asked for: no more than that.
    """
    folder.mkdir(parents=True, exist_ok=True)
    calls = folder / "calls"
    calls.touch()
    found = folder / "gcloud"
    found.write_text(f'#!/bin/bash\nprintf "%s\\0" "$@" >>{calls}\necho >>{calls}\necho FOUND\n')
    found.chmod(0o755)
    # What a launch script packs is not looked at.
    (folder / "git").write_text("#!/bin/sh\n")
    (folder / "git").chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    done = run_script(script, YES="1", **(WHERE | {"PATH": path} | environment))
    assert done.returncode == 0, done.stderr
    words = (line.split("\0")[:-1] for line in calls.read_text().splitlines())
    return [shlex.join(["gcloud", *line]) for line in words]


def options(line: str) -> dict[str, str]:
    """The --name=value options of a command line; "" where there is no value."""
    words = [word for word in shlex.split(line) if word.startswith("--")]
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def the_line(lines: Iterable[str], start: str) -> str:
    """The one line that begins like this."""
    (line,) = [line for line in lines if line.startswith(start)]
    return line


def need_gcloud() -> None:
    """Skip where there is none."""
    if shutil.which("gcloud") is None:
        pytest.skip("needs gcloud, to check its command lines")


def gcloud_environment(folder: Path, **more: str) -> Mapping[str, str]:
    """For a real gcloud that knows nobody and asks nothing; `folder` keeps its configuration."""
    return {
        **os.environ,
        "CLOUDSDK_CONFIG": str(folder / "configuration"),
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
        **more,
    }


def lint(lines: Iterable[str], folder: Path) -> dict[str, str]:
    """What the installed gcloud finds wrong with command lines; it needs no network, no login.

    Returns:
        The complaint of each line that is not right.
    """
    need_gcloud()
    wanted = list(dict.fromkeys(lines))
    # What follows a # is not looked at.
    assert not [line for line in wanted if "#" in line]
    commands = folder / "commands.json"
    commands.write_text(json.dumps([{"command_string": line} for line in wanted]))
    done = subprocess.run(
        ["gcloud", "meta", "lint-gcloud-commands", f"--commands-file={commands}"],
        env=gcloud_environment(folder),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    try:
        # It exits with 0 whatever it found.
        results: list[dict[str, Any]] = json.loads(done.stdout)
    except ValueError:
        pytest.fail(done.stderr)
    assert len(results) == len(wanted)
    return {
        item["command_string"]: item["error_message"] for item in results if not item["success"]
    }


def manual_commands() -> list[str]:
    """The gcloud lines of the manuals, their variables filled in."""
    lines = []
    for manual in (INFRA / "README.md", REPOSITORY / "README.md"):
        blocks = re.findall(r"```bash\n(.*?)```", manual.read_text(), re.DOTALL)
        for line in "\n".join(blocks).splitlines():
            if line.startswith("gcloud "):
                for name, value in WHERE.items():
                    line = re.sub(rf"\${name}\b", value, line)
                lines.append(line.partition(" #")[0])
    return lines


def check_schema(file: Path, name: str) -> None:
    """Hold a file against one of the schemas that check-jsonschema brings."""
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", name, str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
