"""The doctor's looks, one by one, at what can be arranged without a cluster."""

from __future__ import annotations

from pathlib import Path

import kafka.codec
import msgspec
import pytest

from watchkeeper.daemon import doctor
from watchkeeper.daemon.config import Config
from watchkeeper.daemon.config.sections import Daemon, Database, Kafka
from watchkeeper.daemon.config.telling import Sentry
from watchkeeper.daemon.config.units import Secret
from watchkeeper.daemon.doctor import idle_workers, unequal_partitions
from watchkeeper.daemon.storage import migrate


def config(folder: Path, dsn: str = "") -> Config:
    return Config(
        daemon=Daemon(state_dir=str(folder)),
        database=Database(url=f"sqlite:///{folder}/w.db"),
        sentry=Sentry(dsn=Secret(dsn)),
    )


def test_a_host_without_anything_is_told_what_is_missing(tmp_path: Path) -> None:
    here = config(tmp_path)

    assert doctor._database(here).state == "warning"
    assert doctor._sentry(here).state == "warning"
    assert doctor._disk(here).state != "bad"
    assert doctor._versions().state == "ok"
    assert doctor._clock().state == "ok"


def test_a_migrated_database_and_a_dsn_are_in_order(tmp_path: Path) -> None:
    here = config(tmp_path, dsn="https://key@sentry.example.org/1")
    migrate.upgrade(here.database.url)

    database, sentry = doctor._database(here), doctor._sentry(here)

    assert (database.state, sentry.state) == ("ok", "ok")
    assert "key@" not in sentry.message


def test_it_says_how_records_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = config(tmp_path)
    off = msgspec.structs.replace(here, kafka=Kafka(batches=False))

    whole, single = doctor._reading(here), doctor._reading(off)
    monkeypatch.setattr(kafka.codec, "snappy", None)

    assert (whole.state, whole.message) == ("ok", "whole record batches")
    assert single.state == "warning"
    assert "kafka.batches is off" in single.message
    assert doctor._reading(here).state == "bad"


def test_an_old_layout_is_bad(tmp_path: Path) -> None:
    here = config(tmp_path)
    migrate.upgrade(here.database.url, "r0001")

    database = doctor._database(here)

    assert database.state == "bad"
    assert "`watchkeeper db upgrade`" in database.message


@pytest.mark.parametrize(
    ("partitions", "told"),
    [
        ({"watchkeeper.predictions": 4, "watchkeeper.labels": 4}, False),
        ({"watchkeeper.predictions": 4, "watchkeeper.labels": 2}, True),
        ({"watchkeeper.predictions": 4, "watchkeeper.incidents": 1}, False),
        ({}, False),
    ],
    ids=["equal", "unequal", "not read", "none"],
)
def test_unequal_partition_counts_are_told(partitions: dict[str, int], told: bool) -> None:
    said = unequal_partitions(Config(), partitions)

    assert bool(said) == told
    assert not told or "watchkeeper.labels (2)" in said


@pytest.mark.parametrize(
    ("workers", "partitions", "told"),
    [(1, {"a": 1}, False), (4, {"a": 3, "b": 4}, False), (4, {"a": 3}, True), (4, {}, False)],
)
def test_workers_without_a_partition_are_told(
    workers: int, partitions: dict[str, int], told: bool
) -> None:
    config = Config(daemon=Daemon(workers=workers))

    said = idle_workers(config, partitions)

    assert said == ("daemon.workers is 4, but no topic has more than 3 partitions" if told else "")
