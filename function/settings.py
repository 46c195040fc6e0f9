"""Environment variables to one frozen dataclass: every setting has a name, a default, a help line.

A field `max_body_bytes` is read from LOOKALIKE_MAX_BODY_BYTES; an empty variable counts as absent.
"""

import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .photo import DEFAULT_LIMITS, PhotoLimits
from .processor import usable_processors

PREFIX = "LOOKALIKE_"
HERE = Path(__file__).parent

# A host as Content-Security-Policy writes it: nothing in it can begin another source or directive.
_HOST = re.compile(
    r"(https?://)?(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*(:[0-9]{1,5})?", re.ASCII | re.IGNORECASE
)

# Of the server, beside those that searches hold: for health checks, pages, uploads and refusals.
SPARE_THREADS = 6


class BadSetting(ValueError):
    """An environment variable holds something else than it must."""


def _from[T](read: Callable[[str], T], help_line: str) -> dict[str, object]:
    return {"read": read, "help": help_line}


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise BadSetting("a whole number of at least 1")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 3600:
        raise BadSetting("seconds, 0 to 3600")
    return value


def _switch(text: str) -> bool:
    if text not in ("on", "off"):
        raise BadSetting("on or off")
    return text == "on"


def _engine(text: str) -> str:
    if text not in ("openvino", "jax"):
        raise BadSetting("openvino or jax")
    return text


def _decoding(text: str) -> str:
    if text not in ("process", "thread"):
        raise BadSetting("process or thread")
    return text


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def parse_origins(text: str) -> tuple[str, ...]:
    """Read origins, separated by commas; BadSetting says what was expected."""
    origins = _list(text)
    for origin in origins:
        scheme, _, host = origin.partition("://")
        if origin != "*" and (scheme not in ("http", "https") or not host or "/" in host):
            raise BadSetting("origins like https://shop.example, with no path")
    return origins


def _hosts(text: str) -> tuple[str, ...]:
    hosts = _list(text)
    if not all(host == "*" or _HOST.fullmatch(host) for host in hosts):
        raise BadSetting("hosts like img.shop.example, *.shop.example or https://cdn.example, or *")
    return hosts


def _url(text: str) -> str:
    if not text.startswith(("https://", "http://")):
        raise BadSetting("an address that starts with https:// or http://")
    return text.rstrip("/")


