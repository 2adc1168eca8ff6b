"""`watchkeeper calibrate`."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.daemon.cli.conftest import Host
from watchkeeper.daemon.storage.store import Store

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
OWN = """
[models.m]
false_alarms = "1 per 2 hours"
learn = 100
[[models.m.detectors]]
signal = "latency"
target = "p50"
detector = "page_hinkley"
severity = "critical"
"""


@pytest.fixture
def history(host: Host) -> Path:
    """Three hours of a model that answers in about 20 ms, once a second."""
    draw, lines = random.Random(1), []
    for number in range(0, 3 * 3_600, 2):
        at = BEGIN + timedelta(seconds=number)
        lines += [
            json.dumps(
                {
                    "type": "prediction",
                    "id": f"{number}-{half}",
                    "time": at.isoformat(),
                    "model_name": "m",
                    "model_version": "1",
                    "request_id": f"{number}-{half}",
                    "duration_s": draw.lognormvariate(-4.0, 0.3),
                    "features": {"age": draw.gauss(40, 10)},
                }
            )
            for half in range(2)
        ]
    file = host.folder / "history.jsonl"
    file.write_text("\n".join(lines))
    return file


def test_a_detector_is_measured_on_recorded_events(host: Host, history: Path) -> None:
    host.write(OWN)

    ended = host.run("calibrate", str(history), "--detector", "page_hinkley", "-o", "json")

    assert ended.exit_code == 0, ended.stderr
    (row,) = json.loads(ended.stdout)
    assert (row["model"], row["signal"], row["target"], row["series"]) == ("m", "latency", "p50", 1)
    assert row["wanted"] == 120
    assert row["windows"] >= 4 * 120
    assert row["low"] <= (row["mean"] or row["low"])


def test_what_was_measured_is_kept_for_the_daemon(host: Host, history: Path) -> None:
    host.write(OWN)

    ended = host.run("calibrate", str(history), "--detector", "page_hinkley", "--save")
    store = Store(host.url)
    try:
        kept = store.calibrations.of(["m"])
    finally:
        store.close()

    assert ended.exit_code == 0, ended.stderr
    (measured,) = kept.values()
    assert measured.windows >= 4 * 120


def test_a_file_without_such_series_says_so(host: Host, history: Path) -> None:
    ended = host.run("calibrate", str(history), "--signal", "nothing")

    assert ended.exit_code == 0
    assert ended.stdout.strip() == "no such series in these files"


def test_what_is_bounded_by_construction_may_page_without_being_measured_for_long(
    host: Host, history: Path
) -> None:
    host.write(OWN)

    ended = host.run("calibrate", str(history), "--signal", "errors", "-o", "json")

    rows = json.loads(ended.stdout)
    assert {row["detector"] for row in rows} == {"ewma", "threshold", "shiryaev_roberts_rate"}
    assert {(row["severity"], row["may_page"]) for row in rows} == {("critical", True)}


def test_keeping_needs_a_database_and_says_so_before_it_measures(host: Host, history: Path) -> None:
    host.config.write_text(f'[daemon]\nstate_dir = "{host.folder}/elsewhere"\n')

    ended = host.run("calibrate", str(history), "--save")

    assert ended.exit_code == 69
    assert "no database" in ended.stderr


def test_a_series_anomaly_is_measured_before_it_pages(host: Host, history: Path) -> None:
    host.write(OWN.replace("page_hinkley", "series_anomaly"))

    ended = host.run("calibrate", str(history), "--detector", "series_anomaly", "-o", "json")
    told = host.run("replay", str(history))

    (row,) = json.loads(ended.stdout)
    assert row["observed"] < row["windows"]
    assert "pages nobody: m latency/p50:series_anomaly" in told.stdout


def test_a_replay_says_who_may_not_page_yet(host: Host, history: Path) -> None:
    host.write(OWN)
    before = json.loads(host.run("replay", str(history), "-o", "json").stdout)
    host.run("calibrate", str(history), "--detector", "page_hinkley", "--save")

    after = json.loads(host.run("replay", str(history), "-o", "json").stdout)

    assert before["uncalibrated"] == {"m": ["latency/p50:page_hinkley"]}
    assert after["uncalibrated"] == {}
