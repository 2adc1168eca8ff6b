"""A Sentry that takes events, or answers everything with an error."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import msgspec

from tests.faults.serving import serving


class Sentry:
    """Where it listens, and the ids of the events it has taken, each as often as it came."""

    def __init__(self) -> None:
        self.dsn = ""
        self.down = threading.Event()
        self.refused = 0
        self._taken: list[str] = []
        self._lock = threading.Lock()

    @property
    def taken(self) -> list[str]:
        """The ids of the events so far."""
        with self._lock:
            return list(self._taken)

    def take(self, envelope: bytes) -> bool:
        """Takes an envelope; False while it is down."""
        with self._lock:
            if self.down.is_set():
                self.refused += 1
                return False
            header = msgspec.json.decode(envelope.partition(b"\n")[0])
            self._taken.append(header["event_id"])
            return True


class _Handler(BaseHTTPRequestHandler):
    sentry: Sentry

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.send_response(200 if self.sentry.take(body) else 503)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")


@contextmanager
def sentry() -> Iterator[Sentry]:
    """Runs one on a free local port."""
    made = Sentry()
    with serving(type("Handler", (_Handler,), {"sentry": made}), "sentry") as port:
        made.dsn = f"http://key@127.0.0.1:{port}/1"
        yield made
