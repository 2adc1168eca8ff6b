"""`watchkeeper replay`."""

from __future__ import annotations

import json

from tests.daemon.cli.conftest import Host

EVENT = {
    "type": "prediction",
    "id": "1",
    "time": "2026-01-01T00:00:00Z",
    "model_name": "m",
    "model_version": "1",
    "request_id": "r",
}


def test_a_file_is_replayed_without_touching_the_database(bare: Host) -> None:
    file = bare.folder / "events.jsonl"
    file.write_text(json.dumps(EVENT) + "\n")

    table = bare.run("replay", str(file))
    report = json.loads(bare.run("replay", str(file), "-o", "json").stdout)

    assert table.exit_code == 0
    assert not report["incidents"]
    assert not (bare.folder / "watchkeeper.db").exists()


def test_a_file_that_is_not_there_is_wrong_use(bare: Host) -> None:
    ended = bare.run("replay", str(bare.folder / "nothing.jsonl"))

    assert ended.exit_code == 2
    assert "nothing.jsonl" in ended.stderr
