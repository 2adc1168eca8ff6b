"""A registry of models that outlives every crash of the daemon and writes down each call."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec

from tests.faults.serving import serving


class Switch(NamedTuple):
    """One order to make a version live."""

    model: str
    version: str


class Registry:
    """As much of MLflow's interface as a rollback needs. `down` answers everything with 503."""

    def __init__(self) -> None:
        self.url = ""
        self.down = threading.Event()
        self._live: dict[str, str] = {}
        self._switches: list[Switch] = []
        self._lock = threading.Lock()

    def deploy(self, model: str, version: str) -> None:
        """Makes a version live without it counting as a call, and forgets the calls so far."""
        with self._lock:
            self._live[model] = version
            self._switches.clear()

    @property
    def switches(self) -> list[Switch]:
        """Every order so far."""
        with self._lock:
            return list(self._switches)

    def live(self, model: str) -> str | None:
        """The version that is live."""
        with self._lock:
            return self._live.get(model)

    def switch(self, order: Switch) -> None:
        """Obeys an order and writes it down."""
        with self._lock:
            self._live[order.model] = order.version
            self._switches.append(order)


class _Handler(BaseHTTPRequestHandler):
    registry: Registry

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        where = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(where.query).items()}
        if where.path.endswith("/registered-models/alias"):
            version = self.registry.live(query["name"])
            self._answer({"model_version": {"version": version}})
        else:
            self._answer({"model_versions": [{"version": "1"}, {"version": "2"}]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        order = msgspec.json.decode(body)
        if not self.registry.down.is_set():
            self.registry.switch(Switch(order["name"], order["version"]))
        self._answer({})

    def _answer(self, answer: Any) -> None:
        text = msgspec.json.encode(answer)
        self.send_response(503 if self.registry.down.is_set() else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@contextmanager
def registry() -> Iterator[Registry]:
    """Runs one on a free local port."""
    made = Registry()
    with serving(type("Handler", (_Handler,), {"registry": made}), "registry") as port:
        made.url = f"http://127.0.0.1:{port}"
        yield made
