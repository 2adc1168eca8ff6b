"""The samples of many windows at once are those that the signals give of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.detectors.arrays.examples import block, choice, frame, texts
from watchkeeper.detectors.arrays.absorb import Pairs, absorb_pairs, absorb_predictions
from watchkeeper.detectors.arrays.reference import References
from watchkeeper.detectors.arrays.sampling import Windows, sampled, targets_of
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.arrays.tally import Tally
from watchkeeper.detectors.banks import Columns
from watchkeeper.detectors.frames import JoinedFrame, PredictionFrame
from watchkeeper.detectors.keys import keys_of
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.profiling import learn_profile
from watchkeeper.detectors.signals import SIGNALS
from watchkeeper.detectors.types import Partial, Sample, Window

SPAN = Window(0.0, 60.0)
Plain = tuple[object, ...]
Seen = tuple[PredictionFrame, JoinedFrame]


def plain(sample: Sample) -> Plain:
    """A sample by which two can be compared to the last bit."""
    counts = [None if c is None else c.tolist() for c in (sample.counts, sample.expected_counts)]
    numbers = (sample.value, sample.n, sample.stderr, sample.expected)
    return (repr(sample.series), sample.window, *map(repr, numbers), *counts)


def by_signals(seen: Seen, against: Profile | None, live: bool) -> list[Plain]:
    """What the signals say of one window."""
    predicted, joined = seen
    found: list[Plain] = []
    for signal in SIGNALS:
        frame = joined if signal.watches is JoinedFrame else predicted
        if not isinstance(frame, signal.watches):
            continue
        part = signal.measure(frame, against) if len(frame) else Partial()
        if len(frame) or (signal.name == "volume" and live):
            model = predicted.model
            found += map(plain, signal.samples(part, against, model, "1", SPAN))
    return found


def by_arrays(columns: Sequence[Columns], row: int, model: str) -> list[Plain]:
    """What the columns say of one row."""
    return [
        plain(group.sample(row, int(column), model, "1"))
        for group in columns
        for column in np.flatnonzero(group.given[row])
    ]


def truths(random: np.random.Generator, model: str, n: int) -> JoinedFrame:
    """Answers with their truth, some of them odd."""
    labels = np.array(["yes", "no", "no", "yes", None, "other"], dtype=object)
    score = random.choice([0.1, 0.5, 0.9, np.nan, 1.2, 0.0, 1.0], n)
    nothing = np.full(n, np.nan)
    said, truth = random.choice(labels, n), random.choice(labels, n)
    if random.random() < 0.3:
        said[:], truth[:] = "no", "no"
    at = np.zeros(n)
    return JoinedFrame(
        model, at, np.arange(n), "1", at, said, score, nothing, truth, nothing.copy()
    )


def odd(random: np.random.Generator, seen: PredictionFrame, rate: float) -> PredictionFrame:
    """The frame with features that are always missing, constant, infinite or huge, at random."""
    for column in seen.numeric.values():
        kind = random.integers(round(4 / rate))
        if kind == 0:
            column[:] = np.nan
        elif kind == 1:
            column[random.random(len(column)) < 0.3] = random.choice([np.inf, -np.inf, 1e300])
        elif kind == 2:
            column[:] = 5.0
        elif kind == 3:
            column[random.random(len(column)) < 0.9] = np.nan
    for words in seen.categorical.values():
        if random.random() < rate / 4:
            words[:] = None
    return seen


def answering(random: np.random.Generator, seen: PredictionFrame, task: str) -> PredictionFrame:
    """The frame of a model that answers something else."""
    n = len(seen)
    nothing, none = np.full(n, np.nan), texts([None] * n)
    if task == "scores":
        return replace(seen, label=none)
    if task == "classes":
        return replace(seen, score=nothing, label=choice(random, n, ("a", "b", "c"), 0.05))
    if task == "values":
        return replace(seen, score=nothing, label=none, value=random.normal(9, 2, n))
    return seen


def windows_of(
    random: np.random.Generator,
    seen: Sequence[Seen],
    profiles: Sequence[Profile | None],
    live: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
) -> list[Columns]:
    """The frames as columns of one schema."""
    schema = Schema.of(profiles[0])
    references, tally = References(schema), Tally(schema)
    refs = np.array([0 if p is None else references.add(p) for p in profiles])
    slots = tally.claim(len(seen))[::-1].copy()
    whole = block([predicted for predicted, _ in seen], random)
    absorb_predictions(tally, references, slots[whole.member], refs[whole.member], whole)
    for slot, (_, joined) in zip(slots.tolist(), seen, strict=True):
        said, truth = keys_of(joined.predicted_label.tolist()), keys_of(joined.label.tolist())
        positive = np.full(len(joined), schema.positive_key, dtype=np.uint64)
        rows = np.full(len(joined), slot)
        absorb_pairs(tally, rows, Pairs(said, truth, positive, joined.score))
    span = np.full(len(seen), SPAN.start), np.full(len(seen), SPAN.end)
    columns = sampled(tally, references, Windows(slots, refs, *span, live))
    assert [(c.signal, c.targets) for c in columns] == [tuple(t) for t in targets_of(schema)]
    return list(columns)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("task", ["labels and scores", "scores", "classes", "values", "unknown"])
def test_they_are_those_of_the_signals(seed: int, task: str) -> None:
    random = np.random.default_rng(seed)
    names = [f"m{i}" for i in range(8)]
    usual = odd(random, answering(random, frame(random, "m", 3_000), task), 0.5)
    seen, profiles = [], []
    for name in names:
        n, shift = int(random.choice([0, 1, 2, 7, 60, 400])), float(random.choice([0, 30]))
        predicted = odd(random, answering(random, frame(random, name, n, shift), task), 1.0)
        seen.append((predicted, truths(random, name, n if random.random() < 0.8 else 0)))
        rows = np.sort(random.permutation(3_000)[: random.choice([300, 1_500])])
        learned = learn_profile([usual.take(rows)], name, "1", source="learned")
        profiles.append(None if task == "unknown" else learned)
    profiles = [p if Schema.of(p) == Schema.of(profiles[0]) else profiles[0] for p in profiles]
    live = random.random(len(names)) < 0.5

    columns = windows_of(random, seen, profiles, live)

    for row, name in enumerate(names):
        expected = by_signals(seen[row], profiles[row], bool(live[row]))
        assert sorted(map(repr, by_arrays(columns, row, name))) == sorted(map(repr, expected))
