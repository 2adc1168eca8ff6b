"""A reverse proxy that remembers what went through it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import urlsplit

_HOP = frozenset({"connection", "transfer-encoding", "keep-alive", "content-length", "host"})


class Call(NamedTuple):
    """One request that was answered: by what status."""

    method: str
    path: str
    body: bytes
    status: int


class Recorder:
    """Where it listens, and the calls so far."""

    def __init__(self) -> None:
        self.url = ""
        self._calls: list[Call] = []
        self._lock = threading.Lock()

    def calls(self, method: str, path: str) -> list[Call]:
        """The calls of one method of the interface, in order."""
        with self._lock:
            return [c for c in self._calls if c.method == method and c.path.endswith(path)]

    def add(self, call: Call) -> None:
        """Remembers a call."""
        with self._lock:
            self._calls.append(call)


@contextmanager
def recording(upstream: str) -> Iterator[Recorder]:
    """Listens on a free local port and passes everything on to `upstream`."""
    recorder = Recorder()
    of_this_one = {"upstream": urlsplit(upstream).netloc, "recorder": recorder}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), of_this_one))
    server.daemon_threads = True
    recorder.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, name="proxy")
    thread.start()
    try:
        yield recorder
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class _Handler(BaseHTTPRequestHandler):
    """Passes one request on and its answer back."""

    upstream = ""
    recorder: Recorder

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def do_PUT(self) -> None:
        self._pass_on()

    def do_DELETE(self) -> None:
        self._pass_on()

    def do_PATCH(self) -> None:
        self._pass_on()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kept = {k: v for k, v in self.headers.items() if k.lower() not in _HOP}
        connection = HTTPConnection(self.upstream, timeout=60)
        try:
            connection.request(self.command, self.path, body or None, kept)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        self.recorder.add(Call(self.command, urlsplit(self.path).path, body, answer.status))
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
