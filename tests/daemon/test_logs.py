"""The log: harmless, and without secrets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Literal

import pytest
import structlog

from watchkeeper.daemon.logs import configure

SECRET = "hunter2-canary"
Form = Literal["console", "json"]


@pytest.fixture
def log_to() -> Iterator[Callable[[Form], io.StringIO]]:
    """Configures logging into a text that can be read; puts logging back afterwards."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level

    def start(form: Form) -> io.StringIO:
        out = io.StringIO()
        configure("info", form, [SECRET], out)
        return out

    yield start
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_secret_appears_nowhere(log_to: Callable[[Form], io.StringIO], form: Form) -> None:
    out = log_to(form)
    log = structlog.get_logger()
    event = f"in the event {SECRET}"

    log.info(event, key=SECRET, deep={"a": [SECRET, {"b": SECRET}]})
    log.info("by name", password="anything", dsn="https://k@h/1", api_key=b"x")
    log.info("in a url", url="postgresql://user:pw-canary@db/w")
    logging.getLogger("other").warning("standard %s", SECRET)
    try:
        raise ValueError(f"could not log in with {SECRET}")
    except ValueError:
        log.exception("failed", error=ValueError(SECRET))
        logging.getLogger("other").exception("failed too")

    text = out.getvalue()
    assert text.count("failed") >= 2
    assert "could not log in with ***" in text
    for canary in (SECRET, "anything", "pw-canary", "https://k@h/1"):
        assert canary not in text


@pytest.mark.parametrize("form", ["console", "json"])
def test_control_characters_cannot_forge_a_line(
    log_to: Callable[[Form], io.StringIO], form: Form
) -> None:
    out = log_to(form)

    structlog.get_logger().info("one\nlevel=error forged", model="a\x1b[31m\r\nb\u202ec")
    logging.getLogger("other").warning("two\nforged")

    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert "\x1b[31m" not in out.getvalue()
    assert "\u202e" not in out.getvalue()


def test_json_lines_hold_their_fields(log_to: Callable[[Form], io.StringIO]) -> None:
    out = log_to("json")

    structlog.get_logger().warning("window closed", model="churn", n=3)
    logging.getLogger("kafka.client").info("chatter")
    structlog.get_logger().debug("too much")

    (line,) = out.getvalue().splitlines()
    said = json.loads(line)
    assert (said["event"], said["model"], said["n"], said["level"]) == (
        "window closed",
        "churn",
        3,
        "warning",
    )
    assert said["timestamp"].endswith("Z")


def test_what_the_daemon_says_of_a_broker_is_not_said_by_its_client_too(
    log_to: Callable[[Form], io.StringIO],
) -> None:
    out = log_to("console")

    logging.getLogger("kafka.net.connection").error("Connection failed")
    logging.getLogger("kafka.cluster").error("Topic t not found in cluster metadata")
    logging.getLogger("kafka.coordinator").error("Heartbeat failed")

    assert [line for line in out.getvalue().splitlines() if "Heartbeat" not in line] == []


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(KeyError):
        configure("loud", "json")  # type: ignore[arg-type]
