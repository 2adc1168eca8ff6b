"""The whole configuration as it is loaded: what it holds, and all problems at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.daemon.config.written import HOME, problems, written
from watchkeeper.daemon.config import ConfigError, load, load_with_origins
from watchkeeper.detectors.suite import DEFAULT_WATCHES
from watchkeeper.handlers.types import Mode


def test_without_anything_every_setting_has_a_value() -> None:
    config = load([], HOME)

    assert config.kafka.bootstrap_servers == ["localhost:9092"]
    assert config.daemon.state_dir == "/home/someone/.local/state/watchkeeper"
    assert config.database.url == "sqlite:////home/someone/.local/state/watchkeeper/watchkeeper.db"
    assert config.daemon.instance
    assert config.policy("any").mode is Mode.OBSERVE


def test_all_problems_are_told_at_once_each_with_its_line(tmp_path: Path) -> None:
    text = (
        '[daemon]\nlog_levl = "info"\n\n[kafka]\ngroup_id = 7\nsession_timeout = 45\n'
        '[models.churn]\nmode = "acts"\n'
    )

    found = problems(tmp_path, text)

    assert [(each.line, each.key) for each in found] == [
        (2, "daemon.log_levl"),
        (5, "kafka.group_id"),
        (6, "kafka.session_timeout"),
        (8, "models.churn.mode"),
    ]
    file = tmp_path / "watchkeeper.toml"
    assert str(found[0]) == f'{file}:2: daemon.log_levl: is unknown; did you mean "log_level"?'
    assert found[1].message == "expected text, got a whole number"
    assert "needs its unit" in found[2].message
    assert found[3].message == '"acts" is not allowed; did you mean "act"?'


def test_problems_of_files_environment_and_flags_come_together(tmp_path: Path) -> None:
    environment = {**HOME, "WATCHKEEPER_KAFKA__GROUP": "x"}

    found = problems(tmp_path, "[web]\nlisten = 1\n", environment, {"daemon.log_level": "loud"})

    assert {each.file for each in found} == {
        str(tmp_path / "watchkeeper.toml"),
        "environment",
        "command line",
    }
    assert next(e for e in found if e.file == "environment").key == "$WATCHKEEPER_KAFKA__GROUP"


@pytest.mark.parametrize(
    ("raw", "part"),
    [(b"\xff\xfe", "is not UTF-8"), (b"#" * 4_000_001, "larger than"), (None, "cannot be read")],
)
def test_a_file_that_cannot_be_read_is_a_problem(
    tmp_path: Path, raw: bytes | None, part: str
) -> None:
    path = tmp_path / "w.toml"
    if raw is not None:
        path.write_bytes(raw)

    with pytest.raises(ConfigError, match=part):
        load([path], HOME)


def test_without_settings_the_built_in_detectors_stand_watch() -> None:
    policy = load([], HOME).policy("any")

    assert policy.watches == tuple(DEFAULT_WATCHES)


def test_a_detector_by_evidence_of_the_users_own_goes_by_the_budget_too(tmp_path: Path) -> None:
    own = (
        '[models.m]\nfalse_alarms = "1 per year"\n[[models.m.detectors]]\n'
        'signal = "features"\ntarget = "*:missing"\ndetector = "shiryaev_roberts_rate"\n'
    )

    watches = load([written(tmp_path, own)], HOME).policy("m").watches

    mine = ("features", "*:missing", "shiryaev_roberts_rate")
    lengths = [
        each.settings.get("average_run_length")
        for each in watches
        if (each.signal, each.target, each.detector) == mine
    ]
    assert lengths == [2 * 365 * 1_440.0]


def test_the_profile_says_how_records_are_fetched(tmp_path: Path) -> None:
    file = written(tmp_path, '[kafka]\nprofile = "low_latency"\nbatches = false')

    quick = load_with_origins([file], HOME).config.kafka_settings()
    usual = load_with_origins([], HOME).config.kafka_settings()

    assert (quick.fetch_min_bytes, quick.batches) == (1, False)
    assert (usual.fetch_min_bytes, usual.fetch_max_wait_ms, usual.batches) == (65_536, 50, True)


def test_kinds_of_topics_follow_the_prefix(tmp_path: Path) -> None:
    file = written(tmp_path, '[topics]\nprefix = "prod."\nlabels = "truth"\n')

    topics = load([file], HOME).topics

    assert topics.name("labels") == "truth"
    assert topics.name("incidents_state") == "prod.incidents.state"
