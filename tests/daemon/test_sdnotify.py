"""systemd hears what it is told, and nobody minds where it is not there."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from watchkeeper.daemon.sdnotify import notify


def test_nothing_happens_without_a_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify("READY=1")

    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/at/all")
    assert not notify("READY=1")


def test_the_listener_gets_the_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        listener.settimeout(5.0)

        assert notify("WATCHDOG=1")
        assert listener.recv(100) == b"WATCHDOG=1"
