"""Publishes to Kafka and says of every message whether it is safe."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from watchkeeper.daemon.transport.kafka_client import connected
from watchkeeper.daemon.transport.ports import Message
from watchkeeper.daemon.transport.settings import KafkaSettings

_DELIVERY_S = 30.0
_ENDED_S = 5.0


class KafkaSink:
    """A Sink over one idempotent producer, which is made at the first use. Thread-safe.

    A message is safe when all in-sync replicas have it. A broker that lost the producer's state
    refuses everything that follows; the producer is then made anew for the next call.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._producer: Any = None

    def publish(self, messages: Sequence[Message], timeout: float) -> list[str | None]:
        deadline = time.monotonic() + timeout
        with self._lock:
            try:
                producer = self._connected()
            except Exception as error:  # noqa: BLE001 - reported to the caller, who tries again
                return [_said(error)] * len(messages)
            sent = _send(producer, messages, deadline)
            outcomes = [_outcome(each, deadline) for each in sent]
            if any(_lost_its_place(each) for each in outcomes):
                self._drop()
        return [None if each is None else _said(each) for each in outcomes]

    def close(self, timeout: float = 10.0) -> None:
        with self._lock:
            producer, self._producer = self._producer, None
            if producer is not None:
                _end(producer, timeout)

    def _connected(self) -> Any:
        if self._producer is None:
            from kafka import KafkaProducer

            self._producer = connected(
                KafkaProducer,
                self._settings,
                acks="all",
                enable_idempotence=True,
                delivery_timeout_ms=int(_DELIVERY_S * 1000),
                max_block_ms=5_000,
                linger_ms=5,
                metrics_enabled=False,
            )
        return self._producer

    def _drop(self) -> None:
        producer, self._producer = self._producer, None
        _end(producer, 0.0)


def _end(producer: Any, timeout: float) -> None:
    """Frees a producer. Where messages are left that nobody takes the library's own close raises,
    and leaves the thread and the connections as they are."""
    from kafka.errors import KafkaTimeoutError

    try:
        producer.close(timeout=timeout)
    except KafkaTimeoutError:
        producer._sender.force_close()
        producer.close(timeout=_ENDED_S)


def _send(producer: Any, messages: Sequence[Message], deadline: float) -> list[Any]:
    """A future, or the exception that stood in its way, for each message.

    A topic that cannot be had is asked for once: each try may take `max_block_ms`.
    """
    from kafka.errors import KafkaTimeoutError

    missing: dict[str, Exception] = {}
    sent: list[Any] = []
    for message in messages:
        if message.topic in missing:
            sent.append(missing[message.topic])
        elif time.monotonic() > deadline:
            sent.append(TimeoutError("no time was left to send it"))
        else:
            each = _send_one(producer, message)
            if isinstance(each, KafkaTimeoutError):
                missing[message.topic] = each
            sent.append(each)
    return sent


def _send_one(producer: Any, message: Message) -> Any:
    headers = [(name, value or b"") for name, value in message.headers]
    try:
        return producer.send(message.topic, message.value, key=message.key, headers=headers)
    except Exception as error:  # noqa: BLE001 - one message's error, reported as its outcome
        return error


def _outcome(sent: Any, deadline: float) -> Exception | None:
    if isinstance(sent, Exception):
        return sent
    try:
        sent.get(timeout=max(deadline - time.monotonic(), 0.001))
    except Exception as error:  # noqa: BLE001 - one message's error, reported as its outcome
        return error
    return None


def _lost_its_place(error: Exception | None) -> bool:
    from kafka import errors

    return isinstance(
        error,
        errors.OutOfOrderSequenceNumberError
        | errors.UnknownProducerIdError
        | errors.InvalidProducerEpochError
        | errors.IllegalStateError,
    )


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]
