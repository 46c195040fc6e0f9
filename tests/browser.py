"""A real browser over the demo page."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--no-first-run",
)


# While Playwright runs, asyncio counts as running in this thread, and Orbax could not run: so the
# browser lives no longer than the module that needs it.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium: the one that $CHROMIUM names, the system's, or Playwright's own."""
    with sync_playwright() as playwright:
        system = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
        path = system or playwright.chromium.executable_path
        if not Path(path).exists():
            pytest.skip("needs Chromium: install it, or say where it is in $CHROMIUM")
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        # A machine that is busy with other tests is slow, and that is no failure.
        expect.set_options(timeout=20_000)
        yield browser
        browser.close()
