"""Schemathesis holds the real server to its OpenAPI document.

All its checks but one: that what fits the schema is accepted. Whether bytes are a photo no schema
can say; the tests of the app send real ones.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from function.release import IMAGES
from tests.releases import PRODUCTS, TinyRelease
from tests.server import RunningFunction, run_function

pytestmark = pytest.mark.slow

KEY = "open sesame"
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "25")

# Without these, all that it asks for is missing.
CONFIGURATION = """
continue-on-failure = true
[dictionaries]
products.values = {products}
images.values = {images}
[parameters]
"path.id" = {{ dictionary = "products", probability = 0.5 }}
"path.sha256" = {{ dictionary = "images", probability = 0.5 }}
[checks]
positive_data_acceptance.enabled = false
# Such an address may also be that of a product whose id ends so: GET is allowed there, too.
[[operations]]
include-path = "/v1/products/{{id}}:similar"
checks.allow_header_conformance.enabled = false
[warnings]
fail-on = {warnings}
"""

# All that mean a part of the API is not reached, but those that mean again that what fits the
# schema is refused: photos, filters and masks are.
WARNINGS = [
    *("missing_auth", "missing_test_data", "missing_deserializer", "unsupported_regex"),
    *("method_not_allowed", "unresolvable_reference", "dictionary_mismatch", "rate_limited"),
]


def test_schemathesis_finds_nothing(
    running_function: RunningFunction, tiny_release: TinyRelease, tmp_path: Path
) -> None:
    explore(running_function, tiny_release, tmp_path)


def test_nor_where_access_keys_are_asked_for(tiny_release: TinyRelease, tmp_path: Path) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text(f"tester {hashlib.sha256(KEY.encode()).hexdigest()}\n")
    root = str(tiny_release.root)
    with run_function(tmp_path / "log.txt", root=root, api_keys=str(keys)) as running:
        running.wait_until_ready()
        assert running.get("/v1/index").status == 401
        explore(running, tiny_release, tmp_path, f"--header=X-Api-Key: {KEY}")
        # The key was read wherever one is asked for.
        counted = running.get("/metrics", **{"X-Api-Key": KEY}).body
        assert b'lookalike_key_requests_total{key="tester"}' in counted


def explore(
    running: RunningFunction, tiny_release: TinyRelease, tmp_path: Path, *options: str
) -> None:
    """Hold a server to its document, with further options of Schemathesis."""
    images = [file.stem for file in (tiny_release.root / IMAGES).glob("*.jpg")]
    products = [f"p{number}" for number in range(PRODUCTS)]
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(
        CONFIGURATION.format(
            products=json.dumps(products),
            images=json.dumps(images),
            warnings=json.dumps(WARNINGS),
        )
    )
    run = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            f"--config-file={configuration}",
            "run",
            f"{running.url}/openapi.json",
            f"--max-examples={EXAMPLES}",
            "--no-color",
            *options,
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{len(json.loads(running.get('/openapi.json').body)['paths'])} total" in run.stdout
