"""The daemon's own registry as a target."""

from __future__ import annotations

from tests.fakes import FakeRegistry
from watchkeeper.handlers.checks import DeployerTrial, check_deployer
from watchkeeper.handlers.targets.registry import Artefact, NewVersion, Registry


def _trial() -> DeployerTrial:
    port = FakeRegistry()
    return DeployerTrial(
        deployer=lambda: Registry(port),
        switches=lambda: len(port.changes),
        meddle=lambda version: port.lives.update(churn=version),
        model="churn",
        live="v2",
        other="v1",
        third="v3",
    )


def test_it_passes_the_checks_of_every_deployer() -> None:
    check_deployer(_trial)


def test_a_candidate_is_available_but_not_live() -> None:
    port = FakeRegistry()
    new = NewVersion("v4", Artefact("/models/x.onnx", "ab" * 32), "v2", "cd" * 32)

    for _ in range(2):
        assert Registry(port).register("churn", new, "act-retrain") == "v4"

    assert port.known["churn"] == ["v1", "v2", "v3", "v4"]
    assert Registry(port).current("churn") == "v2"
