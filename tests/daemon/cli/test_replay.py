"""`watchkeeper replay`."""

from __future__ import annotations

import json

from tests.daemon.cli.conftest import Host, process

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


def report(host: Host, *arguments: str) -> dict[str, int]:
    ended = host.run("replay", *arguments, "-o", "json")
    assert ended.exit_code == 0, ended.stderr
    found: dict[str, int] = json.loads(ended.stdout)
    return found


def test_two_files_of_one_name_are_both_read_from_their_beginning(bare: Host) -> None:
    files = [bare.folder / name / "day.jsonl" for name in ("a", "b")]
    for file in files:
        file.parent.mkdir()
        file.write_text((json.dumps(EVENT) + "\n") * 3)

    assert report(bare, *map(str, files))["events"] == 6


def test_a_database_with_a_record_in_it_is_refused(bare: Host) -> None:
    file = bare.folder / "events.jsonl"
    file.write_text(json.dumps(EVENT) + "\n")
    url = f"sqlite:///{bare.folder / 'kept.db'}"
    assert report(bare, str(file), "--database", url)["events"] == 1

    again = bare.run("replay", str(file), "--database", url)

    assert again.exit_code == 1
    assert "holds a record already" in again.stderr


def test_a_database_that_cannot_be_made_is_told_in_one_line(bare: Host) -> None:
    file = bare.folder / "events.jsonl"
    file.write_text(json.dumps(EVENT) + "\n")

    ended = bare.run(
        "replay", str(file), "--database", f"sqlite:///{bare.folder}/no/such/folder.db"
    )

    assert ended.exit_code == 69
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stderr.startswith("replay: database sqlite:///")


def test_events_that_come_after_their_window_are_counted_and_told(bare: Host) -> None:
    file, minutes = bare.folder / "events.jsonl", (0, 1, 2, 3, 0)
    events = [
        {**EVENT, "id": str(i), "request_id": str(i), "time": f"2026-01-01T00:0{minute}:00Z"}
        for i, minute in enumerate(minutes)
    ]
    file.write_text("".join(json.dumps(event) + "\n" for event in events))

    assert report(bare, str(file))["late"] == 1
    assert "late: 1 events" in bare.run("replay", str(file)).stdout


def test_what_is_logged_on_the_way_is_no_part_of_the_report(bare: Host) -> None:
    file = bare.folder / "events.jsonl"
    order = {
        "id": "c",
        "time": "2026-01-01T00:00:01Z",
        "command": "resolve",
        "target": "inc-unknown",
        "model_name": "m",
    }
    file.write_text("".join(json.dumps(event) + "\n" for event in (EVENT, order)))

    ended = process("replay", str(file), "-o", "json", folder=bare.folder)

    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["events"] == 2
    assert "inc-unknown" in ended.stderr
