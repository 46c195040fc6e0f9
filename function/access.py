"""Who may ask: access keys, of which a file holds the hashes.

Without a file everybody may. With one, only who sends a key does, and a key that is bound to
origins is good on their pages alone: browsers say truthfully which page asks, programs need not.

A line of the file is one key; empty lines and lines that start with # say nothing:

    name sha256 [origins=https://shop.example,https://www.shop.example]

The name is for logs and metrics; keys that follow each other, as when one is replaced, may share
it. The file is read again while the function runs. Random keys of 256 bits need no slow hash.
"""

import hashlib
import hmac
import re
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from flask import Request

from .errors import PermissionDenied, Unauthenticated
from .settings import BadSetting, parse_origins, variable
from .telemetry import log

# The first that is sent counts. Google's clients send their API key in the second.
KEY_HEADERS = ("X-Api-Key", "X-Goog-Api-Key")
KEY_PARAMETER = "key"
# Every key is compared with each request's, and each name is a line of the metrics.
MAX_KEYS = 100
# Reading a mounted secret asks Secret Manager for it each time.
REREAD_SECONDS = 5.0
_KEY_BYTES = 32

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ORIGINS = "origins="


@dataclass(frozen=True)
class AccessKey:
    """What the file says of a key.

    Attributes:
        name: 1 to 64 of A-Z a-z 0-9 . _ -
        sha256: of the key, lowercase hexadecimal.
        origins: whose pages may use it, as https://shop.example; empty: any page, and programs.

    Raises:
        BadSetting: one of them is something else.
    """

    name: str
    sha256: str
    origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise BadSetting("a name of 1 to 64 letters, digits, points, hyphens or underscores")
        if not _SHA256.fullmatch(self.sha256):
            raise BadSetting("a key's SHA-256 as 64 lowercase hexadecimal digits after its name")
        if "*" in self.origins:
            raise BadSetting("no origins rather than *")

    @property
    def line(self) -> str:
        """Its line of the file."""
        return " ".join((self.name, self.sha256, *self._origins_part))

    @property
    def _origins_part(self) -> tuple[str, ...]:
        return (_ORIGINS + ",".join(self.origins),) if self.origins else ()


def make_key(name: str, origins: tuple[str, ...] = ()) -> tuple[str, AccessKey]:
    """Return a new random key, and what the file has to say of it.

    Raises:
        BadSetting: the name or an origin cannot stand in the file.
    """
    key = secrets.token_urlsafe(_KEY_BYTES)
    return key, AccessKey(name, hashlib.sha256(key.encode()).hexdigest(), origins)


def parse_keys(text: str) -> tuple[AccessKey, ...]:
    """Read a file of keys.

    Raises:
        BadSetting: names the line and what was expected, never what was found: it may be a key.
    """
    keys: dict[str, AccessKey] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            key = _parse_line(words)
        except BadSetting as error:
            raise BadSetting(f"line {number}: expected {error}.") from None
        if key.sha256 in keys:
            raise BadSetting(f"line {number}: expected each key once; it stands above already.")
        keys[key.sha256] = key
    if not 0 < len(keys) <= MAX_KEYS:
        raise BadSetting(f"expected 1 to {MAX_KEYS} keys; found {len(keys)}.")
    return tuple(keys.values())


def _parse_line(words: list[str]) -> AccessKey:
    if len(words) not in (2, 3) or not all(word.startswith(_ORIGINS) for word in words[2:]):
        raise BadSetting(f"a name, a SHA-256 and, at most, {_ORIGINS}https://shop.example,…")
    origins = tuple(
        origin for word in words[2:] for origin in parse_origins(word.removeprefix(_ORIGINS))
    )
    if len(words) == 3 and not origins:
        raise BadSetting(f"an origin after {_ORIGINS}")
    return AccessKey(words[0], words[1], origins)


class Access:
    """Lets requests in. Safe for threads.

    Args:
        path: the file of keys; None lets everybody in.
        clock: seconds, as `time.monotonic`.

    Raises:
        BadSetting: the file cannot be used.
    """

    def __init__(
        self, path: Path | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._clock = clock
        self._reading = threading.Lock()
        self._read_at = clock()
        self._complaint = ""
        self._text = ""
        self._keys: tuple[AccessKey, ...] = ()
        if path is not None:
            try:
                self._read(path)
            except BadSetting as error:
                raise BadSetting(f"{variable('api_keys')}: {path}: {error}") from None

    def check(self, request: Request) -> str:
        """Return the name of the key that the request brings; "" where none is needed.

        Raises:
            Unauthenticated: it brings none, or one that is not known.
            PermissionDenied: its key is for the pages of other origins.
        """
        if self._path is None:
            return ""
        self._renew(self._path)
        sent = _sent_key(request)
        if not sent:
            raise Unauthenticated(
                f"An access key is needed: send it in the header {KEY_HEADERS[0]}, or in the "
                f"query as {KEY_PARAMETER}=…"
            )
        key = _known(sent, self._keys)
        if key is None:
            raise Unauthenticated("The access key is not known.", reason="API_KEY_INVALID")
        origin = _origin(request)
        if key.origins and origin not in key.origins:
            raise PermissionDenied(
                "The access key is for the pages of other origins. The Origin header, or else the "
                "Referer, says whose page asks.",
                metadata={"origin": origin[:200]},
            )
        return key.name

    def _renew(self, path: Path) -> None:
        """Read the file again if that is due; one request does, and the others do not wait."""
        if self._clock() - self._read_at < REREAD_SECONDS or not self._reading.acquire(False):
            return
        try:
            self._read(path)
            self._complaint = ""
        except BadSetting as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                log("ERROR", f"{path}: {error} The keys that were read before stay in force.")
        finally:
            self._read_at = self._clock()
            self._reading.release()

    def _read(self, path: Path) -> None:
        try:
            text = path.read_text("utf-8")
        except OSError as error:
            raise BadSetting(f"expected a file of access keys; {error.strerror}.") from None
        except UnicodeDecodeError:
            raise BadSetting("expected text in UTF-8; found other bytes.") from None
        if text == self._text:
            return
        self._keys = parse_keys(text)
        self._text = text
        names = sorted({key.name for key in self._keys})
        log("INFO", f"{len(self._keys)} access keys are in force.", keys=names)


def _sent_key(request: Request) -> str:
    in_headers = (request.headers.get(name) for name in KEY_HEADERS)
    return next(filter(None, in_headers), None) or request.args.get(KEY_PARAMETER, "")


def _known(sent: str, keys: tuple[AccessKey, ...]) -> AccessKey | None:
    """Compare with every key, each in the same time, so that time tells nothing of any."""
    sha256 = hashlib.sha256(sent.encode(errors="replace")).hexdigest()
    found = None
    for key in keys:
        if hmac.compare_digest(key.sha256, sha256):
            found = key
    return found


def _origin(request: Request) -> str:
    """Whose page asks; "" where the request does not say."""
    if origin := request.headers.get("Origin"):
        return origin
    try:
        page = urlsplit(request.headers.get("Referer", ""))
    except ValueError:
        return ""
    return f"{page.scheme}://{page.netloc}" if page.netloc else ""
