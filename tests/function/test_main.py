"""The entry point may be imported before a fork: it loads nothing that starts a thread."""

import subprocess
import sys

HEAVY = (
    "jax",
    "jaxlib",
    "openvino",
    "scann",
    "google.cloud.storage",
    "google.auth",
    "tensorflow",
    "psycopg",
)

CHECK = f"""
import sys, threading
import function.main
found = [name for name in {HEAVY!r} if name in sys.modules]
assert not found, found
assert threading.active_count() == 1, threading.enumerate()
"""


def test_importing_it_loads_nothing_that_may_not_be_forked() -> None:
    subprocess.run([sys.executable, "-c", CHECK], check=True, timeout=60)


def test_a_bad_setting_ends_the_server_with_its_name() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "import function.main"],
        env={"LOOKALIKE_ENGINE": "steam"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode
    assert "LOOKALIKE_ENGINE: expected openvino or jax; found 'steam'" in ended.stderr
