from __future__ import annotations

from pathlib import Path

import pytest

from tests.daemon.demo.core_daemon import CoreDaemon
from watchkeeper.daemon.demo.scorecard import ScoreCard
from watchkeeper.daemon.demo.screen import Plain
from watchkeeper.daemon.demo.stage import (
    START,
    DemoOptions,
    Stage,
    demo_config,
    event_topics,
    play,
)
from watchkeeper.daemon.demo.watching import CountedSource, DaemonWatch
from watchkeeper.daemon.demo.wires import MemoryWire
from watchkeeper.daemon.transport.memory import MemoryBroker, MemorySource
from watchkeeper.handlers.types import Mode


def played(folder: Path, seed: int) -> ScoreCard:
    config = demo_config(folder)
    topics = event_topics(config)
    broker = MemoryBroker(dict.fromkeys(topics.values(), 1), retain=20_000)
    wire = MemoryWire(broker, config.topics.name("actions"))
    source = CountedSource(MemorySource(broker, [*topics.values()], max_records=5_000))
    daemon = CoreDaemon(config, source, broker)
    watch = DaemonWatch(daemon, source, wire, topics)
    options = DemoOptions(headless=True, yes=True, seed=seed)
    return play(options, Stage.of(seed, START, topics), watch, wire, Plain(yes=True))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3])
def test_the_core_finds_locates_and_handles_every_fault_without_a_false_page(
    tmp_path: Path, seed: int
) -> None:
    card = played(tmp_path, seed)

    assert (card.faults, card.found, card.handled) == (5, 5, 5)
    assert card.located >= 4
    assert card.pages == ()
    assert card.mean_delay_s is not None
    assert card.mean_delay_s < 600


def test_only_a_rollback_may_act_and_only_after_it_was_approved(tmp_path: Path) -> None:
    config = demo_config(tmp_path)

    for model in config.models.values():
        policy = model.policy(())
        assert policy.mode is Mode.OBSERVE
        assert policy.modes == {"rollback": Mode.ASK}


def test_everything_is_kept_in_the_given_folder(tmp_path: Path) -> None:
    config = demo_config(tmp_path)

    assert config.database.url.startswith(f"sqlite:///{tmp_path}")
    assert config.daemon.state_dir == str(tmp_path)


def test_each_run_over_kafka_has_topics_and_a_group_of_its_own(tmp_path: Path) -> None:
    config = demo_config(tmp_path, prefix="watchkeeper.demo.ab12.", kafka="broker:9092")

    assert config.kafka.bootstrap_servers == ["broker:9092"]
    assert config.kafka.group_id.startswith("watchkeeper.demo.ab12")
    assert set(event_topics(config).values()) >= {
        "watchkeeper.demo.ab12.predictions",
        "watchkeeper.demo.ab12.commands",
    }
