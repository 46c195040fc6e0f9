"""Every gcloud command line there is, as the installed gcloud sees it."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from tests.gcloud import REPOSITORY, SCRIPTS, dry_run, lint, manual_commands, options, second_run

# What is only called where these are set.
CHOICES = {
    "ALERT_EMAIL": "ops@shop.example",
    "SOURCE_BUCKETS": "other-photos more-photos",
    "API_KEYS": "lookalike-keys",
    "CORS_ORIGINS": "https://a.example,https://b.example",
    "RUN": "first",
}


def build_commands() -> list[str]:
    """Those that the build file calls itself, and not through a script."""
    text = "\n".join(
        str(item)
        for step in yaml.safe_load((REPOSITORY / "cloudbuild.yaml").read_text())["steps"]
        for item in step["args"]
    )
    return re.findall(r"^\s*(gcloud .*)$", text, re.MULTILINE)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """All of them, of first and second runs, with and without what may be chosen."""
    found = [*manual_commands(), *build_commands()]
    for script in SCRIPTS:
        folder = tmp_path_factory.mktemp(script)
        found += dry_run(script, *(("--steps", "10") if "launch" in script else ()))
        found += dry_run(script, **CHOICES)
        found += second_run(folder, script, **CHOICES)
    return list(dict.fromkeys(found))


def shape(line: str) -> tuple[object, ...]:
    """The command without its values: what gcloud may not know of it."""
    return (*shlex.split(line)[1:4], frozenset(options(line)))


def test_gcloud_knows_every_command_and_every_option(lines: list[str], tmp_path: Path) -> None:
    of_each_shape = {shape(line): line for line in lines}.values()
    assert len(of_each_shape) > 50
    # What is wrong is noticed among them.
    wrong = "gcloud run services describe lookalike --regoin=europe-west1"
    assert list(lint([*of_each_shape, wrong], tmp_path)) == [wrong]


@pytest.mark.slow
def test_gcloud_takes_every_line_that_is_ever_called(lines: list[str], tmp_path: Path) -> None:
    assert len(lines) > 100
    assert lint(lines, tmp_path) == {}
