"""Secrets: where they may come from, and that nothing shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.daemon.config.written import HOME, problems, written
from watchkeeper.daemon.config import load_with_origins
from watchkeeper.daemon.config.describe import (
    values,
)
from watchkeeper.daemon.config.units import Secret


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
