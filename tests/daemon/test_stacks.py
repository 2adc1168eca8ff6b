"""Stacks are written where that can be done, and harm nobody where not."""

from __future__ import annotations

import io
import sys

import pytest

from watchkeeper.daemon.stacks import write_stacks


def test_they_say_where_this_thread_is(capfd: pytest.CaptureFixture[str]) -> None:
    write_stacks()

    assert "test_they_say_where_this_thread_is" in capfd.readouterr().err


def test_a_stderr_that_is_no_file_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())

    write_stacks()
