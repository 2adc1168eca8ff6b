"""Drift that no feature shows on its own is found in models that ask for it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
import pytest

from tests.daemon.core import test_spread
from tests.playbook import MODEL, Play
from watchkeeper.daemon.config.models import ModelSettings
from watchkeeper.daemon.core.step import Batch
from watchkeeper.detectors.joint.learned import learned_with_joint
from watchkeeper.detectors.joint.rows import MOST
from watchkeeper.detectors.profiling import learn_profile
from watchkeeper.detectors.suite import DEFAULT_WATCHES
from watchkeeper.detectors.types import AnyFrame, Finding, PredictionFrame, Severity

QUIET, APART = 30, 8


@dataclass
class Related(Play):
    """A play with features of which two go together, until they do not."""

    correlation: float = 0.8
    asked: bool = field(default=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.policy = msgspec.structs.replace(self.policy, multivariate=self.asked)

    def window(self, *args: object, **fields: object) -> list[AnyFrame]:
        frames = super().window(*args, **fields)  # type: ignore[arg-type]
        return [self._related(f) if isinstance(f, PredictionFrame) else f for f in frames]

    def _related(self, frame: PredictionFrame) -> PredictionFrame:
        random = np.random.default_rng([self.seed, self._requests, 1])
        drawn = random.normal(size=(4, len(frame)))
        drawn[1] = self.correlation * drawn[0] + np.sqrt(1 - self.correlation**2) * drawn[1]
        columns = zip(("income", "rent", "size", "tenure"), np.exp(drawn), strict=True)
        return replace(frame, numeric={**frame.numeric, **dict(columns)})


def played(play: Related, restart_every: int = 0, windows: int = QUIET + APART) -> Related:
    for i in range(windows):
        play.correlation = 0.8 if i < QUIET else 0.0
        play.traffic(1)
        if restart_every and i % restart_every == 0:
            play.restarted()
    return play


def findings(play: Play, *signals: str) -> list[Finding]:
    return [f for s in play.steps for f in s.findings if f.series.signal in signals]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_features_that_go_together_otherwise_are_found_where_none_has_drifted(seed: int) -> None:
    play = played(Related(seed=seed))

    found = findings(play, "joint")
    assert {f.series.target for f in found} == {"residual"}  # pairs need a longer past
    assert {f.severity for f in found} == {Severity.INFO}
    assert all("income" in f.statement and "rent" in f.statement for f in found)
    assert findings(play, "features") == []
    assert play.incidents == []


def test_it_ends_when_they_go_together_again() -> None:
    play = played(Related())
    play.correlation = 0.8

    play.traffic(30)

    ends = play.at - 5 * 60.0
    assert [f for f in findings(play, "joint") if f.at > ends] == []


def test_a_new_reference_takes_it_as_usual() -> None:
    play = played(Related())
    play.command("rebaseline", MODEL)

    play.traffic(20)

    joint = play.pipeline.state.models[MODEL].profiles["v1"].joint
    assert joint is not None
    income, rent = joint.names.index("income"), joint.names.index("rent")
    assert abs(joint.correlation[income][rent]) < 0.15
    assert [f for f in findings(play, "joint") if f.at > play.at - 4 * 60.0] == []


def test_an_imported_reference_takes_it_as_usual() -> None:
    play, gathered = played(Related()), Related(correlation=0.0, seed=5)
    frames = [f for _ in range(9) for f in gathered.window() if isinstance(f, PredictionFrame)]
    given = learned_with_joint(learn_profile(frames, MODEL, "v1", source="imported"), frames)
    before = findings(play, "joint")

    play.step(Batch(profiles=[given]))
    play.traffic(5)

    # What was gathered against the old reference is no evidence against the new one.
    assert given.joint is not None
    assert before != []
    assert findings(play, "joint") == before


def test_quiet_traffic_gives_no_finding() -> None:
    play = played(Related(), windows=QUIET)

    assert findings(play, "joint") == []
    told = [s for x in play.steps for s in x.samples if s.series.signal == "joint"]
    assert {s.series.target for s in told} == {"pairs", "residual"}


def test_nothing_is_sampled_of_models_that_do_not_ask_for_it() -> None:
    play = played(Related(asked=False))

    assert findings(play, "joint") == []
    model = play.pipeline.state.models[MODEL]
    assert model.partials == {}
    assert all(profile.joint is None for profile in model.profiles.values())


def test_the_setting_reaches_the_core() -> None:
    assert ModelSettings(multivariate=True).policy(DEFAULT_WATCHES).multivariate
    assert not ModelSettings().policy(DEFAULT_WATCHES).multivariate


def test_a_restart_in_the_middle_changes_nothing() -> None:
    straight, stopped = played(Related()), played(Related(), restart_every=7)

    assert findings(straight, "joint") == findings(stopped, "joint") != []


def test_batches_of_any_size_are_the_same() -> None:
    whole, cut = played(Related()), Related()

    for i in range(QUIET + APART):
        cut.correlation = 0.8 if i < QUIET else 0.0
        for frame in cut.window():
            for rows in np.array_split(np.arange(len(frame)), 3):
                cut.step(Batch([frame.take(rows)]))

    assert findings(whole, "joint") == findings(cut, "joint") != []


def test_partitions_are_judged_like_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = msgspec.structs.replace(test_spread.POLICY, multivariate=True)
    monkeypatch.setattr(test_spread, "POLICY", asked)
    play, windows = Related(), []
    for i in range(9 + QUIET + APART):
        play.correlation = 0.8 if i < 9 + QUIET else 0.0
        windows.append(play.window())
    learned = [f for each in windows[:9] for f in each if isinstance(f, PredictionFrame)]
    profile = learned_with_joint(learn_profile(learned, MODEL, "v1", source="imported"), learned)
    whole, apart = test_spread.pipeline(), test_spread.Apart(2)
    whole.step(Batch(profiles=[profile]))
    apart.refer(profile)

    found: list[Finding] = []
    for frames in windows[9:]:
        found += whole.step(Batch(frames)).findings
        apart.read(frames)
        for number in (1, 0):
            apart.checkpoint(number)
            apart.tell(number)

    mine = [f for f in found if f.series.signal == "joint"]
    assert [f for f in apart.findings if f.series.signal == "joint"] == mine != []


def test_no_more_rows_of_a_window_are_kept_than_say() -> None:
    play = Related()
    play.traffic(12)

    play.traffic(3, n=2_000)

    told = [s.n for x in play.steps for s in x.samples if s.series.signal == "joint"]
    assert max(told) == MOST
