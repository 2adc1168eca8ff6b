"""The hosting application as a target."""

from __future__ import annotations

import pytest

from tests.fakes import FakeApplication
from watchkeeper.handlers.checks import DeployerTrial, check_deployer
from watchkeeper.handlers.errors import Refused
from watchkeeper.handlers.targets.application import Application
from watchkeeper.handlers.types import Phase


def _trial() -> DeployerTrial:
    world = FakeApplication()
    return DeployerTrial(
        deployer=lambda: Application(world, world),
        switches=lambda: len(world.switches),
        meddle=lambda version: setattr(world, "version", version),
        model="churn",
        live="v2",
        other="v1",
        third="v3",
    )


def test_it_passes_the_checks_of_every_deployer() -> None:
    check_deployer(_trial)


def test_a_refusal_is_passed_on_with_its_reason() -> None:
    world = FakeApplication(phase=Phase.FAILED)

    with pytest.raises(Refused, match="failed: so be it"):
        Application(world, world).switch("churn", "v1", "act-1")


def test_without_an_answer_only_the_stream_counts() -> None:
    world = FakeApplication(phase=None)
    target = Application(world, world)

    target.switch("churn", "v1", "act-1")

    assert target.verify("churn") == "v2"


def test_its_word_is_believed_until_the_stream_could_show_it() -> None:
    world = FakeApplication(obeys=False)
    now = [100.0]
    target = Application(world, world, settle=60.0, clock=lambda: now[0])

    target.switch("churn", "v1", "act-1")

    assert target.verify("churn") == "v1"
    now[0] += 61
    assert target.verify("churn") == "v2"


def test_its_word_counts_no_more_once_the_stream_shows_another_version() -> None:
    world = FakeApplication(obeys=False)
    target = Application(world, world)
    target.switch("churn", "v1", "act-1")

    world.version = "v3"

    assert target.verify("churn") == "v3"
