"""Egress: only to allowed places, with bounds on everything."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import stamina

from tests.handlers.web import Answer, Request, serving
from watchkeeper.handlers.egress import Egress, ForbiddenUrl
from watchkeeper.handlers.errors import Refused, Unreachable

_HERE = ("127.0.0.1",)


@pytest.fixture(autouse=True)
def _quick_retries() -> Iterator[None]:
    with stamina.set_testing(True, attempts=2):
        yield


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://example.org/",
        "http://example.org/",
        "http://127.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "https:///no-host",
        "https://user:secret@example.org/",
        "",
    ],
)
def test_a_forbidden_url_is_refused_at_once(url: str) -> None:
    with pytest.raises(ForbiddenUrl) as error:
        Egress(url)

    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "169.254.169.254", "10.0.0.1", "192.168.1.1", "[::1]", "[::ffff:127.0.0.1]",
     "0.0.0.0", "100.64.0.1", "224.0.0.1", "[fe80::1]", "localhost"],
)  # fmt: skip
def test_a_private_address_is_refused_before_connecting(host: str) -> None:
    with pytest.raises(Refused, match="private address"):
        Egress(f"https://{host}/").send("GET", "/")


def test_a_name_that_resolves_to_a_private_address_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    private = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.1.2.3", 443))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [private])

    with pytest.raises(Refused, match="private address"):
        Egress("https://rebound.example.org/").send("GET", "/")


def test_a_name_is_resolved_once_and_the_checked_address_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    resolve = socket.getaddrinfo

    def recorded(host: str, *args: object, **kwargs: object) -> object:
        asked.append(host)
        return resolve(host, *args, **kwargs)  # type: ignore[arg-type]

    with serving(lambda request: Answer(body=request.headers["host"])) as url:
        port = url.rpartition(":")[2]
        monkeypatch.setattr(socket, "getaddrinfo", recorded)

        host = Egress(f"http://localhost:{port}", ("localhost",)).call("GET", "/", str)

    assert host == f"localhost:{port}"
    assert [name for name in asked if name == "localhost"] == ["localhost"]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    paths: list[str] = []

    def answer(request: Request) -> Answer:
        paths.append(request.path)
        return Answer(status, headers=(("Location", "/elsewhere"),))

    with serving(answer) as url, pytest.raises(Refused, match=f"HTTP {status}"):
        Egress(url, _HERE).send("GET", "/here")

    assert paths == ["/here"]


@pytest.mark.parametrize(("status", "error"), [(404, Refused), (503, Unreachable)])
def test_only_2xx_is_a_yes(status: int, error: type[Exception]) -> None:
    with serving(lambda _: Answer(status, "no\x1b[31m")) as url, pytest.raises(error) as raised:
        Egress(url, _HERE).send("POST", "/", body={})

    assert f"HTTP {status}" in str(raised.value)
    assert "\x1b" not in str(raised.value)


def test_an_answer_beyond_the_limit_is_refused() -> None:
    with (
        serving(lambda _: Answer(body=b"x" * 2_000)) as url,
        pytest.raises(Refused, match="larger than 1000 B"),
    ):
        Egress(url, _HERE, max_answer_bytes=1_000).send("GET", "/")


def test_an_answer_of_another_shape_is_refused() -> None:
    with serving(lambda _: Answer(body=b"<html>")) as url, pytest.raises(Refused, match="odd"):
        Egress(url, _HERE).call("GET", "/", dict[str, str])


def test_nobody_listening_is_unreachable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    with pytest.raises(Unreachable):
        Egress(f"http://127.0.0.1:{port}", _HERE).send("GET", "/")


def test_a_server_that_never_answers_is_unreachable_in_time_and_asked_once() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(4)
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        started = time.monotonic()

        with pytest.raises(Unreachable):
            Egress(url, _HERE, timeout=0.3).send("POST", "/", body={})

        assert time.monotonic() - started < 5
        deaf.accept()[0].close()
        deaf.settimeout(0.05)
        with pytest.raises(TimeoutError):
            deaf.accept()


@pytest.mark.parametrize(
    "drop",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 10_000, id="headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + b"a" * 5_000, id="body"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 5_000, id="body without a length"),
    ],
)
def test_an_answer_that_comes_drop_by_drop_is_cut_off(drop: bytes) -> None:
    with _dripping(drop) as url:
        started = time.monotonic()

        with pytest.raises(Unreachable, match=r"not done within 0\.5 s"):
            Egress(url, _HERE, timeout=5.0, total=0.5).send("GET", "/")

        assert time.monotonic() - started < 4


def test_a_large_body_may_take_longer_to_send_than_a_connection_to_make() -> None:
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        slow.bind(("127.0.0.1", 0))
        slow.listen(1)
        url = f"http://127.0.0.1:{slow.getsockname()[1]}"
        reader = threading.Thread(target=_read_late, args=(slow, 0.6))
        reader.start()

        answer = Egress(url, _HERE, connect_timeout=0.2).send("PUT", "/", raw=bytes(8_000_000))

        reader.join(10)
    assert answer == b"ok"


def _read_late(listener: socket.socket, after: float) -> None:
    """Begins to read a request only after a while, and says ok to it."""
    peer, _ = listener.accept()
    with peer:
        threading.Event().wait(after)
        got = 0
        while got < 8_000_000:
            got += len(peer.recv(1 << 20))
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


@contextmanager
def _dripping(text: bytes) -> Iterator[str]:
    """A server that sends one byte of its answer every 20 ms."""
    stop = threading.Event()

    def drip() -> None:
        peer, _ = listener.accept()
        with peer, suppress(OSError):
            for each in text:
                peer.sendall(bytes([each]))
                if stop.wait(0.02):
                    return

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        thread = threading.Thread(target=drip)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stop.set()
            thread.join(10)


def test_what_failed_is_told_without_the_urls_own_path() -> None:
    with serving(lambda request: Answer(404)) as url:
        port = url.rpartition(":")[2].rstrip("/")
        hook = Egress(f"http://127.0.0.1:{port}/T0/very-secret", _HERE)

        with pytest.raises(Refused) as error:
            hook.send("POST", "/more")

    assert "very-secret" not in str(error.value)
    assert "/more" in str(error.value)
