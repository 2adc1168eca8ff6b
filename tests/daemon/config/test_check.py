"""What is refused: values of another type or beyond bounds, detectors that cannot be made."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.config.written import HOME, all_settings, problems, written
from watchkeeper.daemon.config import Config, load
from watchkeeper.daemon.config.check import Checked
from watchkeeper.daemon.config.describe import (
    Setting,
)
from watchkeeper.daemon.config.layers import Layer
from watchkeeper.daemon.config.units import Duration


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("[daemon\n", 1, "is not TOML"),
        ('[daemon]\nlog_level = "info"\nlog_level = "debug"\n', 3, "is not TOML"),
        ("a = \n", 1, "is not TOML"),
        ("[kafka]\ngroup_id = [\n", 3, "is not TOML"),
        ("x = " + "[" * 5_000, 0, "nested too deeply"),
        ('kafka = "x"\n', 1, "must be a table"),
        ("models = 1\n", 1, "must hold a table by name"),
        ('[models."a b"]\n', 1, "is no name"),
        ("[defaults]\ndetectors = 1\n", 2, "must be a list of tables"),
        ('[[defaults.detectors]]\nsignal = "latency"\n', 1, "needs detector"),
        ("[kafka]\nbootstrap_servers = []\n", 2, "length >= 1"),
        ('[kafka]\nbootstrap_servers = ["broker"]\n', 2, "is not host:port"),
        ('[web]\nlisten = "0.0.0.0:8321"\n', 2, "allow_public"),
        ('[web]\nlisten = "127.0.0.1:99999"\n', 2, "is no port"),
        ('[kafka]\nsecurity_protocol = "SASL_SSL"\n', 1, "SASL_SSL needs"),
        ('[kafka]\nssl_ca_file = "/x"\n', 2, "has no effect"),
        ('[kafka]\nssl_key_file = "/x"\n', 2, "only together"),
        ('[kafka]\nsasl_password = "x"\n', 2, "may not stand here"),
        ('[topics]\nlabels = "watchkeeper.logs"\n', 2, "already the topic"),
        ('[topics]\nlabels = "a b"\n', 2, "matching regex"),
        ('[database]\nurl = "mysql://x/y"\n', 2, "must begin with"),
        ('[database]\nurl = "sqlite:///:memory:"\n', 2, "forget everything"),
        ('[sentry]\ndsn = "https://example.org"\n', 2, "is no DSN"),
        ('[defaults]\nserving = { target = "mlflow" }\n', 2, "needs mlflow.uri"),
        ("[models.m]\nrecover_windows = 21\n", 2, "more than verify_windows"),
        ('[models.m]\nfalse_alarms = "sometimes"\n', 2, "'1 per 30 days'"),
        ('[daemon]\nfleet_false_alarms = "seldom"\n', 2, "'1 per 30 days'"),
        ('[defaults]\nlateness = "3d"\n', 2, "is outside 0s to 24h"),
        (
            '[models.m]\nwindow = "1s"\nlateness = "1d"\n',
            3,
            "24h keeps 86,400 windows of 1s open, and 1,000 are the most: it may be 1000s, "
            "or the window 86.4s",
        ),
        ('[defaults]\nactions = { rolback = "act" }\n', 2, 'did you mean "rollback"'),
    ],
)
def test_a_bad_file_is_refused_at_its_line(tmp_path: Path, text: str, line: int, part: str) -> None:
    found = problems(tmp_path, text)

    assert any(each.line == line and part in each.message for each in found), found


@pytest.mark.parametrize(
    ("window", "most", "more"),
    [
        ("1s", "1000s", "1001s"),
        ("100ms", "100s", "101s"),
        ("300ms", "5m", "301s"),
        ("86.3s", "86300s", "1d"),
    ],
)
def test_at_most_a_thousand_windows_may_be_open(
    tmp_path: Path, window: str, most: str, more: str
) -> None:
    text = '[defaults]\nwindow = "{}"\nlateness = "{}"\n'

    load([written(tmp_path, text.format(window, most))], HOME)
    (found,) = problems(tmp_path, text.format(window, more))

    assert found.key == "defaults.lateness"
    assert "windows of" in found.message


@pytest.mark.parametrize(
    ("window", "lateness"), [("1s", "1d"), ("100ms", "100.5s"), ("7s", "12345s"), ("333ms", "3h")]
)
def test_what_is_said_to_be_allowed_is(tmp_path: Path, window: str, lateness: str) -> None:
    text = '[defaults]\nwindow = "{}"\nlateness = "{}"\n'
    (found,) = problems(tmp_path, text.format(window, lateness))
    longest, narrowest = re.findall(r"may be (\S+), or the window (\S+)$", found.message)[0]

    load([written(tmp_path, text.format(window, longest))], HOME)
    load([written(tmp_path, text.format(narrowest, lateness))], HOME)


def test_a_model_with_a_window_of_its_own_is_told_beside_the_lateness_of_all(
    tmp_path: Path,
) -> None:
    text = '[defaults]\nwindow = "10m"\nlateness = "1h"\n[models.m]\nwindow = "1s"\n'

    (found,) = problems(tmp_path, text)

    assert found.key == "models.m.lateness"
    assert found.line == 4
    assert "60m keeps 3,600 windows of 1s open" in found.message


@pytest.mark.parametrize(
    ("detector", "part"),
    [
        ({"signal": "latenc", "detector": "threshold"}, 'did you mean "latency"'),
        ({"signal": "latency", "detector": "thresold"}, "did you mean 'threshold'"),
        (
            {"signal": "latency", "detector": "threshold", "settings": {"abov": 1.0}},
            "did you mean 'above'",
        ),
        (
            {"signal": "latency", "detector": "threshold", "settings": {"above": "x"}},
            "Expected `float`",
        ),
    ],
)
def test_a_detector_that_cannot_be_made_is_refused(
    tmp_path: Path, detector: dict[str, Any], part: str
) -> None:
    inner = {name: value for name, value in detector.items() if name != "settings"}
    lines = [f"{name} = {json.dumps(value)}" for name, value in inner.items()]
    for name, value in detector.get("settings", {}).items():
        lines.append(f"settings = {{ {name} = {json.dumps(value)} }}")

    found = problems(tmp_path, "[[models.m.detectors]]\n" + "\n".join(lines))

    assert len(found) == 1
    assert part in found[0].message
    assert found[0].key.startswith("models.m.detectors[0].")


@pytest.mark.parametrize("setting", all_settings(), ids=lambda each: each.key)
def test_every_setting_refuses_a_value_of_another_type(setting: Setting) -> None:
    table = _nested(setting, {"a": {"deep": [1]}})

    checked = Checked(Layer("file", table), Config)

    assert any(each.key.endswith(f".{setting.name}") for each in checked.problems)


def _nested(setting: Setting, value: object) -> dict[str, Any]:
    *path, last = setting.key.split(".")
    table: Any = {last: value}
    for name in reversed(path):
        table = {name: [table] if name in ("detectors", "orders") else table}
    return dict(table)


BOUNDED = [
    each
    for each in all_settings()
    if isinstance(each.default, int | float) and not isinstance(each.default, bool)
]


@pytest.mark.parametrize("setting", BOUNDED, ids=lambda each: each.key)
@pytest.mark.parametrize("side", [-1, 1])
def test_every_number_and_duration_has_bounds(setting: Setting, side: int) -> None:
    far: object = side * 10**12
    if isinstance(setting.default, Duration):
        far = "-1s" if side < 0 else "99999999d"

    checked = Checked(Layer("file", _nested(setting, far)), Config)

    assert [problem.key for problem in checked.problems] == [setting.key]


def test_a_detector_of_the_defaults_that_is_wrong_is_told_once(tmp_path: Path) -> None:
    text = '[[defaults.detectors]]\nsignal = "latency"\ndetector = "x"\n[models.a]\n[models.b]\n'

    found = problems(tmp_path, text)

    assert [each.key for each in found] == ["defaults.detectors[0].detector"]
