"""What upstream does to columns is found by its name, opens an incident, and ends with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
import pytest

from tests.playbook import MODEL, Play, objects
from watchkeeper.detectors.mistakes.mistakes import DETECTOR
from watchkeeper.detectors.types import AnyFrame, Finding, PredictionFrame, Severity
from watchkeeper.handlers.types import IncidentState, Kind

QUIET, BROKEN = 20, 6
Numbers = dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]


def swapped(frame: PredictionFrame) -> PredictionFrame:
    amount, age = frame.numeric["amount"], frame.numeric["age"]
    return replace(frame, numeric={"amount": age, "age": amount})


def in_cents(frame: PredictionFrame) -> PredictionFrame:
    return replace(frame, numeric=frame.numeric | {"amount": 0.01 * frame.numeric["amount"]})


def stuck(frame: PredictionFrame) -> PredictionFrame:
    return replace(frame, numeric=frame.numeric | {"age": np.full(len(frame), 41.0)})


def stuck_word(frame: PredictionFrame) -> PredictionFrame:
    return replace(frame, categorical={"country": objects(["FR"] * len(frame))})


def as_text(frame: PredictionFrame) -> PredictionFrame:
    age = objects([str(round(each)) for each in frame.numeric["age"].tolist()])
    numeric = {"amount": frame.numeric["amount"]}
    return replace(frame, numeric=numeric, categorical=frame.categorical | {"age": age})


def renamed(frame: PredictionFrame) -> PredictionFrame:
    numeric = {"amount": frame.numeric["amount"], "years": frame.numeric["age"]}
    return replace(frame, numeric=numeric)


def drifted(frame: PredictionFrame) -> PredictionFrame:
    numeric = {"amount": frame.numeric["amount"] + 9, "age": frame.numeric["age"] * 1.3}
    return replace(frame, numeric=numeric)


@dataclass
class Fed(Play):
    """A play in which something may be done to the features."""

    broken: Callable[[PredictionFrame], PredictionFrame] | None = field(default=None)

    def window(self, *args: object, **fields: object) -> list[AnyFrame]:
        frames = super().window(*args, **fields)  # type: ignore[arg-type]
        break_ = self.broken
        if break_ is None:
            return frames
        return [break_(f) if isinstance(f, PredictionFrame) else f for f in frames]


def told(play: Play) -> dict[str, Finding]:
    every = [f for s in play.steps for f in s.findings if f.detector == DETECTOR]
    return {f.series.target: f for f in every}


def fed(broken: Callable[[PredictionFrame], PredictionFrame]) -> Fed:
    play = Fed()
    play.traffic(QUIET)
    play.broken = broken
    play.traffic(BROKEN)
    return play


@pytest.mark.parametrize(
    ("broken", "target", "said"),
    [
        (swapped, "age and amount:swapped", "have changed places"),
        (in_cents, "amount:unit", "percent and shares"),
        (as_text, "age:type", "another type"),
        (renamed, "age:replaced", "another name"),
    ],
)
def test_it_is_found_by_its_name_and_the_data_are_at_fault(
    broken: Callable[[PredictionFrame], PredictionFrame], target: str, said: str
) -> None:
    play = fed(broken)

    finding = told(play)[target]
    assert said in finding.statement
    assert finding.severity is Severity.WARNING
    assert play.incident.fault.kind is Kind.DATA
    assert target.rpartition(":")[0] in play.incident.fault.place


@pytest.mark.parametrize(
    ("broken", "target"), [(stuck, "age:constant"), (stuck_word, "country:constant")]
)
def test_what_does_not_vary_any_more_explains_and_opens_nothing(
    broken: Callable[[PredictionFrame], PredictionFrame], target: str
) -> None:
    finding = told(fed(broken))[target]

    assert "does not vary any more" in finding.statement
    assert finding.severity is Severity.INFO


def test_it_ends_with_what_was_done() -> None:
    play = fed(in_cents)
    play.broken = None

    play.traffic(12)

    assert play.state() is IncidentState.RESOLVED


def few(frame: PredictionFrame) -> PredictionFrame:
    """What is in order again is only there a few times: too few to say so."""
    amount = frame.numeric["amount"].copy()
    amount[8:] = np.nan
    return replace(frame, numeric=frame.numeric | {"amount": amount})


def test_windows_with_too_little_to_judge_by_are_no_recovery() -> None:
    play = fed(in_cents)
    play.broken = few

    play.traffic(12)

    (unit,) = [h for h in play.pipeline.state.models[MODEL].health if h.detector == DETECTOR]
    assert unit.quiet == 0
    assert play.state() is not IncidentState.RESOLVED


def test_under_a_small_budget_less_is_sure_enough() -> None:
    play = Fed()
    play.policy = msgspec.structs.replace(play.policy, false_alarm_s=1e300)
    play.traffic(QUIET)
    play.broken = in_cents
    play.traffic(BROKEN, n=40)

    made = [f.severity for s in play.steps for f in s.findings if f.detector == DETECTOR]
    assert {*made} == {Severity.INFO}
    assert all(h.detector != DETECTOR for h in play.pipeline.state.models[MODEL].health)


@pytest.mark.parametrize("broken", [drifted, lambda frame: frame])
def test_drift_alone_is_none_of_it(
    broken: Callable[[PredictionFrame], PredictionFrame],
) -> None:
    assert told(fed(broken)) == {}


def test_it_can_be_switched_off() -> None:
    play = Fed()
    policy = msgspec.structs.replace(play.policy, without=("features/*:mistakes",))
    play.policy = policy
    play.traffic(QUIET)
    play.broken = swapped

    play.traffic(BROKEN)

    assert told(play) == {}
