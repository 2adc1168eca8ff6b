"""Labels told by who told them: a source that lies is found, and the model is not blamed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
import pytest

from tests.daemon.core.test_spread import POLICY, Apart, plain, reference
from tests.playbook import MODEL, Play, objects
from watchkeeper.daemon.core.guards import DOUBTED
from watchkeeper.daemon.core.pipeline import Pipeline, context_of
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.core.step import Batch
from watchkeeper.detectors.signals._disagreement import lowest
from watchkeeper.detectors.signals.labels import SOURCES
from watchkeeper.detectors.types import (
    AnyFrame,
    Finding,
    LabelFrame,
    PredictionFrame,
    Severity,
)
from watchkeeper.handlers.rules import RULES
from watchkeeper.handlers.rules.facts import AGREED_WINDOWS
from watchkeeper.handlers.rules.labels import doubted
from watchkeeper.handlers.types import ActionState, IncidentState, Kind, Phase

pytestmark = pytest.mark.slow  # together, by arithmetic that no packaging changes

QUIET, LIED = 60, 12
NAMES = ("crew", "vendor", "users")
OPPOSITE = {"yes": "no", "no": "yes"}


@dataclass
class Told(Play):
    """A play whose labels come from three sources, of which one may lie, or all may."""

    names: tuple[str | None, ...] = NAMES
    liars: tuple[str | None, ...] = field(default=())
    constant: str | None = None

    def window(self, *args: object, **fields: object) -> list[AnyFrame]:
        frames = super().window(*args, **fields)  # type: ignore[arg-type]
        return [self._told(f) if isinstance(f, LabelFrame) else f for f in frames]

    def _told(self, frame: LabelFrame) -> LabelFrame:
        source = [self.names[int(r[1:]) % len(self.names)] for r in frame.request_id.tolist()]
        said = [
            OPPOSITE[label] if name in self.liars else self.constant or label
            for name, label in zip(source, frame.label.tolist(), strict=True)
        ]
        names = objects(source) if any(source) else None
        return replace(frame, label=objects(said), source=names)


def lived(
    play: Told,
    liars: tuple[str | None, ...] = ("vendor",),
    restart_every: int = 0,
    deployed: int = QUIET // 2,
) -> Told:
    """A good time, in which v2 is deployed; then the liars begin to lie."""
    for i in range(QUIET + LIED):
        if i == deployed:
            play.change("v2")
        if i == QUIET:
            play.liars = liars
        play.traffic(1, version="v1" if i < deployed else "v2")
        if restart_every and i % restart_every == 0:
            play.restarted()
    return play


def signs(play: Play) -> list[Finding]:
    return [f for s in play.steps for f in s.findings if f.series.signal == "labels"]


def test_one_source_that_lies_is_named_and_no_model_is_rolled_back() -> None:
    play = lived(Told())

    fault = play.incident.fault
    assert fault.kind is Kind.LABELS
    assert fault.place == "source vendor"
    assert fault.confidence > 0.9
    assert play.actions == []
    said = " ".join(each.text for each in fault.evidence)
    assert "ML02 Data Poisoning" in said
    assert "T0020" in said


def test_a_new_version_that_is_worse_where_one_source_labels_is_not_acquitted() -> None:
    play = lived(Told(), deployed=QUIET)
    (rollback,) = play.actions

    play.outcome(rollback, what="preflight")

    fault = play.incident.fault
    assert fault.kind is Kind.MODEL
    assert fault.probabilities[Kind.LABELS] >= DOUBTED
    assert play.action_state() is ActionState.HELD
    assert "the labels; preflight: said the test" in play.actions[0].reason


def test_a_source_agrees_with_a_version_only_once_its_detectors_can_tell() -> None:
    play = Told()

    play.traffic(QUIET // 3)
    first = agreements(play, "crew", "v1")
    play.traffic(QUIET)

    assert first == 0
    assert agreements(play, "crew", "v1") >= AGREED_WINDOWS


def test_a_source_that_contradicts_a_version_from_its_first_label_never_agrees_with_it() -> None:
    play = Told(names=("crew", "users", "crew"))
    play.traffic(QUIET)
    play.change("v2")
    play.names, play.liars = NAMES, ("vendor",)

    for _ in range(QUIET):
        play.traffic(1, version="v2")

    assert agreements(play, "vendor", "v2") == 0
    assert agreements(play, "crew", "v2") >= AGREED_WINDOWS


def agreements(play: Play, source: str, version: str) -> int:
    """In how many windows a source agreed with a version."""
    heard = play.pipeline.state.models[MODEL].heard
    assert heard is not None
    return heard.agreed.get(source, {}).get(version, 0)


def test_where_the_old_version_is_worse_today_it_is_not_gone_back_to() -> None:
    play = lived(Told(), deployed=QUIET)

    play.outcome(play.actions[0], Phase.FAILED, what="preflight")

    assert play.action_state() is ActionState.REFUSED


@dataclass
class Valued(Told):
    """A regressor whose answers are near the truth; a liar tells a hundredth of it. Once somebody
    lies the answers are off by `worse`, too."""

    worse: float = 3.0

    def window(self, *args: object, **fields: object) -> list[AnyFrame]:
        frames = super().window(*args, **fields)
        return [
            self._valued(f) if isinstance(f, PredictionFrame | LabelFrame) else f for f in frames
        ]

    def _valued(self, frame: PredictionFrame | LabelFrame) -> PredictionFrame | LabelFrame:
        n = len(frame)
        value = np.array([50.0 + 7 * (int(r[1:]) % 13) for r in frame.request_id.tolist()])
        none = objects([None] * n)
        if isinstance(frame, PredictionFrame):
            rng = np.random.default_rng(int(frame.at[0]))
            value = value + rng.normal(0, self.worse if self.liars else 3.0, n)
            return replace(frame, label=none, score=np.full(n, np.nan), value=value)
        source = [None] * n if frame.source is None else frame.source.tolist()
        lied = np.array([each in self.liars for each in source])
        return replace(frame, label=none, value=np.where(lied, 0.01 * value, value))


def test_one_source_that_lies_about_numbers_is_named() -> None:
    play = lived(Valued())

    assert play.incident.fault.kind is Kind.LABELS
    assert play.incident.fault.place == "source vendor"
    assert play.actions == []
    assert any("all other sources" in each.text for each in play.incident.fault.evidence)


def test_numbers_that_got_worse_by_all_labels_are_not_called_as_before() -> None:
    play = lived(Valued(worse=30.0), liars=("vendor",))

    text = " ".join(each.text for each in play.incident.fault.evidence)
    assert "as well as before" not in text
    assert "labels of the other sources say that it got worse, too" in text


def test_without_sources_the_new_version_is_blamed() -> None:
    play = lived(Told(names=(None,)), liars=(None,), deployed=QUIET)

    assert play.incident.fault.kind is Kind.MODEL
    assert [action.kind for action in play.actions] == ["rollback"]


def test_when_all_sources_say_it_is_worse_it_is_the_model() -> None:
    play = lived(Told(), liars=NAMES)

    assert play.incident.fault.kind is Kind.MODEL
    assert {f.series.target for f in signs(play) if f.severity is not Severity.INFO} == set()


def test_one_source_among_labels_of_nobody_is_found() -> None:
    play = lived(Told(names=("vendor", None, None)))

    assert play.incident.fault.kind is Kind.LABELS
    assert play.incident.fault.place == "source vendor"


def test_labels_that_all_say_the_same_are_not_trusted() -> None:
    play = Told(names=(None,))
    play.traffic(QUIET)
    play.constant = "no"
    play.traffic(LIED)

    assert play.incident.fault.kind is Kind.LABELS
    assert play.actions == []


def test_sources_that_tell_the_truth_open_nothing() -> None:
    play = Told()

    play.traffic(150)

    assert play.incidents == []
    assert [f for f in signs(play) if f.severity is not Severity.INFO] == []


def test_an_incident_of_labels_ends_when_they_are_right_again() -> None:
    play = lived(Told())
    play.liars = ()

    play.traffic(30, version="v2")

    assert play.state() is IncidentState.RESOLVED


def test_nothing_is_kept_by_source_where_none_is_named() -> None:
    play = lived(Told(names=(None,)), liars=())

    state = play.pipeline.state.models[MODEL]
    assert state.heard is None
    assert state.partials == {}
    assert {f.series.target for f in signs(play)} <= {"positive_rate"}


def test_sources_beyond_the_limit_are_one() -> None:
    play = Told(names=tuple(f"source-{i}" for i in range(2 * SOURCES)))

    play.traffic(3, n=1_500)

    assert len(told_of(play)) == SOURCES
    assert "source:__other__" in told_of(play)


@pytest.mark.parametrize("valued", [False, True])
def test_a_share_is_one_of_all_labels_also_of_windows_in_which_nobody_is_named(
    valued: bool,
) -> None:
    play = Valued() if valued else Told()

    for i in range(30):
        play.names = ("vendor",) if i % 10 == 0 else (None,)
        play.traffic(1)

    assert share_of(play, "vendor") == pytest.approx(0.1, abs=0.02)


def test_a_share_is_one_of_the_labels_of_all_versions() -> None:
    play = Told(names=("vendor",))
    play.traffic(5)
    play.names = (None,)

    play.traffic(5, version="v2")

    assert share_of(play, "vendor") == pytest.approx(0.5, abs=0.07)


def share_of(play: Play, source: str) -> float:
    """A source's share of all labels."""
    heard = play.pipeline.state.models[MODEL].heard
    assert heard is not None
    (share,) = (each.share for each in heard.records() if each.name == source)
    return share


