"""What the page may do: its Content-Security-Policy, as the settings make it."""

from pathlib import Path

import pytest

from function.routes.page import content_security_policy
from tests.server import RunningFunction, run_function

STRICT = {
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "connect-src": ["'self'"],
    "base-uri": ["'none'"],
    "form-action": ["'none'"],
    "frame-ancestors": ["'self'"],
    "require-trusted-types-for": ["'script'"],
    "trusted-types": ["'none'"],
}


def read(policy: str) -> dict[str, list[str]]:
    parts = [part.split() for part in policy.split(";")]
    return {name: sources for name, *sources in parts}


@pytest.mark.parametrize("path", ["/", "/web/main.js"])
def test_the_page_may_do_nothing_but_what_it_needs(
    running_function: RunningFunction, path: str
) -> None:
    policy = read(running_function.get(path).headers["Content-Security-Policy"])
    # A shop whose pictures lie elsewhere sees them without setting anything.
    assert policy == {**STRICT, "img-src": ["'self'", "data:", "blob:", "*"]}


def test_pictures_come_from_the_hosts_that_the_settings_name_and_no_others(tmp_path: Path) -> None:
    branding = tmp_path / "branding.toml"
    branding.write_text('logo = "https://logos.example/shop.svg"')
    settings = {
        "image_hosts": "*.shop.example, https://photos.example:8443",
        "image_base_url": "https://cdn.example/shop/images",
        "branding": str(branding),
    }
    with run_function(tmp_path / "log.txt", root=str(tmp_path), **settings) as running:
        policy = read(running.get("/").headers["Content-Security-Policy"])
    hosts = ["*.shop.example", "https://photos.example:8443"]
    own = ["https://cdn.example", "https://logos.example"]
    assert policy == {**STRICT, "img-src": ["'self'", "data:", "blob:", *hosts, *own]}


@pytest.mark.parametrize("logo", ["", "/web/icon.svg", "logo.png", "data:image/png;base64,AAAA"])
def test_a_logo_that_names_no_host_allows_none(logo: str) -> None:
    assert read(content_security_policy((), [logo]))["img-src"] == ["'self'", "data:", "blob:"]
