"""What is wired together, and how it is closed."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.daemon.reporting.answering import answering
from tests.daemon.wired import made_in
from watchkeeper.daemon.config import Config
from watchkeeper.daemon.config.sections import Daemon as Here
from watchkeeper.daemon.config.sections import Database, Kafka
from watchkeeper.daemon.config.telling import Outbox
from watchkeeper.daemon.lull import Lull
from watchkeeper.daemon.service import Daemon
from watchkeeper.daemon.storage import outbox
from watchkeeper.daemon.storage.retention import Most
from watchkeeper.daemon.transport.memory import MemoryBroker, MemorySink, MemorySource


def posted(daemon: Daemon) -> None:
    """Waits for pages that are on their way."""
    for page in daemon._pages:
        page.finish(10.0)


def test_an_outage_of_the_database_is_told_to_sentry_once_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering() as server:
        server.plan = [(503, {})]
        daemon = made_in(tmp_path, MemoryBroker(), server.dsn)
        gauge = "watchkeeper_database_away_seconds"
        minutes: list[int] = []
        for second in range(0, 3_601, 10):
            daemon.reporter.database_away(float(second), "connection refused")
            posted(daemon)
            minutes += [second] * (len(server.bodies) - len(minutes))
        away = daemon.metrics.registry.get_sample_value(gauge)
        daemon.reporter.database_away(0.0, "")
        daemon.close()

    assert minutes == [120, 180]
    assert away == 3_600
    assert daemon.metrics.registry.get_sample_value(gauge) == 0
    assert b"the database is away" in server.bodies[1]
    assert b"connection refused" in server.bodies[1]


def test_being_blind_is_told_to_sentry_once_each_time(tmp_path: Path) -> None:
    with answering() as server:
        daemon = made_in(tmp_path, MemoryBroker(), server.dsn)
        gauge = "watchkeeper_source_away_seconds"
        minutes: list[int] = []
        for begin in (0, 4_000):
            for second in range(0, 3_601, 10):
                daemon.reporter.source_away(float(second), "no broker answers")
                posted(daemon)
                minutes += [begin + second] * (len(server.bodies) - len(minutes))
            away = daemon.metrics.registry.get_sample_value(gauge)
            daemon.reporter.source_away(0.0, "")
        daemon.close()

    assert minutes == [120, 4_120]
    assert (away, daemon.metrics.registry.get_sample_value(gauge)) == (3_600, 0)
    assert b"Kafka cannot be read" in server.bodies[0]
    assert b"no broker answers" in server.bodies[0]


def test_a_group_without_rest_is_told_to_sentry_once(tmp_path: Path) -> None:
    with answering() as server:
        daemon = made_in(tmp_path, MemoryBroker(), server.dsn)
        told: list[int] = []
        for begin in (0, 4_000):  # two storms, and between them a member that is started anew
            for second in (*range(0, 1_200, 40), 3_000):
                daemon.reporter.rebalanced(float(begin + second))
                posted(daemon)
                told += [begin + second] * (len(server.bodies) - len(told))
        counted = daemon.metrics.registry.get_sample_value("watchkeeper_rebalances_total")
        daemon.close()

    assert told == [480, 4_480]
    assert counted == 62
    assert b"finds no rest" in server.bodies[0]
    assert b"13 rebalances in 10 minutes" in server.bodies[0]


def test_what_cannot_be_closed_keeps_nothing_else_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon, closed = made_in(tmp_path, MemoryBroker()), []

    def broken(timeout: float) -> None:
        raise OSError("the broker's socket is gone")

    monkeypatch.setattr(daemon.source, "close", broken)
    for part in (daemon.sink, daemon.store):
        monkeypatch.setattr(part, "close", lambda *_: closed.append(1))

    with pytest.raises(OSError, match="socket is gone"):
        daemon.close()

    assert len(closed) == 2


def test_the_bounds_of_what_waits_are_those_of_the_configuration(tmp_path: Path) -> None:
    folder = str(tmp_path)
    bounds = Outbox(messages=500, dead_letters=700, dead_letters_mb=3, refused=900, refused_mb=5)
    config = Config(
        daemon=Here(state_dir=folder), database=Database(url=f"sqlite:///{folder}/w.db")
    )
    broker = MemoryBroker()

    made = []
    for each in (config, msgspec.structs.replace(config, outbox=bounds)):
        daemon = Daemon(each, MemorySource(broker, []), MemorySink(broker))
        made.append(daemon.outbox)
        daemon.close()

    plain, narrow = made
    assert (narrow.most, narrow.letters_most) == (500, Most(700, 3 << 20))
    assert narrow.dead_most == Most(900, 5 << 20)
    built_in = outbox.WAITING, outbox.WAITING_LETTERS, outbox.DEAD_LETTERS
    assert (plain.most, plain.letters_most, plain.dead_most) == built_in


class _Resting(MemorySource):
    """A source that tells when it only waits."""

    lull = Lull()


@pytest.mark.parametrize(
    ("kafka", "held_up"),
    [
        (Kafka(profile="low_latency"), True),
        (Kafka(), False),
        (Kafka(profile="low_latency", group_instance_id="watcher-1"), False),
    ],
)
def test_who_shares_a_file_with_others_is_not_held_up_while_it_writes(
    tmp_path: Path, kafka: Kafka, held_up: bool
) -> None:
    broker = MemoryBroker()
    config = Config(
        daemon=Here(state_dir=str(tmp_path)),
        kafka=kafka,
        database=Database(url=f"sqlite:///{tmp_path}/watchkeeper.db"),
    )
    daemon = Daemon(config, _Resting(broker, []), MemorySink(broker))

    assert (daemon.loop.lull is _Resting.lull) is held_up
    assert (daemon.store._pause == _Resting.lull.pause) is held_up
    daemon.close()


def test_label_joins_get_the_memory_that_was_configured(tmp_path: Path) -> None:
    daemon = made_in(tmp_path, MemoryBroker(), join_memory_mb=16)
    joins, each = daemon.loop.pipeline.state.arrays.joins, 10_000

    for first in range(1, 50_001, each):
        for model in range(8):
            keys = (np.arange(first, first + each, dtype=np.uint64) * 8 + model) << np.uint64(20)
            models, at = np.full(each, model), np.zeros(each)
            joins.predictions(models, models.astype(np.int32), keys, at, keys, at, at)
    daemon.close()

    assert joins.short == 8
    assert 8 << 20 < joins.nbytes <= 20 << 20
