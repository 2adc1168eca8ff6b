"""How peers of the bench are run: each in a folder of its own, with labels kept at the pace of
predictions."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.bench import peers
from tests.bench.cases import Job, Spent
from tests.bench.naive import InOrder, Naive
from tests.bench.traffic import pairs

_SPENT = Spent(events=1, cpu_s=1.0, wall_s=1.0)


def test_what_a_peer_stores_is_gone_after_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python, where = tmp_path / "python", tmp_path / "where"
    said = msgspec.json.encode(_SPENT).decode()
    python.write_text(f"#!/bin/sh\ntouch state && pwd > {where}\necho '{said}'\n")
    python.chmod(0o700)
    monkeypatch.setattr(peers, "environment", lambda name: python)

    spent = peers.child("quixstreams", Job(case="quixstreams", bootstrap="localhost:1"))

    assert spent == _SPENT
    assert not Path(where.read_text().strip()).exists()


def test_labels_are_paused_while_they_are_too_far_ahead() -> None:
    done: list[str] = []
    pace = peers.Pace(lambda: done.append("pause"), lambda: done.append("resume"))
    turns = []

    for ahead in (0, 10_000, 10_001, 20_000, 5_000, 4_999, 4_000, 10_000, 10_001):
        pace.keep(ahead)
        turns.append(len(done))

    assert done == ["pause", "resume", "pause"]
    assert turns == [0, 0, 1, 1, 1, 2, 2, 2, 3]


def test_labels_are_ahead_once_more_are_held_than_wait_for_their_time() -> None:
    ordered = InOrder(Naive(), lead=2, partitions=1)
    given = list(pairs(4, 1))

    seen = []
    for offset, (_, label) in enumerate(given):
        ordered.take("ten.labels", offset, label)
        seen.append(ordered.ahead)
    for offset, (prediction, _) in enumerate(given):
        ordered.take("ten.predictions", offset, prediction)
        seen.append(ordered.ahead)

    assert seen == [-1, 0, 1, 2, 2, 2, 1, 0]
