"""HTTP to the outside: only to allowed places, with bounds on everything."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from typing import TypeVar
from urllib.parse import SplitResult, quote, urlencode, urlsplit

import msgspec
import stamina
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from watchkeeper.handlers.errors import Refused, Unreachable

T = TypeVar("T")
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class ForbiddenUrl(ValueError):
    """A URL that the daemon must not talk to; the message says why."""


@dataclass(frozen=True)
class Egress:
    """Sends JSON to one place and reads its JSON answer.

    Plain http and private addresses are only for hosts named in `allowed_hosts`. The name is
    resolved once and exactly the checked address is connected to. Redirects are refused. Only a
    connection that could not be made is tried again. `timeout` is how long nothing may come,
    `total` how long an exchange may last once connected; times in seconds.
    """

    url: str
    allowed_hosts: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    connect_timeout: float = 3.0
    timeout: float = 10.0
    total: float = 30.0
    attempts: int = 3
    max_answer_bytes: int = 8_000_000

    def __post_init__(self) -> None:
        self._checked()

    def call(
        self,
        method: str,
        path: str,
        kind: type[T],
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        """One request below the URL; its answer decoded as `kind`, where 2xx is the only yes."""
        answer = self.send(method, path, query=query, body=body, raw=raw, headers=headers)
        try:
            return msgspec.json.decode(answer or b"null", type=kind)
        except msgspec.MsgspecError as error:
            raise Refused(f"{method} {self._place()}{path}: an odd answer: {error}") from None

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """One request below the URL, with `body` as JSON or `raw` as it is; its answer's bytes."""
        parts = self._checked()
        data = raw if raw is not None or body is None else msgspec.json.encode(body)
        content = "application/octet-stream" if raw is not None else "application/json"
        sent = {"Content-Type": content} if data is not None else {}
        target = quote(f"{parts.path.rstrip('/')}{path}" or "/", safe="/%:@!$&'()*+,;=~")
        asked = urlencode(query) if query else parts.query
        if asked:
            target += f"?{asked}"
        return self._exchange(method, target, data, {**sent, **(headers or {})})

    def _exchange(
        self, method: str, target: str, data: bytes | None, headers: Mapping[str, str]
    ) -> bytes:
        # The URL's own path may be a secret, as that of a webhook is.
        own = quote(urlsplit(self.url).path.rstrip("/"), safe="/%:@!$&'()*+,;=~")
        what = f"{method} {self._place()}{target.partition('?')[0].removeprefix(own)}"
        try:
            # Not a RetryingCaller: it would log the arguments, and headers may be secret.
            for attempt in stamina.retry_context(
                on=(NewConnectionError, ConnectTimeoutError), attempts=self.attempts, timeout=30.0
            ):
                with attempt:
                    status, text = self._once(method, target, data, headers)
        except (HTTPError, HTTPException, OSError) as error:
            raise Unreachable(f"{what}: {error}") from error
        if status >= 500:
            raise Unreachable(f"{what}: HTTP {status} {_excerpt(text)}")
        if not 200 <= status < 300:
            raise Refused(f"{what}: HTTP {status} {_excerpt(text)}", status)
        return text

    def _once(
        self, method: str, target: str, data: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        sent = {"Host": self._checked().netloc, **dict(self.headers), **headers}
        with closing(self._connection()) as connection:
            connection.connect()
            # Connecting has its own limit; from here on the other ones hold.
            connection.timeout = self.timeout
            connection.sock.settimeout(self.timeout)
            with _cut_after(self.total, connection.sock):
                connection.request(method, target, data, sent, preload_content=False)
                with connection.getresponse() as answer:
                    status, text = answer.status, answer.read(self.max_answer_bytes + 1)
        if len(text) > self.max_answer_bytes:
            raise Refused(f"{self._place()}: the answer is larger than {self.max_answer_bytes} B")
        return status, text

    def _connection(self) -> HTTPConnection:
        parts = self._checked()
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        address = self._address(host, port)
        if parts.scheme == "http":
            return HTTPConnection(address, port, timeout=self.connect_timeout)
        return HTTPSConnection(
            address,
            port,
            timeout=self.connect_timeout,
            cert_reqs="CERT_REQUIRED",
            server_hostname=host,
        )

    def _address(self, host: str, port: int) -> str:
        """The one address to connect to, checked after resolving and never resolved again."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise Unreachable(f"{host}: {error}") from error
        addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
        if host not in self.allowed_hosts and not all(_public(a) for a in addresses):
            raise Refused(f"{host} is a private address and not in the list of allowed hosts")
        return str(addresses[0])

    def _checked(self) -> SplitResult:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ForbiddenUrl(f"{parts.scheme}: expected an https URL with a host")
        if parts.username is not None or parts.password is not None:
            raise ForbiddenUrl(f"{parts.hostname}: credentials do not belong into a URL")
        if parts.hostname in self.allowed_hosts:
            return parts
        if parts.scheme == "http":
            raise ForbiddenUrl(f"{parts.hostname}: plain http is only for allowed hosts")
        return parts

    def _place(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


@contextmanager
def _cut_after(seconds: float, sock: socket.socket) -> Iterator[None]:
    """Ends what goes on over the socket after so many seconds, wherever it hangs then.

    A socket's own time-out begins anew with each byte, so that a slow answer could last for ever.
    """
    over = threading.Event()

    def cut() -> None:
        over.set()
        with suppress(OSError):
            # TLS's own shutdown would pull the rug from under the thread that reads.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    watch = threading.Timer(seconds, cut)
    watch.daemon = True
    watch.start()
    try:
        yield
    except (HTTPError, HTTPException, OSError) as error:
        if over.is_set():
            raise TimeoutError(f"not done within {seconds:g} s") from error
        raise
    finally:
        watch.cancel()
    if over.is_set():  # an answer without a length looks complete when it is cut off
        raise TimeoutError(f"not done within {seconds:g} s")


def _public(address: _Address) -> bool:
    inner = getattr(address, "ipv4_mapped", None) or address
    return bool(inner.is_global) and not inner.is_multicast


def _excerpt(text: bytes) -> str:
    shown = text[:200].decode(errors="replace")
    return "".join(c if c.isprintable() else " " for c in shown)
