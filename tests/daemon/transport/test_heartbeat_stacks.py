"""Of a heartbeat that has ended the log says where every thread was."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from watchkeeper.daemon.transport.kafka_member import KafkaMember
from watchkeeper.daemon.transport.settings import KafkaSettings


class Joined:
    """A consumer that has joined its group, as far as the member asks it."""

    def __init__(self, done: bool) -> None:
        task = SimpleNamespace(is_done=done)
        self._coordinator = SimpleNamespace(_heartbeat_loop_future=task, _heartbeat_enabled=True)
        self.closed = False

    def group_metadata(self) -> Any:
        return SimpleNamespace(state="<stable>")

    def close(self, autocommit: bool, timeout_ms: int) -> None:
        self.closed = True


def test_a_heartbeat_that_has_ended_is_told_with_all_stacks_once(
    capfd: pytest.CaptureFixture[str],
) -> None:
    member, consumer = (
        KafkaMember(KafkaSettings(bootstrap_servers=["b:1"]), ["t"]),
        Joined(done=True),
    )
    member.consumer = consumer

    for _ in range(3):
        member._watch_pulse()

    assert consumer.closed
    assert capfd.readouterr().err.count("in _watch_pulse") == 1


def test_a_heartbeat_that_goes_on_is_not(capfd: pytest.CaptureFixture[str]) -> None:
    member = KafkaMember(KafkaSettings(bootstrap_servers=["b:1"]), ["t"])
    member.consumer = Joined(done=False)

    member._watch_pulse()

    assert capfd.readouterr().err == ""
