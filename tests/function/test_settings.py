"""Every setting has a name, a default and a help line; a bad value is named."""

from dataclasses import fields
from pathlib import Path

import pytest

from function.settings import BadSetting, Settings, describe, variable

README = Path(__file__).resolve().parents[2] / "README.md"

GOOD = {
    "root": ("gs://shop/lookalike", "gs://shop/lookalike"),
    "database": ("postgresql://u:secret@db/shop", "postgresql://u:secret@db/shop"),
    "engine": ("jax", "jax"),
    "cache_dir": ("/tmp/releases", Path("/tmp/releases")),  # noqa: S108 - only parsed
    "loading_wait_seconds": ("0.5", 0.5),
    "release_check_seconds": ("0", 0.0),
    "max_running": ("3", 3),
    "max_waiting": ("7", 7),
    "deadline_seconds": ("2.5", 2.5),
    "metrics": ("off", False),
    "max_body_bytes": ("1000", 1000),
    "max_image_bytes": ("900", 900),
    "max_image_pixels": ("12000000", 12_000_000),
    "decoding": ("thread", "thread"),
    "cors_origins": (
        "https://shop.example, http://localhost:3000",
        ("https://shop.example", "http://localhost:3000"),
    ),
    "api_keys": ("/secrets/keys", Path("/secrets/keys")),
    "source_buckets": ("photos,more-photos", ("photos", "more-photos")),
    "image_base_url": ("https://cdn.example/images/", "https://cdn.example/images"),
    "image_hosts": (
        "*.shop.example,https://cdn.example:8443",
        ("*.shop.example", "https://cdn.example:8443"),
    ),
    "branding": ("/etc/branding.toml", Path("/etc/branding.toml")),
}

BAD = {
    "engine": ["torch", "OpenVINO"],
    "loading_wait_seconds": ["soon", "-1", "nan", "inf"],
    "metrics": ["yes", "ON"],
    "max_body_bytes": ["0", "-5", "20MB", "1.5"],
    "max_image_pixels": ["٣"],
    "decoding": ["fork"],
    "cors_origins": ["shop.example", "https://shop.example/path", "ftp://shop.example", "https://"],
    "image_base_url": ["cdn.example"],
    "image_hosts": [
        "cdn.example/images",
        "a.example; script-src *",
        "data:",
        "ftp://a.example",
    ],
}


@pytest.mark.parametrize("name", [item.name for item in fields(Settings)])
def test_each_setting_is_read_from_its_variable(name: str) -> None:
    text, value = GOOD[name]
    settings = Settings.from_environment({variable(name): text})
    assert getattr(settings, name) == value
    assert value != getattr(Settings(), name)


@pytest.mark.parametrize(("name", "text"), [(n, t) for n, texts in BAD.items() for t in texts])
def test_a_bad_value_is_named_with_what_was_expected(name: str, text: str) -> None:
    with pytest.raises(BadSetting, match=rf"{variable(name)}: expected .*; found '"):
        Settings.from_environment({variable(name): text})


def test_absent_and_empty_variables_leave_the_defaults() -> None:
    empty = {variable(item.name): "  " for item in fields(Settings)}
    assert Settings.from_environment(empty) == Settings.from_environment({}) == Settings()


def test_photo_limits_follow_the_settings() -> None:
    limits = Settings(max_image_bytes=5, max_image_pixels=6).photo_limits
    assert (limits.max_bytes, limits.max_pixels) == (5, 6)


def test_every_setting_is_described_and_documented() -> None:
    described = describe()
    assert [name for name, _, _ in described] == [variable(f.name) for f in fields(Settings)]
    documentation = README.read_text()
    for name, default, help_line in described:
        assert len(help_line) > 10
        row = f"| `{name}` | {f'`{default}`' if default else ''} | {help_line} |"
        assert row in documentation, f"README.md lacks the line: {row}"


def test_the_database_is_not_told() -> None:
    settings = Settings.from_environment({variable("database"): "postgresql://u:secret@db/shop"})
    assert "secret" not in repr(settings)
