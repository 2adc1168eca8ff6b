from __future__ import annotations

import msgspec
import pytest

from watchkeeper.daemon.demo.application import Application, Order, Said
from watchkeeper.daemon.demo.faults import MINUTE, Effects, standard_script
from watchkeeper.daemon.demo.models import fleet_models
from watchkeeper.daemon.demo.traffic import SLOT
from watchkeeper.detectors.types import Change, Command

START = 1_772_463_600.0
BAD = START + 165 * MINUTE


@pytest.fixture
def application() -> Application:
    return Application.of(fleet_models(), standard_script(START))


def answer(said: list[Said]) -> Command:
    event = said[-1][1]
    assert isinstance(event, Command)
    return event


def switch(version: str, key: str = "act-1") -> Order:
    return Order(key, "fraud", "switch", {"version": version})


def test_a_deployment_holds_from_the_next_slot_on(application: Application) -> None:
    change = application.deploy("fraud", "v2", BAD + 1.0)

    assert application.version_of("fraud", BAD) == "v1"
    assert application.version_of("fraud", BAD + SLOT) == "v2"
    assert change.kind == "deployment"
    assert (change.previous_version, change.model_version) == ("v1", "v2")
    assert change.time.timestamp() == BAD + SLOT


def test_a_switch_brings_the_old_version_back_says_so_and_ends_the_fault(
    application: Application,
) -> None:
    application.deploy("fraud", "v2", BAD)
    bad = next(f for f in application.script.faults if f.deploys)

    said = application.obey(switch("v1"), BAD + 5 * MINUTE)

    change = said[0][1]
    assert isinstance(change, Change)
    assert (change.kind, change.model_version) == ("rollback", "v1")
    assert answer(said).command == "outcome"
    assert answer(said).target == "act-1"
    assert answer(said).args["phase"] == "successful"
    assert application.version_of("fraud", BAD + 5 * MINUTE) == "v1"
    assert application.script.end_of(bad) == BAD + 5 * MINUTE


def test_an_order_is_obeyed_once_and_answered_each_time(application: Application) -> None:
    application.deploy("fraud", "v2", BAD)
    first = application.obey(switch("v1"), BAD + MINUTE)
    application.deploy("fraud", "v2", BAD + 2 * MINUTE)

    second = application.obey(switch("v1"), BAD + 3 * MINUTE)

    assert second == [("command", answer(first))]
    assert application.version_of("fraud", BAD + 4 * MINUTE) == "v2"


def test_a_switch_to_the_live_version_changes_nothing_and_succeeds(
    application: Application,
) -> None:
    said = application.obey(switch("v1"), BAD)

    assert len(said) == 1
    assert answer(said).args["phase"] == "successful"


@pytest.mark.parametrize(
    "order",
    [
        switch("v99"),
        Order("act-1", "fraud", "switch"),
        Order("act-1", "fraud", "sing"),
        Order("act-1", "nobody", "switch", {"version": "v1"}),
    ],
    ids=["unknown version", "no version", "unknown verb", "unknown model"],
)
def test_what_cannot_be_done_fails_with_a_reason(application: Application, order: Order) -> None:
    said = application.obey(order, BAD)

    assert answer(said).args["phase"] == "failed"
    assert answer(said).args["reason"]
    assert application.version_of("fraud", BAD + MINUTE) == "v1"


def test_a_restart_heals_the_leak(application: Application) -> None:
    leak = next(f for f in application.script.faults if f.name == "memory-leak")
    at = leak.start + 10 * MINUTE

    said = application.obey(Order("act-2", "demand", "restart"), at)

    assert answer(said).args["phase"] == "successful"
    assert application.script.effects("demand", at) == Effects()


def test_an_order_that_comes_too_late_is_refused(application: Application) -> None:
    application.deploy("fraud", "v2", BAD)
    late = msgspec.structs.replace(switch("v1"), expires_at=BAD + MINUTE)

    said = application.obey(late, BAD + MINUTE)

    assert answer(said).args["phase"] == "failed"
    assert application.version_of("fraud", BAD + 2 * MINUTE) == "v2"
