"""Asks a function over HTTP, and waits while it asks to be waited for."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any, Never

from trainer.errors import LookalikeError

REQUEST_SECONDS = 60
_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 5.0
_TRY_AGAIN = (429, 503)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A token or key goes to the address that it is meant for, and nowhere else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class FunctionClient:
    """One function at one address.

    Args:
        url: its address, as https://host.
        headers: sent with every request: a token, a key.
        wait_seconds: how long, from now on, it may be unreachable, load, or be busy.
    """

    def __init__(self, url: str, *, headers: Mapping[str, str], wait_seconds: float) -> None:
        if not url.startswith(("https://", "http://")):
            raise LookalikeError(f"Expected the function's address, as https://…; found {url!r}.")
        self.url = url.rstrip("/")
        self._headers = dict(headers)
        self._deadline = time.monotonic() + wait_seconds
        self._opener = urllib.request.build_opener(_NoRedirect)

    def get(self, path: str) -> Any:
        """Return the JSON at a path; LookalikeError where it cannot be had in time."""
        return self._ask(path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the JSON that is answered to JSON; LookalikeError as `get`."""
        return self._ask(path, json.dumps(body).encode())

    def wait_until(self, settled: Callable[[], str | None]) -> None:
        """Ask until nothing is wrong; LookalikeError tells what still is when the time is up."""
        while complaint := settled():
            self._pause(complaint)

    def _ask(self, path: str, data: bytes | None) -> Any:
        headers = self._headers | ({"Content-Type": "application/json"} if data else {})
        request = urllib.request.Request(self.url + path, data, headers)  # noqa: S310
        while True:
            try:
                with self._opener.open(request, timeout=REQUEST_SECONDS) as response:
                    return json.load(response)
            except urllib.error.HTTPError as refusal:
                with refusal:
                    message = _message(refusal)
                if refusal.code not in _TRY_AGAIN:
                    self._refused(path, refusal.code, message)
                after = refusal.headers.get("Retry-After", "")
                self._pause(f"{path} answers {refusal.code}: {message}", after)
            except json.JSONDecodeError:
                raise LookalikeError(
                    f"{self.url}{path}: expected JSON; found something else. "
                    "Is this the function's address?"
                ) from None
            except (OSError, HTTPException) as error:
                self._pause(f"{path} cannot be reached ({error}).")

    def _pause(self, complaint: str, retry_after: str = "") -> None:
        asked = float(retry_after) if retry_after.isdecimal() else _PAUSE_SECONDS
        seconds = min(asked, _LONGEST_PAUSE_SECONDS)
        if time.monotonic() + seconds > self._deadline:
            raise LookalikeError(
                f"{self.url} is not as it should be, and the time to wait is over: {complaint}"
            )
        time.sleep(seconds)

    def _refused(self, path: str, status: int, message: str) -> Never:
        hint = {
            401: " Give a key with --key-file, or an identity token with --token-file.",
            403: " A closed service needs --token-file, of an account with run.invoker on it.",
        }.get(status, "")
        raise LookalikeError(f"{self.url}{path} answers {status}: {message}{hint}")


def _message(refusal: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(refusal)["error"]["message"])
    except (ValueError, KeyError, TypeError, OSError):
        return f"{refusal.reason}; the answer is not the function's own."
