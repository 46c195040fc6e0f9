"""Schemathesis holds the real server to its OpenAPI document.

All its checks but one: that what fits the schema is accepted. Whether bytes are a photo no schema
can say; the tests of the app send real ones.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from function.release import IMAGES
from tests.releases import PRODUCTS, TinyRelease
from tests.server import RunningFunction

pytestmark = pytest.mark.slow

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
            f"{running_function.url}/openapi.json",
            f"--max-examples={EXAMPLES}",
            "--no-color",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert (
        f"{len(json.loads(running_function.get('/openapi.json').body)['paths'])} total"
        in run.stdout
    )
