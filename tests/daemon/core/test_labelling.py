"""Labels told by who told them: a source that lies is found, and the model is not blamed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from tests.daemon.core.test_spread import POLICY, Apart, plain, reference
from tests.playbook import MODEL, Play, objects
from watchkeeper.daemon.core.pipeline import Pipeline
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.core.step import Batch
from watchkeeper.detectors.signals.labels import SOURCES
from watchkeeper.detectors.types import (
    AnyFrame,
    Finding,
    LabelFrame,
    PredictionFrame,
    Severity,
)
from watchkeeper.handlers.rules import RULES
from watchkeeper.handlers.types import IncidentState, Kind

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


def lived(play: Told, liars: tuple[str | None, ...] = ("vendor",), restart_every: int = 0) -> Told:
    """A good time with v1; then v2 is deployed, and at once the liars begin to lie."""
    for i in range(QUIET + LIED):
        if i == QUIET:
            play.change("v2")
            play.liars = liars
        play.traffic(1, version="v1" if i < QUIET else "v2")
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


@dataclass
class Valued(Told):
    """A regressor whose answers are near the truth; a liar tells a hundredth of it."""

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
            value = value + rng.normal(0, 3, n)
            return replace(frame, label=none, score=np.full(n, np.nan), value=value)
        assert frame.source is not None
        lied = np.array([each in self.liars for each in frame.source.tolist()])
        return replace(frame, label=none, value=np.where(lied, 0.01 * value, value))


def test_one_source_that_lies_about_numbers_is_named() -> None:
    play = lived(Valued())

    assert play.incident.fault.kind is Kind.LABELS
    assert play.incident.fault.place == "source vendor"
    assert play.actions == []


def test_without_sources_the_new_version_is_blamed() -> None:
    play = lived(Told(names=(None,)), liars=(None,))

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
    assert state.sources == set()
    assert state.partials == {}
    assert {f.series.target for f in signs(play)} <= {"positive_rate"}


def test_sources_beyond_the_limit_are_one() -> None:
    play = Told(names=tuple(f"source-{i}" for i in range(2 * SOURCES)))

    play.traffic(3, n=1_500)

    samples = {s.series.target for step in play.steps for s in step.samples}
    told = {target for target in samples if target.startswith("source:")}
    assert len(told) == SOURCES
    assert "source:__other__" in told


def test_a_restart_in_the_middle_changes_nothing() -> None:
    straight, stopped = lived(Told()), lived(Told(), restart_every=7)

    assert [f.id for f in signs(straight)] == [f.id for f in signs(stopped)]
    assert signs(straight)


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
