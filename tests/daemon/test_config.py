"""The configuration: what is refused, what wins, what is shown."""

from __future__ import annotations

import itertools
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from watchkeeper.daemon.config import Config, ConfigError, Problem, load, load_with_origins
from watchkeeper.daemon.config.check import Checked
from watchkeeper.daemon.config.describe import (
    Setting,
    config_schema,
    example,
    groups,
    markdown,
    values,
)
from watchkeeper.daemon.config.layers import Layer
from watchkeeper.daemon.config.lines import key_lines
from watchkeeper.daemon.config.load import find_files
from watchkeeper.daemon.config.units import Duration, Secret
from watchkeeper.detectors.suite import DEFAULT_WATCHES
from watchkeeper.detectors.types import Severity
from watchkeeper.handlers.types import Mode

HOME = {"HOME": "/home/someone"}


def written(folder: Path, text: str, name: str = "watchkeeper.toml") -> Path:
    """A file with this text."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def problems(
    folder: Path,
    text: str = "",
    environment: Mapping[str, str] = HOME,
    overrides: Mapping[str, Any] | None = None,
) -> list[Problem]:
    """What is wrong with a file of this text."""
    with pytest.raises(ConfigError) as caught:
        load([written(folder, text)], environment, overrides)
    return caught.value.problems


def all_settings() -> list[Setting]:
    """Every setting there is."""
    return list(itertools.chain.from_iterable(group.settings for group in groups()))


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
        ('[defaults]\nactions = { rolback = "act" }\n', 2, 'did you mean "rollback"'),
    ],
)
def test_a_bad_file_is_refused_at_its_line(tmp_path: Path, text: str, line: int, part: str) -> None:
    found = problems(tmp_path, text)

    assert any(each.line == line and part in each.message for each in found), found


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


@pytest.mark.parametrize("setting", all_settings(), ids=lambda each: each.key)
def test_every_setting_is_documented(setting: Setting) -> None:
    assert len(setting.text) > 5
    assert f"### `{setting.key}`" in markdown()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60s", 60), ("5m", 300), ("6h", 21_600), ("7d", 604_800), ("250ms", 0.25), ("1.5h", 5_400)],
)
def test_durations_are_read_with_their_unit(text: str, seconds: float) -> None:
    read = Duration.parse(text)

    assert read == seconds
    assert Duration.parse(str(read)) == read


@pytest.mark.parametrize("text", ["60", "", "s", "1 year", "-5s", "1e3s", "5 m s", 60, 1.5, True])
def test_durations_without_a_unit_are_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"unit|no duration"):
        Duration.parse(text)


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


def test_without_settings_the_built_in_detectors_stand_watch() -> None:
    policy = load([], HOME).policy("any")

    assert policy.watches == tuple(DEFAULT_WATCHES)


def test_a_detector_by_evidence_of_the_users_own_goes_by_the_budget_too(tmp_path: Path) -> None:
    own = (
        '[models.m]\nfalse_alarms = "1 per year"\n[[models.m.detectors]]\n'
        'signal = "features"\ntarget = "*:missing"\ndetector = "shiryaev_roberts_rate"\n'
    )

    watches = load([written(tmp_path, own)], HOME).policy("m").watches

    lengths = {w.settings.get("average_run_length") for w in watches if "shiryaev" in w.detector}
    assert lengths == {2 * 365 * 1_440.0}


def test_a_detector_of_the_defaults_that_is_wrong_is_told_once(tmp_path: Path) -> None:
    text = '[[defaults.detectors]]\nsignal = "latency"\ndetector = "x"\n[models.a]\n[models.b]\n'

    found = problems(tmp_path, text)

    assert [each.key for each in found] == ["defaults.detectors[0].detector"]


def test_the_profile_says_how_records_are_fetched(tmp_path: Path) -> None:
    file = written(tmp_path, '[kafka]\nprofile = "low_latency"\nbatches = false')

    quick = load_with_origins([file], HOME).config.kafka_settings()
    usual = load_with_origins([], HOME).config.kafka_settings()

    assert (quick.fetch_min_bytes, quick.batches) == (1, False)
    assert (usual.fetch_min_bytes, usual.fetch_max_wait_ms, usual.batches) == (65_536, 50, True)


def test_secrets_come_from_files_credentials_and_variables(tmp_path: Path) -> None:
    password = written(tmp_path, "hunter2hunter2\n", "password")
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    dsn = written(credentials, "https://key@sentry.example.org/1\n", "sentry-dsn")
    for path in (password, dsn):
        path.chmod(0o600)
    file = written(
        tmp_path,
        f"""
        [kafka]
        security_protocol = "SASL_SSL"
        sasl_username = "u"
        sasl_password_file = "{password}"
        [database]
        url = "postgresql+psycopg://u@db/w"
        password_file = "{password}"
        """,
    )
    environment = {
        **HOME,
        "CREDENTIALS_DIRECTORY": str(credentials),
        "WATCHKEEPER_MLFLOW__TOKEN": "token-of-mlflow",
    }

    loaded = load_with_origins([file], environment)

    config = loaded.config
    assert config.kafka_settings().sasl_password == "hunter2hunter2"
    assert config.sentry.dsn.reveal() == "https://key@sentry.example.org/1"
    assert config.mlflow.token.reveal() == "token-of-mlflow"
    assert config.database.url == "postgresql+psycopg://u:hunter2hunter2@db/w"
    shown = repr(list(values(loaded)))
    for secret in config.secrets():
        assert secret not in shown
        assert secret not in repr(config.kafka) + repr(config.sentry) + repr(config.mlflow)
    assert set(config.secrets()) >= {"hunter2hunter2", "token-of-mlflow"}


@pytest.mark.parametrize(
    ("text", "mode", "part"),
    [
        ("x\n", 0o644, "may be read by everybody"),
        ("", 0o600, "must hold one line"),
        ("a\nb\n", 0o600, "must hold one line"),
        (None, 0, "cannot be read: No such file"),
    ],
)
def test_a_secret_file_that_is_no_secret_is_refused(
    tmp_path: Path, text: str | None, mode: int, part: str
) -> None:
    secret = tmp_path / "dsn"
    if text is not None:
        secret.write_text(text)
        secret.chmod(mode)

    found = problems(tmp_path, f'[sentry]\ndsn_file = "{secret}"\n')

    assert [(each.line, each.key) for each in found] == [(2, "sentry.dsn_file")]
    assert part in found[0].message


def test_a_dsn_given_twice_is_refused(tmp_path: Path) -> None:
    text = '[sentry]\ndsn = "https://k@h/1"\ndsn_file = "/x"\n'

    assert "given twice" in problems(tmp_path, text)[0].message


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret("hunter2")

    shown = (f"{secret}", str(secret), repr(secret), f"{secret!r:>20}", f"{secret!s}")

    assert not any("hunter2" in each for each in shown)
    assert secret.reveal() == "hunter2"
    assert type(secret.reveal()) is str


def test_the_example_sets_nothing_and_shows_everything(tmp_path: Path) -> None:
    assert tomllib.loads(example()) == {}
    shown = "\n".join(
        line.removeprefix("#")
        for line in example().splitlines()
        if line.startswith("#") and not line.startswith("# ")
    )

    table = tomllib.loads(shown)

    assert Checked(Layer("file", table), Config).problems == []
    hidden = {"kafka.sasl_password", "mlflow.token"}
    for setting in all_settings():
        if setting.key not in hidden:
            at: Any = table
            for part in setting.key.split("."):
                at = (at[0] if isinstance(at, list) else at)[part]


def test_the_schema_knows_every_setting() -> None:
    text = json.dumps(config_schema())

    assert json.loads(text)["additionalProperties"] is False
    for setting in all_settings():
        assert f'"{setting.name}"' in text


def test_kinds_of_topics_follow_the_prefix(tmp_path: Path) -> None:
    file = written(tmp_path, '[topics]\nprefix = "prod."\nlabels = "truth"\n')

    topics = load([file], HOME).topics

    assert topics.name("labels") == "truth"
    assert topics.name("incidents_state") == "prod.incidents.state"


def test_lines_are_found_through_all_of_toml() -> None:
    text = "\n".join(
        [
            "# comment [x]",  # 1
            'a.b = "#[no]"',  # 2
            "[t.'q.r']",  # 3
            'm = """',  # 4
            "fake = 1",  # 5
            '"""',  # 6
            "[[l]]",  # 7
            "k = [ # comment",  # 8
            "  { x = 1 },",  # 9
            "  { y = ']' },",  # 10
            "]",  # 11
            "[[l]]",  # 12
            "[l.sub]",  # 13
            "z = 1979-05-27 07:32:00",  # 14
        ]
    )
    assert tomllib.loads(text)

    lines = key_lines(text)

    assert lines[("a", "b")] == 2
    assert lines[("t", "q.r", "m")] == 4
    assert ("t", "q.r", "fake") not in lines
    assert lines[("l", 0, "k", 1, "y")] == 10
    assert lines[("l", 1, "sub", "z")] == 14


def test_the_addresses_of_webhooks_are_secrets(tmp_path: Path) -> None:
    text = """
        [notify]
        webhooks = ["https://hooks.example.org/T0/very-secret"]
        on_call = "https://hooks.example.org/T1/more-secret"
        """

    loaded = load_with_origins([written(tmp_path, text)], HOME)

    assert loaded.config.notify.webhooks[0].reveal().endswith("/very-secret")
    assert len(loaded.config.secrets()) == 2
    shown = repr(list(values(loaded))) + repr(loaded.config.notify)
    assert "very-secret" not in shown
    assert "more-secret" not in shown


def test_a_webhook_that_is_no_address_is_refused_and_not_shown(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, '[notify]\nwebhooks = ["ftp://very-secret"]\n')

    assert found.key == "notify.webhooks"
    assert "very-secret" not in str(found)