def told_of(play: Play) -> set[str]:
    """The sources that samples are about."""
    samples = {s.series.target for step in play.steps for s in step.samples}
    return {target for target in samples if target.startswith("source:")}


@pytest.mark.parametrize("crews", [100, 400])
def test_a_source_that_tells_much_is_told_apart_among_any_number_of_others(crews: int) -> None:
    names = [f"crew-{i}" for i in range(crews)]
    last = lowest(names, crews)[-1]
    play = Told(names=tuple(name for each in names if each != last for name in (each, last)))

    play.traffic(3, n=1_500)

    assert f"source:{last}" in told_of(play)


def test_a_new_source_takes_the_place_of_one_that_tells_nothing_any_more() -> None:
    play = Told(names=tuple(f"old-{i}" for i in range(SOURCES)))
    play.traffic(3, n=1_500)
    play.names = ("new", "old-0")

    play.traffic(6, n=200)

    assert "source:new" in told_of(play)
    model = play.pipeline.state.models[MODEL]
    assert model.heard is not None
    assert len(model.heard.apart) == SOURCES - 1
    (gone,) = {series for step in play.steps for series, _ in step.gone}
    assert gone.target.startswith("source:old-")
    assert gone not in model.judges


def test_a_restart_in_the_middle_changes_nothing() -> None:
    straight, stopped = lived(Told()), lived(Told(), restart_every=7)

    assert [f.id for f in signs(straight)] == [f.id for f in signs(stopped)]
    assert signs(straight)


