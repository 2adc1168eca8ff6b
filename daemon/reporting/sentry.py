"""Pages by Sentry: our own client with a transport that says what the server answered."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import msgspec
import sentry_sdk
import urllib3
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport
from sentry_sdk.utils import BadDsn, event_from_exception
from urllib3.util import Timeout

from watchkeeper.daemon.storage.outbox import OK, Delivery
from watchkeeper.daemon.storage.values import OutboxRow

_LONGEST_WAIT = 3600.0
_SHORTEST_LIMIT = 60.0  # what a server means that says 429 and no more
_NEVER = (400, 413)  # the event itself is refused; 401, 403 and 404 can be mended by people


class SentryReporter:
    """A deliverer for the outbox. Thread-safe.

    Raises ValueError for a DSN that is none. Nothing is read from the process: no arguments, no
    modules, no local variables.
    """

    def __init__(self, dsn: str, environment: str, release: str, instance: str = "") -> None:
        try:
            self._transport = _Post(dsn)
            self._client = sentry_sdk.Client(
                dsn=dsn,
                environment=environment,
                release=release,
                transport=self._transport,
                server_name=instance,
                default_integrations=False,
                auto_enabling_integrations=False,
                auto_session_tracking=False,
                send_client_reports=False,
                include_local_variables=False,
                enable_backpressure_handling=False,
                max_breadcrumbs=100,
                shutdown_timeout=0,
            )
        except BadDsn as error:
            raise ValueError(f"not a Sentry DSN: {error}") from error
        self._instance = instance
        self._one_by_one = threading.Lock()  # a crash is told beside the sender's thread

    def __call__(self, rows: Sequence[OutboxRow]) -> list[Delivery]:
        """Sends events one after another; after the first failure the rest waits untried."""
        deliveries: list[Delivery] = []
        for row in rows:
            last = deliveries[-1] if deliveries else OK
            if last.outcome == "retry":
                deliveries.append(last)
                continue
            deliveries.append(self._send(_event(row, self._instance)))
        return deliveries

    def crash(self, error: BaseException) -> Delivery:
        """Tells of a fault of the daemon itself, at once."""
        event, _ = event_from_exception(error, client_options=self._client.options)
        return self._send({**event, "tags": {"kind": "daemon"}})

    def alarm(self, message: str, reason: str) -> Delivery:
        """Tells of something the daemon cannot do its work without, at once; one issue for all
        instances."""
        return self._send(
            {
                "message": message,
                "level": "fatal",
                "fingerprint": ["watchkeeper", message],
                "extra": {"reason": reason},
                "tags": {"kind": "daemon"},
            }
        )

    def close(self) -> None:
        """Frees every connection. Idempotent."""
        self._client.close(timeout=0)
        self._transport.close()

    def _send(self, event: dict[str, Any]) -> Delivery:
        with self._one_by_one:
            self._transport.answer = Delivery("blocked", "the client dropped the event")
            self._client.capture_event(event)  # type: ignore[arg-type]  # a plain dict from JSON
            return self._transport.answer


class _Post(Transport):
    """Posts in the caller's thread and keeps the answer."""

    def __init__(self, dsn: str) -> None:
        super().__init__({"dsn": dsn})
        assert self.parsed_dsn is not None
        auth = self.parsed_dsn.to_auth("watchkeeper")
        self._url = auth.get_api_url()
        self._headers = {
            "X-Sentry-Auth": auth.to_header(),
            "Content-Type": "application/x-sentry-envelope",
            "User-Agent": "watchkeeper",
        }
        self._pool = urllib3.PoolManager(timeout=Timeout(connect=5.0, read=10.0), retries=False)
        self.answer = OK

    def capture_envelope(self, envelope: Envelope) -> None:
        body = envelope.serialize()
        try:
            reply = self._pool.request("POST", self._url, body=body, headers=self._headers)
        except urllib3.exceptions.HTTPError as error:
            self.answer = Delivery("retry", f"{type(error).__name__}: {error}")
            return
        self.answer = _answer(reply.status, reply.headers, reply.data[:200])

    def close(self) -> None:
        self._pool.clear()


def _answer(status: int, headers: Any, body: bytes) -> Delivery:
    if 200 <= status < 300:
        return OK
    reason = f"HTTP {status}: {body.decode(errors='replace')}"
    if status in _NEVER:
        return Delivery("blocked", reason)
    return Delivery("retry", reason, _wait(status, headers))


def _wait(status: int, headers: Any) -> float | None:
    """How long the server asks us to wait for events of our kind, in seconds."""
    waits = [_seconds(headers.get("Retry-After", ""))]
    for limit in headers.get("X-Sentry-Rate-Limits", "").split(","):
        seconds, _, scope = limit.strip().partition(":")
        categories = scope.partition(":")[0].split(";")
        if not set(categories).isdisjoint({"", "default", "error"}):
            waits.append(_seconds(seconds))
    known = [each for each in waits if each is not None]
    if known:
        return min(max(known), _LONGEST_WAIT)
    return _SHORTEST_LIMIT if status == 429 else None


def _seconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None  # a date: rare, and the usual back-off will do
    return value if 0 <= value < float("inf") else None


def _event(row: OutboxRow, instance: str) -> dict[str, Any]:
    """The event of a row, with a note when it comes late."""
    event: dict[str, Any] = msgspec.json.decode(row.payload or b"{}")
    if instance:
        event.setdefault("tags", {})["daemon.instance"] = instance[:200]
    if row.attempts or row.collapsed:
        note = "was delayed: it could not be delivered at first"
        if row.collapsed:
            note += f", and stands for {row.collapsed} older events"
        event.setdefault("contexts", {})["delivery"] = {"note": note, "attempts": row.attempts}
        event.setdefault("tags", {})["delivery"] = "delayed"
    return event
