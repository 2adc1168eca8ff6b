"""A registry and a server as one target."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import Crash, FakeApplication, FakeDeployer, FakeRegistry
from tests.handlers import cases
from watchkeeper.handlers.checks import DeployerTrial, check_deployer
from watchkeeper.handlers.errors import Refused, Unreachable
from watchkeeper.handlers.switching import move
from watchkeeper.handlers.targets.application import Application
from watchkeeper.handlers.targets.combined import Combined
from watchkeeper.handlers.targets.registry import Registry
from watchkeeper.handlers.types import Phase

_CALLS = st.sets(st.integers(1, 30), max_size=8)


def _trial() -> DeployerTrial:
    port, world = FakeRegistry(), FakeApplication()

    def meddle(version: str) -> None:
        port.lives["churn"] = world.version = version

    return DeployerTrial(
        deployer=lambda: Combined(Registry(port), Application(world, world)),
        switches=lambda: len(world.switches),
        meddle=meddle,
        model="churn",
        live="v2",
        other="v1",
        third="v3",
    )


def test_it_passes_the_checks_of_every_deployer() -> None:
    check_deployer(_trial)


def test_it_is_not_done_before_both_say_so() -> None:
    port, world = FakeRegistry(), FakeApplication(phase=None)
    target = Combined(Registry(port), Application(world, world))

    outcome = move(target, cases.action(), "v2", "v1", step="run", at=0.0)

    assert outcome.phase is Phase.INCONCLUSIVE
    assert port.lives["churn"] == "v1"


def test_the_registry_is_put_back_when_the_application_refuses() -> None:
    port, world = FakeRegistry(), FakeApplication(phase=Phase.FAILED)
    target = Combined(Registry(port), Application(world, world))

    with pytest.raises(Refused):
        target.switch("churn", "v1", "act-1")

    assert port.lives["churn"] == "v2"


class _Silent(FakeDeployer):
    """Takes orders for lost until it is back."""

    away = True

    def switch(self, model: str, version: str, key: str) -> None:
        if self.away:
            raise Unreachable("no answer")
        super().switch(model, version, key)


def test_a_server_that_does_not_answer_leaves_the_two_apart_until_it_is_asked_again() -> None:
    registry, serving = FakeDeployer(), _Silent()
    target = Combined(registry, serving)

    silent = move(target, cases.action(), "v2", "v1", step="run", at=0.0)
    apart = (registry.live, serving.live)
    serving.away = False
    again = move(target, cases.action(), "v2", "v1", step="run", at=0.0)

    assert (silent.phase, apart) == (Phase.INCONCLUSIVE, ("v1", "v2"))
    assert again.phase is Phase.SUCCESSFUL
    assert (registry.switches, serving.switches) == (["v1"], ["v1"])


@given(registry=_CALLS, serving=_CALLS)
def test_no_interleaving_of_crashes_leaves_the_two_apart_or_switches_twice(
    registry: set[int], serving: set[int]
) -> None:
    first, second = FakeDeployer(crash_after=registry), FakeDeployer(crash_before=serving)

    while True:
        try:
            target = Combined(first, second)
            outcome = move(target, cases.action(), "v2", "v1", step="run", at=0.0)
            break
        except Crash:
            continue

    assert outcome.phase is Phase.SUCCESSFUL
    assert (first.switches, second.switches) == (["v1"], ["v1"])
