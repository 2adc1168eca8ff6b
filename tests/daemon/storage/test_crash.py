"""A process that is killed in the middle of a commit leaves the whole of it or nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from tests.daemon.storage.examples import P0, T0, incident
from watchkeeper.daemon.storage import migrate
from watchkeeper.daemon.storage.store import Store

KILLS = 8

CHILD = """
import sys
from dataclasses import replace
from msgspec.structs import replace as changed
from tests.daemon.storage.examples import P0, T0, checkpoint, finding, incident, letter
from watchkeeper.daemon.storage.store import Store

store = Store(sys.argv[1])
back = store.restore([P0], T0)
offset = back.offsets[P0] or 0
while True:
    offset += 1
    store.commit(replace(
        checkpoint(back.epochs[P0], offset),
        states={"fraud": (0, {"offset": offset, "padding": "x" * 200_000})},
        findings=[finding(T0 + offset)],
        incidents=[incident(revision=offset)],
        outbox=[letter(f"m{offset}")],
        dead_letters=[],
    ))
    print(offset, flush=True)
"""


def committed_by_a_killed_child(url: str, least: int) -> int:
    """Runs the child until it has said `least` commits, kills it, and returns the last it said."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, url], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    said = 0
    for _ in range(least):
        said = int(child.stdout.readline())
    os.kill(child.pid, signal.SIGKILL)
    rest = child.stdout.read().split()
    child.wait(10)
    child.stdout.close()
    return int(rest[-1]) if rest else said


def test_every_kill_leaves_a_whole_checkpoint(url: str) -> None:
    for kill in range(KILLS):
        said = committed_by_a_killed_child(url, least=1 + 3 * kill % 5)

        store = Store(url)
        back = store.restore([P0], T0)
        offset = back.offsets[P0]
        stored = store.records.incident(incident().id)
        newest = store.records.findings("fraud")[-1]
        waiting = store.letters.pending("sentry")
        store.close()

        assert offset is not None
        assert offset in (said, said + 1)
        assert back.states["fraud"]["offset"] == offset
        assert stored is not None
        assert stored.revision == offset
        assert newest.at == T0 + offset
        assert waiting == offset
    assert migrate.current(url) == migrate.head()
