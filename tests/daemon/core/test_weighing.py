"""Estimates that are weighted for the inputs of their window."""

from __future__ import annotations

import dataclasses
from functools import cache

import msgspec
import numpy as np
import pytest

from tests.daemon.core.test_estimating import given
from tests.playbook import MODEL, Play, objects
from watchkeeper.daemon.config.models import ModelSettings
from watchkeeper.daemon.core.step import Batch, Step
from watchkeeper.detectors.estimation.inputs import CAPACITY, Inputs
from watchkeeper.detectors.suite import DEFAULT_WATCHES
from watchkeeper.detectors.types import AnyFrame, LabelFrame, PredictionFrame, StateError


class Life:
    """A model that does not look at one of its inputs, by which its scores are worth less."""

    def __init__(self, weighted: bool) -> None:
        self.play = Play()
        policy = msgspec.structs.replace(self.play.policy, weighted=weighted, join_capacity=8_000)
        self.play.policy = policy  # before the first event: the core asks for it then
        self.truths: list[float] = []

    def minute(self, hard: float, labelled: bool = True) -> Step:
        """So many inputs are of the kind that is harder than the model knows."""
        frames: list[AnyFrame] = []
        for frame in self.play.window(n=400):
            if isinstance(frame, PredictionFrame):
                frames.append(self._scored(frame, hard))
            elif labelled or not isinstance(frame, LabelFrame):
                frames.append(frame)
        return self.play.step(Batch(frames))

    def _scored(self, frame: PredictionFrame, hard: float) -> PredictionFrame:
        n, rng = len(frame), np.random.default_rng(int(frame.at[0]))
        kind = rng.random(n) < hard
        odds = rng.choice([-2.5, 2.5], n) * rng.uniform(0.5, 1.5, n)
        score = 1.0 / (1.0 + np.exp(-odds))
        truth = rng.random(n) < np.where(kind, 0.5 + 0.3 * (score - 0.5), score)
        self.truths.append(float(np.mean(truth == (score >= 0.5))))
        said = dict(zip(frame.request_id.tolist(), truth.tolist(), strict=True))
        self.play._labels = [
            (at, request, ("yes" if said[request] else "no") if request in said else label)
            for at, request, label in self.play._labels
        ]
        label = objects(["yes" if each >= 0.5 else "no" for each in score])
        numeric = {**frame.numeric, "kind": kind + rng.normal(0.0, 0.1, n)}
        return dataclasses.replace(frame, score=score, label=label, numeric=numeric)


@cache
def lived(weighted: bool, restarted: bool = False) -> tuple[Life, tuple[Step, ...]]:
    life = Life(weighted)
    for i in range(45):
        life.minute(0.2)
        if restarted and i == 30:
            life.play.restarted()
    # Before a label says so the other kind comes more often.
    return life, tuple(life.minute(0.8, labelled=False) for _ in range(6))


def off(weighted: bool) -> float:
    """How far the estimates are from the truth while the inputs are others."""
    life, steps = lived(weighted)
    said = [each.value for each in given([*steps], "estimate")]
    assert len(said) >= 4
    return abs(float(np.mean(said)) - float(np.mean(life.truths[-6:])))


def test_inputs_that_shift_are_weighted_for() -> None:
    assert off(True) < 0.6 * off(False)


def test_findings_say_that_estimates_were_weighted() -> None:
    for weighted in (True, False):
        life, _ = lived(weighted)
        estimates = life.play.pipeline.state.models[MODEL].estimates
        assert estimates is not None
        assert ("weighted" in estimates.versions["v1"].method) is weighted


def test_nothing_is_sampled_of_models_that_do_not_ask_for_it() -> None:
    life, _ = lived(False)
    model = life.play.pipeline.state.models[MODEL]

    assert model.estimates is not None
    assert model.estimates.inputs == {}
    assert not any(name == "joint" for parts in model.partials.values() for _, name in parts)


@pytest.mark.slow
def test_a_restart_changes_no_estimate() -> None:
    (_, straight), (_, again) = lived(True), lived(True, restarted=True)

    mine, theirs = (repr(given([*steps], "estimate")) for steps in (straight, again))

    assert mine == theirs != "[]"


def test_no_more_is_kept_than_say() -> None:
    inputs = Inputs("x")

    for i in range(10):
        inputs.add(np.arange(1_000, dtype=np.uint64) + i, np.zeros((1_000, 32), dtype=np.uint8))

    assert len(inputs.keys) == len(inputs.bins) == CAPACITY
    assert inputs.keys[-1] == 1_008


def test_damage_is_told() -> None:
    inputs = Inputs("x")
    inputs.add(np.arange(3, dtype=np.uint64), np.zeros((3, 32), dtype=np.uint8))
    cut, keys, bins = inputs.dump()

    with pytest.raises(StateError):
        Inputs.of_dump((cut, keys, bins[1:]))
    assert Inputs.of_dump((cut, keys, bins)).dump() == (cut, keys, bins)


def test_the_setting_reaches_the_core() -> None:
    assert ModelSettings(weighted=True).policy(DEFAULT_WATCHES).weighted
    assert not ModelSettings().policy(DEFAULT_WATCHES).weighted
