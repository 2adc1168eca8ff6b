"""Which versions answer, also while what the core remembers is being taken up anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from watchkeeper.daemon.actions.traffic import StreamTraffic
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.core.state import State
from watchkeeper.detectors.types import Scalar
from watchkeeper.handlers import switching
from watchkeeper.handlers.targets.application import Application
from watchkeeper.handlers.types import Action, ActionState, Outcome, Phase, VersionRecord


def held() -> State:
    """Two versions have answered; the second does now."""
    state = State(lambda _: ModelPolicy())
    model = state.model("fraud")
    for version, at in (("2", 2.0), ("1", 1.0)):
        model.versions[version] = VersionRecord(version, at, at)
    model.live_version = "2"
    return state


@dataclass
class Obeying:
    """An application that does as it is told; meanwhile its model is taken up anew."""

    state: State

    def request(
        self, key: str, model: str, verb: str, args: Mapping[str, Scalar], timeout: float
    ) -> None:
        self.state.leave([model])

    def answer(self, key: str, timeout: float) -> Outcome | None:
        return Outcome(key, "fraud", Phase.SUCCESSFUL, "", 3.0, "run")


def test_a_switch_succeeds_while_its_model_is_taken_up_anew() -> None:
    state = held()
    target = Application(Obeying(state), StreamTraffic(state))
    ends: dict[str, Scalar] = {"from_version": "2", "to_version": "1"}
    action = Action("a", "i", "fraud", "rollback", ActionState.STARTED, 3.0, 3.0, "", ends)

    outcome = switching.forward(target, action, at=3.0)

    assert (outcome.phase, outcome.reason) == (Phase.SUCCESSFUL, "1 is live instead of 2")


def test_a_model_that_is_half_taken_up_shows_what_it_showed_before() -> None:
    state = held()
    traffic = StreamTraffic(state)

    state.leave(["fraud", "unknown"])
    state.model("fraud")

    assert traffic.live_version("fraud") == "2"
    assert traffic.known_versions("fraud") == ["1", "2"]
    assert traffic.live_version("unknown") is None


def test_a_model_that_was_given_away_shows_nothing() -> None:
    state = held()
    traffic = StreamTraffic(state)

    state.leave(["fraud"])
    state.left.clear()

    assert traffic.live_version("fraud") is None
    assert traffic.known_versions("fraud") == []
