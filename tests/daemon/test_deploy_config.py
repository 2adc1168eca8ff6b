"""The configuration that is shipped as an example."""

from __future__ import annotations

from pathlib import Path

from watchkeeper.daemon.config import load
from watchkeeper.handlers.types import Mode

EXAMPLE = Path(__file__).parents[2] / "deploy" / "watchkeeper.toml"


def test_the_shipped_example_is_accepted_with_its_credentials(tmp_path: Path) -> None:
    for name, text in (
        ("kafka-password", "secret"),
        ("database-password", "secret"),
        ("sentry-dsn", "https://key@sentry.example.org/1"),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o400)

    config = load([EXAMPLE], {"HOME": "/", "CREDENTIALS_DIRECTORY": str(tmp_path)})

    assert config.policy("fraud").mode_of("rollback") is Mode.ACT
    assert config.policy("fraud").mode_of("promote") is Mode.ASK
    assert config.policy("other").mode_of("rollback") is Mode.OBSERVE
