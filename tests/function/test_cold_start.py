"""A cold start imports what answering needs and nothing else: each package costs every start."""

import json
import os
import subprocess
import sys
from pathlib import Path

import function
from tests.releases import TinyRelease

ANSWERING = {"PIL", "multipart", "numpy", "openvino", "prometheus_client", "simplejpeg"}
# Flask, its parts, cloudevents, and google.cloud.functions, which is the framework's own. ScaNN is
# for trees, which a process of its own searches.
FRAMEWORK = {
    "blinker", "click", "cloudevents", "deprecation", "flask", "functions_framework", "google",
    "gunicorn", "itsdangerous", "jinja2", "markupsafe", "packaging", "werkzeug",
}  # fmt: skip

START = """
import json, sys, time
from functions_framework import create_app
client = create_app("lookalike", sys.argv[1]).test_client()
deadline = time.monotonic() + 60
while client.get("/health/ready").status_code != 200 and time.monotonic() < deadline:
    time.sleep(0.02)
loaded = [name for name, module in sys.modules.items() if getattr(module, "__file__", None)]
print(json.dumps([client.get("/health/ready").status_code, loaded]))
"""


def test_what_is_loaded_when_it_is_ready_is_on_this_list(tiny_release: TinyRelease) -> None:
    source = Path(function.__file__).with_name("main.py")
    done = subprocess.run(
        [sys.executable, "-c", START, str(source)],
        env=os.environ | {"LOOKALIKE_ROOT": str(tiny_release.root)},
        cwd=source.parent,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    status, loaded = json.loads(done.stdout.splitlines()[-1])
    assert status == 200, done.stdout
    packages = {name.partition(".")[0] for name in loaded}
    # A leading underscore: helpers that an installer's or a compiler's own code registers.
    foreign = {
        name
        for name in packages - set(sys.stdlib_module_names) - {"main"}
        if not name.startswith("_")
    }
    assert foreign <= ANSWERING | FRAMEWORK
    # OpenVINO's converter takes half of its import.
    assert not [name for name in loaded if name.startswith("openvino.tools")]
    # Google's storage client is for gs:// roots alone.
    assert not [name for name in loaded if name.startswith(("google.cloud.storage", "google.auth"))]
