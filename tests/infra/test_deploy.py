"""deploy.sh: how an instance is shaped, and which revision gets traffic."""

from pathlib import Path

import pytest

from function.settings import Settings
from tests.gcloud import dry_run, options, run_script, second_run, the_line

# What Cloud Run gives an instance to finish what it has begun.
SECONDS_FROM_SIGTERM_TO_SIGKILL = 10


def the_deployment(**environment: str) -> dict[str, str]:
    return options(the_line(dry_run("deploy", **environment), "gcloud run deploy lookalike "))


def variables(deployment: dict[str, str]) -> dict[str, str]:
    mark, *pairs = deployment["--update-env-vars"].removeprefix("^").split("|")[1:]
    assert mark.startswith("^")
    return dict(pair.split("=", 1) for pair in [mark.removeprefix("^"), *pairs])


def test_it_serves_the_root_with_as_many_threads_as_requests() -> None:
    deployment = the_deployment(ROOT="gs://shop-1/looks")
    assert deployment["--function"] == "lookalike"
    assert deployment["--source"] == "function"
    assert variables(deployment) == {
        "LOOKALIKE_ROOT": "gs://shop-1/looks",
        "THREADS": deployment["--concurrency"],
    }


def test_it_leaves_threads_to_those_who_need_not_wait_for_a_search() -> None:
    deployment = the_deployment()
    expected = Settings(max_running=int(deployment["--cpu"])).threads
    assert int(deployment["--concurrency"]) == expected


def test_the_platform_waits_longer_than_a_search_may_take() -> None:
    assert int(the_deployment()["--timeout"]) > Settings().deadline_seconds
    assert Settings().deadline_seconds < SECONDS_FROM_SIGTERM_TO_SIGKILL


def test_requests_go_only_to_an_instance_whose_release_is_loaded() -> None:
    probe = dict(item.split("=") for item in the_deployment()["--startup-probe"].split(","))
    assert probe["httpGet.path"] == "/health/ready"
    # Cloud Run refuses a probe that takes longer than four minutes in all.
    assert int(probe["periodSeconds"]) * int(probe["failureThreshold"]) <= 240
    assert int(probe["timeoutSeconds"]) <= int(probe["periodSeconds"])


def test_origins_and_keys_that_are_not_given_stay_as_they_are() -> None:
    unsaid = the_deployment()
    assert set(variables(unsaid)) == {"LOOKALIKE_ROOT", "THREADS"}
    assert "--update-secrets" not in unsaid
    said = the_deployment(CORS_ORIGINS="https://a.example,https://b.example")
    assert variables(said)["LOOKALIKE_CORS_ORIGINS"] == "https://a.example,https://b.example"


def test_the_secret_of_the_keys_is_mounted_where_the_function_reads_them() -> None:
    deployment = the_deployment(API_KEYS="shop-keys", CORS_ORIGINS="https://a.example")
    path, mounted = deployment["--update-secrets"].split("=")
    assert mounted == "shop-keys:latest"
    assert variables(deployment)["LOOKALIKE_API_KEYS"] == path


def test_a_later_revision_gets_a_tag_and_no_traffic(tmp_path: Path) -> None:
    lines = second_run(tmp_path, "deploy", TAG="c123")
    deployment = options(the_line(lines, "gcloud run deploy "))
    assert "--no-traffic" in deployment
    assert deployment["--tag"] == "c123"
    assert not [line for line in lines if "update-traffic" in line]


def test_traffic_follows_the_tag_which_then_goes() -> None:
    first, second = dry_run("traffic", TAG="c123")
    assert options(first)["--to-tags"] == "c123=100"
    assert options(second)["--remove-tags"] == "c123"


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({}, "PROJECT_ID is not set"),
        ({"PROJECT_ID": "shop-1"}, "REGION is not set"),
        ({"PROJECT_ID": "shop-1", "REGION": "r"}, "found ''"),
        ({"PROJECT_ID": "shop-1", "REGION": "r", "ROOT": "release"}, "found 'release'"),
    ],
)
def test_it_says_what_is_wrong_and_deploys_nothing(
    environment: dict[str, str], complaint: str
) -> None:
    done = run_script("deploy", DRY_RUN="1", **environment)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert done.stdout == ""
