"""The web server in a thread of its own."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading

import uvicorn
from starlette.types import ASGIApp

_READY_S = 10.0


class BindError(Exception):
    """The address cannot be listened on; the message says why and what to do."""


class WebServer:
    """Serves an application from `start` to `stop`. `listen` is host:port; port 0 takes a free one.

    An address that other machines can reach is refused unless `allow_public`.
    """

    def __init__(self, app: ASGIApp, listen: str, allow_public: bool = False) -> None:
        self._host, self._port = _address(listen)
        if not allow_public and not _local(self._host):
            raise BindError(
                f"{listen} can be reached by others: listen on 127.0.0.1, or set "
                "web.allow_public = true"
            )
        settings = uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
            timeout_keep_alive=5,
            limit_concurrency=64,
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(settings)
        self._bound: socket.socket | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that is listened on, once started."""
        return self._port

    @property
    def url(self) -> str:
        """Where this machine reaches it, once started."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    def start(self) -> None:
        """Listens; returns once connections are accepted. Raises BindError."""
        self._bound = _bind(self._host, self._port)
        self._port = self._bound.getsockname()[1]
        # A probe that is being answered need not be waited for at exit.
        self._thread = threading.Thread(target=self._serve, name="web", daemon=True)
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Answers what is being asked and ends; True when that was done in time. Idempotent."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(timeout)
        if self._bound is not None:
            self._bound.close()
        return self._thread is None or not self._thread.is_alive()

    def _serve(self) -> None:
        assert self._bound is not None
        # `Server.run` would take over the process's signals; `serve` in another thread does not.
        asyncio.run(self._server.serve(sockets=[self._bound]))


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise BindError(f"{listen!r} is no address: expected host:port, as 127.0.0.1:8321")
    return host.strip("[]"), int(port)


def _local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name may mean any address


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(64)
    except OSError as error:
        bound.close()
        raise BindError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return bound
