"""What wins: files, drop-ins, the environment, flags; and what a model has of the defaults."""

from __future__ import annotations

from pathlib import Path

from tests.daemon.config.written import HOME, written
from watchkeeper.daemon.config import load, load_with_origins
from watchkeeper.daemon.config.describe import (
    values,
)
from watchkeeper.daemon.config.load import find_files
from watchkeeper.detectors.types import Severity
from watchkeeper.handlers.types import Mode


def test_drop_ins_environment_and_flags_win_in_this_order(tmp_path: Path) -> None:
    main = written(tmp_path, '[kafka]\ngroup_id = "a"\nclient_id = "a"\n[web]\nlisten = "[::1]:1"')
    (tmp_path / "d").mkdir()
    written(tmp_path / "d", '[kafka]\ngroup_id = "c"\n', "20.toml")
    written(tmp_path / "d", '[kafka]\ngroup_id = "b"\nclient_id = "b"\n', "10.toml")
    files = find_files(main, tmp_path / "d")
    environment = {**HOME, "WATCHKEEPER_KAFKA__CLIENT_ID": "e"}

    loaded = load_with_origins(files, environment, {"daemon.log_level": "debug"})

    held = {each.key: (each.value, each.origin) for each in values(loaded)}
    assert held["kafka.group_id"] == ("c", f"{tmp_path / 'd' / '20.toml'}:2")
    assert held["kafka.client_id"] == ("e", "$WATCHKEEPER_KAFKA__CLIENT_ID")
    assert held["web.listen"] == ("[::1]:1", f"{main}:5")
    assert held["daemon.log_level"] == ("debug", "command line")
    assert held["checkpoint.events"] == (5000, "built-in")


def test_variables_take_the_type_of_their_setting() -> None:
    environment = {
        **HOME,
        "WATCHKEEPER_KAFKA__BOOTSTRAP_SERVERS": "a:1, b:2",
        "WATCHKEEPER_KAFKA__GROUP_ID": "7",
        "WATCHKEEPER_CHECKPOINT__EVENTS": "10",
        "WATCHKEEPER_WEB__ALLOW_PUBLIC": "true",
        "WATCHKEEPER_RETRAIN__TRAINER": '["python", "train.py"]',
        "WATCHKEEPER_DEFAULTS__WINDOW": "5m",
        "WATCHKEEPER_DEFAULTS__ACTIONS": '{ rollback = "act" }',
        "WATCHKEEPER_OUTPUT": "json",
    }

    config = load([], environment)

    assert config.kafka.bootstrap_servers == ["a:1", "b:2"]
    assert config.kafka.group_id == "7"
    assert config.checkpoint.events == 10
    assert config.web.allow_public is True
    assert config.retrain.trainer == ["python", "train.py"]
    assert float(config.defaults.window) == 300
    assert config.policy("any").mode_of("rollback") is Mode.ACT


def test_a_variable_finds_the_model_whose_name_it_cannot_spell(tmp_path: Path) -> None:
    file = written(tmp_path, '[models.Churn]\nlearn = 50\n[models."a/b"]\n')

    config = load([file], {**HOME, "WATCHKEEPER_MODELS__CHURN__WINDOW": "5m"})

    assert set(config.models) == {"Churn", "a/b"}
    churn = config.policy("Churn")
    assert (churn.window_s, churn.learn_n) == (300, 50)


def test_a_model_has_the_defaults_below_it(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
        [defaults]
        window = "5m"
        learn = 100
        actions = { rollback = "ask", retrain = "act" }
        without = ["volume/*:silence"]
        [[defaults.detectors]]
        signal = "latency"
        detector = "threshold"
        settings = { above = 1.0 }
        [models.m]
        learn = 200
        actions = { rollback = "act" }
        [[models.m.detectors]]
        signal = "latency"
        detector = "threshold"
        severity = "critical"
        settings = { above = 2.0 }
        """,
    )

    config = load([file], HOME)

    mine, others = config.policy("m"), config.policy("unknown")
    assert (mine.window_s, mine.learn_n, others.learn_n) == (300, 200, 100)
    assert mine.mode_of("rollback") is Mode.ACT
    assert mine.mode_of("retrain") is Mode.ACT
    assert others.mode_of("rollback") is Mode.ASK
    levels = [w for w in mine.watches if (w.signal, w.detector) == ("latency", "threshold")]
    own = next(w for w in levels if w.target == "*")
    assert (own.severity, own.settings) == (Severity.CRITICAL, {"above": 2.0})
    assert not any(w.detector == "silence" for w in mine.watches)
    assert mine.without == ("volume/*:silence",)
