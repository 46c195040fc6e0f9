"""Alerts, log metrics and dashboard: of Google's own form, and over what there is to see."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from google.cloud import monitoring_dashboard_v1, monitoring_v3
from google.protobuf import json_format

from tests.answers import PHOTO
from tests.gcloud import INFRA
from tests.releases import TinyRelease
from tests.server import RunningFunction, run_function

ALERTS = sorted((INFRA / "monitoring" / "alerts").glob("*.json"))
METRICS = sorted((INFRA / "monitoring" / "metrics").glob("*.json"))
DASHBOARD = INFRA / "monitoring" / "dashboard.json"

# Those of Cloud Run that are used, as its list of metrics names them.
CLOUD_RUN = {
    f"run.googleapis.com/{name}"
    for name in (
        "request_count",
        "request_latencies",
        "container/billable_instance_time",
        "container/cpu/utilizations",
        "container/instance_count",
        "container/memory/utilizations",
        "container/startup_latencies",
    )
}


def filters(value: Any) -> list[str]:
    """All filters, however deep."""
    if isinstance(value, dict):
        own = [text for key, text in value.items() if key in ("filter", "denominatorFilter")]
        return own + [text for item in value.values() for text in filters(item)]
    return [text for item in value for text in filters(item)] if isinstance(value, list) else []


@pytest.mark.parametrize("file", ALERTS, ids=lambda file: file.stem)
def test_an_alert_is_googles_own_message(file: Path) -> None:
    content = json.loads(file.read_text())
    message = json_format.ParseDict(
        content, monitoring_v3.AlertPolicy.pb(monitoring_v3.AlertPolicy())
    )
    assert message.display_name.startswith("Lookalike: ")
    assert message.documentation.content
    (condition,) = message.conditions
    assert condition.WhichOneof("condition") in ("condition_threshold", "condition_matched_log")


def test_the_dashboard_is_googles_own_message() -> None:
    content = json.loads(DASHBOARD.read_text())
    message = json_format.ParseDict(
        content, monitoring_dashboard_v1.Dashboard.pb(monitoring_dashboard_v1.Dashboard())
    )
    tiles = message.mosaic_layout.tiles
    covered = {
        (x, y)
        for tile in tiles
        for x in range(tile.x_pos, tile.x_pos + tile.width)
        for y in range(tile.y_pos, tile.y_pos + tile.height)
    }
    # No tile lies on another, and none leaves the columns.
    assert len(covered) == sum(tile.width * tile.height for tile in tiles)
    assert max(x for x, _ in covered) < message.mosaic_layout.columns


def test_every_metric_that_is_looked_at_exists() -> None:
    ours = {f"logging.googleapis.com/user/{file.stem}" for file in METRICS}
    used = set()
    for file in (*ALERTS, DASHBOARD):
        for text in filters(json.loads(file.read_text())):
            assert 'resource.labels.service_name="lookalike"' in text
            used |= set(re.findall(r'metric\.type="([^"]+)"', text))
    assert used == CLOUD_RUN | ours


def test_the_manual_lists_every_alert() -> None:
    manual = (INFRA / "README.md").read_text()
    assert len(ALERTS) == 5
    for file in ALERTS:
        title = json.loads(file.read_text())["displayName"].removeprefix("Lookalike: ")
        assert f"| {title} |" in manual


def has(line: dict[str, Any], path: str) -> bool:
    value: Any = line
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
    return True


def matches(line: dict[str, Any], text: str) -> bool:
    """What a filter of ours says of a line that the function wrote.

    The platform takes severity and httpRequest out of the line; the rest becomes jsonPayload.
    """
    for term in text.split(" AND "):
        if term.startswith("resource."):
            continue
        negated, term = term.startswith("NOT "), term.removeprefix("NOT ")
        if term == "severity=ERROR":
            found = line["severity"] == "ERROR"
        else:
            path = re.fullmatch(r"(?:jsonPayload\.)?([A-Za-z.]+):\*", term)
            assert path, term
            found = has(line, path[1])
        if found is negated:
            return False
    return True


def log_filter(name: str) -> str:
    (text,) = filters(json.loads((INFRA / "monitoring" / f"{name}.json").read_text()))
    return text


def test_the_log_metrics_find_the_lines_of_searches_and_refusals(
    running_function: RunningFunction,
) -> None:
    running_function.search(PHOTO)
    running_function.search(b"no photo")
    lines = running_function.log_lines()
    for stage in ("queue", "embed"):
        found = [x for x in lines if matches(x, log_filter(f"metrics/lookalike_{stage}_ms"))]
        assert found
        assert all(isinstance(line["timingsMs"][stage], float) for line in found)
    refused = [x for x in lines if matches(x, log_filter("metrics/lookalike_refusals"))]
    assert "IMAGE_TYPE_UNSUPPORTED" in {line["reason"] for line in refused}
    assert not [x for x in lines if matches(x, log_filter("alerts/function"))]


def test_the_alert_of_the_function_finds_a_release_that_cannot_be_loaded(
    tiny_release: TinyRelease, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "current.json").write_text(json.dumps({"release_id": "none"}))
    with run_function(tmp_path / "log.txt", root=str(root)) as running:
        assert running.search(PHOTO).status == 503
        found = [x for x in running.log_lines() if matches(x, log_filter("alerts/function"))]
    assert found
    assert "No release was loaded" in found[0]["message"]
