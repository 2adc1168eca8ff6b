from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from tests.services.brokers import Broker
from watchkeeper.daemon.demo import DemoOptions, run_demo


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """The demo is a program of its own and sets up logging for the whole process."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


def last_line(out: str) -> dict[str, object]:
    card = json.loads(out.splitlines()[-1])
    assert isinstance(card, dict)
    return card


@pytest.mark.slow
def test_the_daemon_finds_locates_and_handles_every_fault_without_a_false_page(
    capfd: pytest.CaptureFixture[str],
) -> None:
    code = run_demo(DemoOptions(headless=True, json=True, yes=True, seed=3))

    captured = capfd.readouterr()
    card = last_line(captured.out)
    assert code == 0
    assert (card["faults"], card["found"], card["handled"]) == (5, 5, 5)
    assert card["located"] in (4, 5)
    assert card["false_pages"] == 0
    assert captured.out.count("\n") == 1
    assert "injected: fraud" in captured.err


@pytest.mark.slow
@pytest.mark.service
@pytest.mark.timeout(900)
def test_the_demo_over_a_real_broker_ends_the_same_way(
    kafka: Broker, capfd: pytest.CaptureFixture[str]
) -> None:
    code = run_demo(DemoOptions(headless=True, json=True, yes=True, seed=3, kafka=kafka.bootstrap))

    card = last_line(capfd.readouterr().out)
    assert code == 0
    assert (card["found"], card["handled"], card["false_pages"]) == (5, 5, 0)


def test_a_broker_that_is_not_there_is_said_so(capfd: pytest.CaptureFixture[str]) -> None:
    code = run_demo(DemoOptions(headless=True, kafka="127.0.0.1:1"))

    assert code == 69
    assert "127.0.0.1:1" in capfd.readouterr().err