@dataclass(frozen=True)
class Settings:
    """What an operator may choose. `root` alone has no useful default."""

    root: str = field(
        default="", metadata=_from(str, "where releases lie: a folder or gs://bucket/prefix")
    )
    database: str = field(
        default="",
        repr=False,
        metadata=_from(
            str,
            "the PostgreSQL that holds the rows of releases published with --index, as "
            "postgresql://user:password@host/name; several hosts with commas between them, and "
            "?target_session_attrs=prefer-standby&load_balance_hosts=random, send reads to "
            "replicas. A secret",
        ),
    )
    engine: str = field(
        default="openvino",
        metadata=_from(_engine, "what runs the network: openvino, or jax (GPUs, and for parity)"),
    )
    cache_dir: Path = field(
        default=Path(tempfile.gettempdir()) / "lookalike",
        metadata=_from(
            Path,
            "where files of a release on gs:// are kept, all but OpenVINO's program; the default "
            "is in memory on Cloud Run",
        ),
    )
    loading_wait_seconds: float = field(
        default=5.0,
        metadata=_from(
            _seconds, "how long a request waits for a release that still loads, then answers 503"
        ),
    )
    release_check_seconds: float = field(
        default=60.0,
        metadata=_from(
            _seconds,
            "how often, at most, a request has a thread look for another release and load it "
            "beside the one that serves; 0 never looks. Between requests Cloud Run stops that "
            "thread, unless --no-cpu-throttling is set",
        ),
    )
    max_running: int | None = field(
        default=None,
        metadata=_from(
            _whole, "searches that compute at once; without it, as many as there are processors"
        ),
    )
    max_waiting: int = field(
        default=16,
        metadata=_from(
            _whole, "searches that wait for these; one more is answered 429 with Retry-After"
        ),
    )
    # Less than the ten seconds that the platform leaves an instance to finish what it began.
    deadline_seconds: float = field(
        default=8.0,
        metadata=_from(
            _seconds,
            "how long a search may take once its upload is read, waiting included, then it is "
            "answered 504",
        ),
    )
    metrics: bool = field(
        default=True, metadata=_from(_switch, "on or off: whether /metrics answers")
    )
    max_body_bytes: int = field(
        default=28_000_000,
        metadata=_from(
            _whole, "largest request; Cloud Run ends at 32 MB, base64 makes a photo a third larger"
        ),
    )
    max_image_bytes: int = field(
        default=DEFAULT_LIMITS.max_bytes, metadata=_from(_whole, "largest photo, encoded")
    )
    max_image_pixels: int = field(
        default=DEFAULT_LIMITS.max_pixels,
        metadata=_from(_whole, "largest photo, width times height"),
    )
    decoding: str = field(
        default="process",
        metadata=_from(
            _decoding,
            "process or thread: where photos are decoded; in a process of its own, a decoder that "
            "crashes, or takes too much memory or time, costs no request but its own",
        ),
    )
    cors_origins: tuple[str, ...] = field(
        default=(),
        metadata=_from(
            parse_origins, "origins whose pages may call the API, separated by commas; * means all"
        ),
    )
    api_keys: Path | None = field(
        default=None,
        metadata=_from(
            Path,
            "file of the access keys, as `lookalike key` makes them; without it everybody may ask",
        ),
    )
    source_buckets: tuple[str, ...] = field(
        default=(),
        metadata=_from(
            _list, "buckets that image.source.imageUri may read from, separated by commas"
        ),
    )
    image_base_url: str = field(
        default="",
        metadata=_from(
            _url,
            "address of the root's images/ for browsers, as of a CDN; without it the function's "
            "own /v1/images/ is given out",
        ),
    )
    # Any host: a catalogue may name many, and they change with the release. The page runs no script
    # but its own, so there is none that could tell a stranger's host anything by way of a picture.
    image_hosts: tuple[str, ...] = field(
        default=("*",),
        metadata=_from(
            _hosts,
            "hosts whose pictures the demo page may show, beside the function's own, the image "
            "base URL's and the logo's; separated by commas, * means any",
        ),
    )
    branding: Path = field(
        default=HERE / "branding.toml",
        metadata=_from(Path, "file with the demo page's title, logo, accent and results"),
    )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Read all settings; BadSetting names the variable, what was expected and what was found.

        Variables that are absent or empty leave the default.
        """
        values: dict[str, Any] = {}
        for item in fields(cls):
            name = variable(item.name)
            text = environ.get(name, "").strip()
            if not text:
                continue
            try:
                values[item.name] = item.metadata["read"](text)
            except BadSetting as error:
                raise BadSetting(f"{name}: expected {error}; found {text!r}.") from None
        return cls(**values)

    @property
    def running_searches(self) -> int:
        """How many searches compute at once."""
        return self.max_running or usable_processors()

    @property
    def threads(self) -> int:
        """How many threads the server should have, so that only searches wait for searches."""
        return self.running_searches + self.max_waiting + SPARE_THREADS

    @property
    def photo_limits(self) -> PhotoLimits:
        """What a photo may cost."""
        return PhotoLimits(max_bytes=self.max_image_bytes, max_pixels=self.max_image_pixels)


def variable(field_name: str) -> str:
    """Return the environment variable that sets a field."""
    return PREFIX + field_name.upper()


def describe() -> list[tuple[str, str, str]]:
    """List every setting as (variable, default, help line)."""
    return [
        (variable(item.name), _shown(item.default), item.metadata["help"])
        for item in fields(Settings)
    ]


def _shown(default: object) -> str:
    if isinstance(default, Path):
        # The folder for temporary files, and where this lies, differ from machine to machine.
        temporary = tempfile.gettempdir()
        return str(default).replace(temporary, "$TMPDIR").replace(f"{HERE}", "function")
    if isinstance(default, tuple):
        return ",".join(default)
    if isinstance(default, bool):
        return "on" if default else "off"
    return "" if default is None else str(default)
