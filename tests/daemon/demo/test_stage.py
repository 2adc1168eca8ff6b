from __future__ import annotations

from pathlib import Path

from watchkeeper.daemon.demo.stage import START, Stage, demo_config, event_topics
from watchkeeper.handlers.types import Mode


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


def test_a_stage_plays_the_standard_script_with_its_own_versions(tmp_path: Path) -> None:
    stage = Stage.of(1, START, event_topics(demo_config(tmp_path)))
    bad = next(fault for fault in stage.script.faults if fault.deploys)

    stage.application.deploy(bad.model, bad.deploys, START)
    stage.fleet.advance(START + 60)

    assert stage.fleet.vitals[bad.model].version == bad.deploys
