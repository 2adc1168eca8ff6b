"""A few lines of HTTP with JSON, enough to ask the components that tests start."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

T = TypeVar("T")


class HttpError(Exception):
    """An answer other than 2xx."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"HTTP {status}: {text[:500]}")
        self.status = status


def request(
    method: str,
    url: str,
    kind: type[T],
    *,
    body: object = None,
    headers: Mapping[str, str] | None = None,
) -> T:
    """Send one request with a JSON body and decode the JSON answer as `kind`."""
    text = _exchange(method, url, body, headers or {})
    return msgspec.json.decode(text or b"null", type=kind)


def healthy(url: str) -> bool:
    """Say whether a GET is answered with 2xx."""
    try:
        _exchange("GET", url, None, {})
    except (OSError, HttpError, HTTPException):
        return False
    return True


def _exchange(method: str, url: str, body: object, headers: Mapping[str, str]) -> bytes:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    sent = None if body is None else msgspec.json.encode(body)
    kind = {} if sent is None else {"Content-Type": "application/json"}
    with closing(HTTPConnection(parts.netloc, timeout=30)) as connection:
        connection.request(method, target, sent, {**kind, **headers})
        answer = connection.getresponse()
        text = answer.read()
    if not 200 <= answer.status < 300:
        raise HttpError(answer.status, text.decode(errors="replace"))
    return text