def test_windows_of_another_width_are_heard_anew() -> None:
    play = Told()
    play.traffic(3)
    play.policy = msgspec.structs.replace(play.policy, window_s=300.0)
    play.restarted()

    assert play.pipeline.state.models[MODEL].heard is None
    play.traffic(12)

    heard = play.pipeline.state.models[MODEL].heard
    assert heard is not None
    assert heard.apart == sorted(NAMES)


def test_labels_that_come_before_their_predictions_keep_their_source() -> None:
    play = Told()

    for i in range(QUIET + LIED):
        play.liars = ("vendor",) if i >= QUIET else ()
        for frame in reversed(play.window(delay=0)):
            play.step(Batch([frame]))

    assert "source:vendor" in {f.series.target for f in signs(play)}


def test_batches_of_any_size_are_the_same_labels() -> None:
    whole, cut = Told(), Told()

    for i in range(QUIET + LIED):
        whole.liars = cut.liars = ("vendor",) if i >= QUIET else ()
        whole.traffic(1)
        for frame in cut.window():
            for rows in np.array_split(np.arange(len(frame)), 3):
                cut.step(Batch([frame.take(rows)]))

    assert [f.id for f in signs(whole)] == [f.id for f in signs(cut)]
    assert signs(whole)


def test_labels_of_a_spread_model_are_told_apart_as_those_of_one_partition() -> None:
    play = Told()
    whole = Pipeline(State(lambda _: POLICY), RULES, ())
    apart = Apart(2)
    whole.step(Batch(profiles=[reference()]))
    apart.refer(reference())
    found: list[Finding] = []

    for i in range(QUIET + LIED):
        play.liars = ("vendor",) if i >= QUIET else ()
        frames = play.window()
        found += whole.step(Batch(frames)).findings
        apart.read(frames)
        for number in (1, 0):
            apart.checkpoint(number)
            apart.tell(number)

    told = [f for f in apart.findings if f.series.target == "source:vendor"]
    assert told
    assert plain(told) == plain(
        [f for f in found if f.series.target == "source:vendor"][: len(told)]
    )


def test_sources_of_a_spread_model_are_bound_in_common() -> None:
    play = Told(names=tuple(f"source-{i}" for i in range(2 * SOURCES)))
    whole = Pipeline(State(lambda _: POLICY), RULES, ())
    apart = Apart(3)

    for _ in range(4):
        frames = play.window(n=1_500)
        whole.step(Batch(frames))
        apart.read(frames)
        for number in (2, 0, 1):
            apart.checkpoint(number)
            apart.tell(number)

    of_whole = whole.state.models[MODEL].heard
    of_shares = apart.owner.state.models[MODEL].heard
    assert of_whole is not None
    assert of_shares is not None
    assert of_shares.apart == of_whole.apart
    assert len(of_shares.apart) == SOURCES - 1


def test_many_small_sources_are_learned_from_where_most_labels_are_theirs() -> None:
    crews, users = [f"crew-{i}" for i in range(SOURCES - 1)], [f"user-{i}" for i in range(400)]
    play = Told(names=tuple(crews * 4 + users))

    for i in range(QUIET):
        play.liars = tuple(users) if i >= QUIET - LIED else ()
        play.traffic(1, n=524)

    state = play.pipeline.state
    known = context_of(state.models[MODEL], state.policy(MODEL))
    assert {f.series.target for f in signs(play)} >= {"source:__other__"}
    assert doubted(play.incident, known) == []
