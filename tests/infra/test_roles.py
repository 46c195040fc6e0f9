"""The roles that accounts get: these and no others, in scripts and manuals."""

import re
import shlex

from tests.gcloud import INFRA, REPOSITORY, dry_run, manual_commands, options

ALLOWED = {
    "storage.objectViewer", "storage.objectUser", "secretmanager.secretAccessor", "run.invoker",
    "run.sourceDeveloper", "run.builder", "serviceusage.serviceUsageConsumer",
    "logging.logWriter", "iam.serviceAccountUser",
}  # fmt: skip
ACCOUNT = "serviceAccount:lookalike{}@shop-1.iam.gserviceaccount.com"
BUCKET = "gs://shop-1-looks"


def test_no_other_role_is_named_anywhere() -> None:
    texts = [*INFRA.rglob("*.sh"), INFRA / "README.md", REPOSITORY / "README.md"]
    texts.append(REPOSITORY / "cloudbuild.yaml")
    named = {
        role
        for path in texts
        for role in re.findall(r"roles/([A-Za-z.]+[A-Za-z])", path.read_text())
    }
    lines = [*dry_run("bootstrap", SOURCE_BUCKETS="other"), *manual_commands()]
    given = {options(line)["--role"].removeprefix("roles/") for line in lines if "--role" in line}
    assert given == ALLOWED
    assert named <= ALLOWED


def test_bootstrap_gives_each_account_what_the_manual_lists() -> None:
    given = set()
    for line in dry_run("bootstrap", SOURCE_BUCKETS="other"):
        if "add-iam-policy-binding" in line:
            words = shlex.split(line)
            on = words[words.index("add-iam-policy-binding") + 1]
            found = options(line)
            given.add((found["--member"], found["--role"].removeprefix("roles/"), on))
    function, build, deploy, train = (
        ACCOUNT.format(name) for name in ("", "-build", "-deploy", "-train")
    )
    agent = "serviceAccount:service-PROJECT_NUMBER@gcp-sa-cloudbuild.iam.gserviceaccount.com"
    assert given == {
        (function, "storage.objectViewer", BUCKET),
        (function, "storage.objectViewer", "gs://other"),
        (build, "run.builder", "shop-1"),
        (deploy, "run.sourceDeveloper", "shop-1"),
        (deploy, "serviceusage.serviceUsageConsumer", "shop-1"),
        (deploy, "logging.logWriter", "shop-1"),
        (deploy, "iam.serviceAccountUser", function.partition(":")[2]),
        (deploy, "storage.objectViewer", BUCKET),
        (train, "storage.objectUser", BUCKET),
        (train, "logging.logWriter", "shop-1"),
        (agent, "secretmanager.secretAccessor", "lookalike-github"),
    }


def test_the_manual_lists_every_role_that_is_given() -> None:
    table = (INFRA / "README.md").read_text().partition("## Roles")[2].partition("\n## ")[0]
    assert {role for role in ALLOWED if f"`{role}`" in table} == ALLOWED
