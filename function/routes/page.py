"""The demo page.

GET  /                       the page
GET  /web/{name}             its files
GET  /branding.json          the shop's title, logo, colour and number of results
"""

import json
import mimetypes
import tomllib
from pathlib import Path
from typing import Any

from flask import Request, Response
from werkzeug.routing import Rule

from ..envelope import Exchange
from ..errors import NotFound
from ..settings import BadSetting
from .context import REVALIDATE, Context, cacheable, route

WEB = Path(__file__).parents[1] / "web"

# The page needs only what lies beside it; pictures may come from wherever the shop keeps them.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src * data: blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'none'"
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
        self._branding = _read_branding(context.settings.branding)

    def rules(self) -> list[Rule]:
        """Return what is answered here."""
        return [
            route("GET", "/", self._page, is_open=True),
            route("GET", "/web/<path:name>", self._page, is_open=True),
            route("GET", "/branding.json", self._brand, is_open=True),
        ]

    def _page(self, exchange: Exchange, name: str = "index.html") -> Response:
        return cacheable(_page_file(exchange.request, name), REVALIDATE)

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
    response = Response(path.read_bytes(), mimetype=kind or "application/octet-stream")
    if path.suffix == ".html":
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    return response


def _read_branding(path: Path) -> bytes:
    """Read branding.toml, once, as the JSON that the page asks for.

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
    return json.dumps(values).encode()
