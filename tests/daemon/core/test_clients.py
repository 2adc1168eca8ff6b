"""Attacks as the core sees them: models that ask for it compare their clients with each other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
import pytest

from tests.daemon.core.test_spread import POLICY, Apart, plain, reference
from tests.playbook import MODEL, PER_WINDOW, Play, objects
from watchkeeper.daemon.core.clients import REMEMBERED
from watchkeeper.daemon.core.pipeline import Pipeline
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.core.step import Batch
from watchkeeper.detectors.types import AnyFrame, Finding, PredictionFrame, Severity
from watchkeeper.handlers.rules import RULES
from watchkeeper.handlers.types import Kind

QUIET, ATTACKED = 60, 6
ASKED = 40  # requests of the attacker, of 120 in a window


@dataclass
class Watched(Play):
    """A play in which clients may be compared, and one of them may walk along the border."""

    compared: bool = True
    walking: bool = field(default=False)
    evading: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.policy = msgspec.structs.replace(self.policy, attacks=self.compared)

    def window(self, *args: object, **fields: object) -> list[AnyFrame]:
        frames = super().window(*args, **fields)  # type: ignore[arg-type]
        if self.evading:
            frames = [_evaded(f) if isinstance(f, PredictionFrame) else f for f in frames]
        if not self.walking:
            return frames
        return [_walked(f) if isinstance(f, PredictionFrame) else f for f in frames]


def _walked(frame: PredictionFrame) -> PredictionFrame:
    """Every third request is the attacker's: nearly the same input, a score near one half."""
    mine = np.arange(len(frame)) % 3 == 0
    rng = np.random.default_rng(frame.seq.size + int(frame.at[0]))
    entity = objects(["attacker" if m else e for m, e in zip(mine, frame.entity, strict=True)])
    near = {
        name: np.where(mine, 45 + 0.1 * rng.normal(size=len(frame)), column)
        for name, column in frame.numeric.items()
    }
    score = np.where(
        mine, 0.5 + 0.02 * rng.random(len(frame)) * np.sign(frame.score - 0.5), frame.score
    )
    return replace(frame, entity=entity, numeric=near, score=score)


def _evaded(frame: PredictionFrame) -> PredictionFrame:
    """Every third request is the attacker's, and answered wrong."""
    mine = (np.arange(len(frame)) % 3 == 0).tolist()
    entity = ["attacker" if m else e for m, e in zip(mine, frame.entity.tolist(), strict=True)]
    opposite = {"yes": "no", "no": "yes"}
    label = [opposite[y] if m else y for m, y in zip(mine, frame.label.tolist(), strict=True)]
    return replace(frame, entity=objects(entity), label=objects(label))


def attacked(play: Play, restart_every: int = 0) -> None:
    assert isinstance(play, Watched)
    for i in range(QUIET + ATTACKED):
        play.walking = i >= QUIET
        play.traffic(1)
        if restart_every and i % restart_every == 0:
            play.restarted()


def signs(play: Play) -> list[Finding]:
    return [f for s in play.steps for f in s.findings if f.series.signal == "clients"]


def test_walking_along_the_border_is_an_attack_with_its_names() -> None:
    play = Watched()

    attacked(play)

    assert "boundary" in {f.series.target for f in signs(play)}
    assert play.incident.fault.kind is Kind.ATTACK
    said = " ".join(each.text for each in play.incident.fault.evidence)
    assert "ML01 Input Manipulation" in said
    assert "T0043.001" in said


def test_an_evasion_that_succeeds_is_evidence_by_the_labels() -> None:
    straight, stopped = Watched(), Watched()

    for play in (straight, stopped):
        for i in range(QUIET + ATTACKED):
            play.evading = play.walking = i >= QUIET
            play.traffic(1)
            if play is stopped and i % 7 == 0:
                play.restarted()

    success = [f for f in signs(straight) if f.series.target == "success"]
    assert success
    assert success[-1].value > 0.5
    assert [f.id for f in signs(straight)] == [f.id for f in signs(stopped)]
    assert straight.incident.fault.kind is Kind.ATTACK
    assert "T0015" in " ".join(each.text for each in straight.incident.fault.evidence)


def test_requests_are_remembered_up_to_a_limit() -> None:
    play = Watched()

    play.traffic(REMEMBERED // PER_WINDOW + 10)

    assert len(play.pipeline.state.models[MODEL].asked) == REMEMBERED


def test_quiet_clients_open_nothing() -> None:
    play = Watched()

    play.traffic(120)

    assert play.incidents == []
    assert [f for f in signs(play) if f.severity is not Severity.INFO] == []


def test_nothing_is_sketched_of_models_that_do_not_ask_for_it() -> None:
    play = Watched(compared=False)

    attacked(play)

    assert {f.series.target for f in signs(play)} <= {""}
    assert play.pipeline.state.models[MODEL].partials == {}


@pytest.mark.slow
def test_a_restart_in_the_middle_changes_nothing() -> None:
    straight, stopped = Watched(), Watched()

    attacked(straight)
    attacked(stopped, restart_every=7)

    assert [f.id for f in signs(straight)] == [f.id for f in signs(stopped)]
    assert signs(straight)


@pytest.mark.slow
def test_batches_of_any_size_are_the_same_clients() -> None:
    whole, cut = Watched(), Watched()

    attacked(whole)
    for i in range(QUIET + ATTACKED):
        cut.walking = i >= QUIET
        for frame in cut.window():
            for rows in np.array_split(np.arange(len(frame)), 3):
                cut.step(Batch([frame.take(rows)]))

    assert [f.id for f in signs(whole)] == [f.id for f in signs(cut)]


def comparing() -> Pipeline:
    policy = msgspec.structs.replace(POLICY, attacks=True)
    return Pipeline(State(lambda _: policy), RULES, ())


@pytest.mark.slow
def test_clients_of_a_spread_model_are_compared_as_those_of_one_partition() -> None:
    play, whole, apart = Watched(), comparing(), Apart(2, owner=comparing())
    apart.shares = [comparing() for _ in range(2)]
    whole.step(Batch(profiles=[reference()]))
    apart.refer(reference())
    found: list[Finding] = []

    for i in range(QUIET + ATTACKED):
        play.walking = i >= QUIET
        frames = play.window()
        found += whole.step(Batch(frames)).findings
        apart.read(frames)
        for number in (1, 0):
            apart.checkpoint(number)
            apart.tell(number)

    told = [f for f in apart.findings if f.series.target == "boundary"]
    assert told
    assert plain(told) == plain([f for f in found if f.series.target == "boundary"][: len(told)])
