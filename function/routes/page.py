"""The demo page.

GET  /                       the page
GET  /web/{name}             its files
GET  /branding.json          the shop's title, logo, colour and number of results
"""

import json
import mimetypes
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Request, Response
from werkzeug.routing import Rule

from ..envelope import Exchange
from ..errors import NotFound
from ..settings import BadSetting
from .context import REVALIDATE, Context, cacheable, route

WEB = Path(__file__).parents[1] / "web"

# All that the page uses, and nothing else. It never writes HTML, so no text can become a script.
_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'self'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
)

# What branding.toml holds, with the type of each.
_BRANDING = {"title": str, "logo": str, "accent": str, "results": int}

# The machine's own table may lack or change these.
_TYPES = {
    ".js": "text/javascript",
    ".ts": "text/plain",  # elsewhere video/mp2t
    ".css": "text/css",
    ".svg": "image/svg+xml",
}


class PageRoutes:
    """The page, its files and its branding."""

    def __init__(self, context: Context) -> None:
        settings = context.settings
        branding = _read_branding(settings.branding)
        self._branding = json.dumps(branding).encode()
        addresses = (settings.image_base_url, branding.get("logo", ""))
        self._policy = content_security_policy(settings.image_hosts, addresses)

    def rules(self) -> list[Rule]:
        """Return what is answered here."""
        return [
            route("GET", "/", self._page, is_open=True),
            route("GET", "/web/<path:name>", self._page, is_open=True),
            route("GET", "/branding.json", self._brand, is_open=True),
        ]

    def _page(self, exchange: Exchange, name: str = "index.html") -> Response:
        response = _page_file(exchange.request, name)
        response.headers["Content-Security-Policy"] = self._policy
        return cacheable(response, REVALIDATE)

    def _brand(self, exchange: Exchange) -> Response:
        return cacheable(Response(self._branding, mimetype="application/json"), REVALIDATE)


def _page_file(request: Request, name: str) -> Response:
    """Answer with a file under web/; browsers keep it and ask each time whether it changed.

    Raises:
        NotFound: there is no such file.
    """
    # Compared with what is there, so no name can lead elsewhere.
    path = next((file for file in WEB.rglob("*") if file.relative_to(WEB).as_posix() == name), None)
    if path is None or not path.is_file():
        raise NotFound(f"There is no {request.path} here.", reason="ROUTE_NOT_FOUND")
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return Response(path.read_bytes(), mimetype=kind or "application/octet-stream")


def content_security_policy(hosts: Iterable[str], addresses: Iterable[str]) -> str:
    """Return what the page may do, as a Content-Security-Policy.

    Args:
        hosts: that pictures may come from, as the policy writes them; "*" means any.
        addresses: of pictures, whose hosts are allowed too; those without a host count for nothing.
    """
    parts = [urlsplit(address) for address in addresses]
    origins = [f"{part.scheme}://{part.netloc}" for part in parts if part.scheme and part.netloc]
    pictures = ("'self'", "data:", "blob:", *dict.fromkeys([*hosts, *origins]))
    return "; ".join((*_POLICY, f"img-src {' '.join(pictures)}"))


def _read_branding(path: Path) -> dict[str, Any]:
    """Read branding.toml, once.

    Raises:
        BadSetting: the file is missing, is no TOML, or holds an unknown key or a wrong type.
    """
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BadSetting(f"{path}: expected the page's branding in TOML; {error}.") from None
    for key, value in values.items():
        kind = _BRANDING.get(key)
        if kind is None:
            raise BadSetting(f"{path}: {key}: unknown; known are {', '.join(_BRANDING)}.")
        if type(value) is not kind:
            raise BadSetting(f"{path}: {key}: expected {kind.__name__}; found {value!r}.")
    if not 1 <= values.get("results", 1) <= 100:
        raise BadSetting(f"{path}: results: expected 1 to 100; found {values['results']}.")
    return values
