"""What blocks leave in the tallies is what the signals measure frame by frame."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from tests.detectors.arrays.examples import block, frame, profile
from watchkeeper.detectors.arrays import tally as t
from watchkeeper.detectors.arrays.absorb import Pairs, absorb_pairs, absorb_predictions
from watchkeeper.detectors.arrays.reference import References
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.arrays.tally import Tally
from watchkeeper.detectors.frames import JoinedFrame, PredictionFrame
from watchkeeper.detectors.keys import keys_of
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.signals._columns import digest
from watchkeeper.detectors.signals.accuracy import Accuracy
from watchkeeper.detectors.signals.clients import Clients
from watchkeeper.detectors.signals.errors import Errors
from watchkeeper.detectors.signals.features import Features
from watchkeeper.detectors.signals.latency import Latency
from watchkeeper.detectors.signals.output import Output


@pytest.mark.parametrize(("models", "each"), [(1, 400), (3, 300), (40, 7)])
@pytest.mark.parametrize("shift", [0.0, 30.0])
def test_tallies_hold_what_the_signals_measure(models: int, each: int, shift: float) -> None:
    random = np.random.default_rng(models)
    frames = [frame(random, f"m{i}", each, shift) for i in range(models)]
    profiles = [profile(random, f"m{i}") for i in range(models)]
    schema = Schema.of(profiles[0])
    references, tally = References(schema), Tally(schema)
    refs = np.array([references.add(p) for p in profiles])
    slots = tally.claim(models)[::-1].copy()
    whole = block(frames, random)
    for part in (whole.take(slice(0, models)), whole.take(slice(models, None))):
        absorb_predictions(tally, references, slots[part.member], refs[part.member], part)
    for i, (seen, against) in enumerate(zip(frames, profiles, strict=True)):
        _compare(tally, int(slots[i]), seen, against)


def _compare(tally: Tally, row: int, seen: PredictionFrame, against: Profile) -> None:
    arrays, name = tally.arrays, digest(against)
    head = arrays["head"][row]
    assert head[t.N] == head[t.MEASURED] == len(seen)
    assert head[t.OK : t.TIMEOUT + 1].tolist() == Errors().measure(seen, None)["status"].tolist()
    latency = Latency().measure(seen, None)["buckets"]
    assert arrays["durations"][row, : len(latency)].tolist() == latency.tolist()
    assert arrays["durations"][row].sum() == latency.sum()
    assert arrays["clients"][row].tolist() == Clients().measure(seen, None)["buckets"].tolist()
    features, output = Features().measure(seen, against), Output().measure(seen, against)
    assert head[t.INVALID] == output["validity"][1]
    assert head[[t.ANSWERED, t.POSITIVE]].tolist() == output[f"{name}:positive"].tolist()
    assert head[t.NEW] == features[f"{name}:seen"][1]
    assert head[t.RETYPED] == features.get(f"{name}:retyped", [0])[0]
    numeric = np.concatenate([features[f"{name}:numeric"], output[f"{name}:numeric"]])
    assert arrays["sums"][row].tolist() == numeric[:, 2].tolist()
    assert arrays["numeric"][row].tolist() == np.delete(numeric, 2, axis=1).tolist()
    texts = np.concatenate([features[f"{name}:categorical"], output[f"{name}:classes"]])
    assert arrays["texts"][row].tolist() == texts.tolist()


def test_pairs_are_counted_as_the_signal_does() -> None:
    random = np.random.default_rng(2)
    against = profile(random, "m")
    tally = Tally(Schema.of(against))
    row = int(tally.claim(2)[1])
    n = 600
    labels = np.array(["yes", "no", None, "other"], dtype=object)
    joined = JoinedFrame(
        model="m",
        at=np.zeros(n),
        seq=np.arange(n),
        version="1",
        predicted_at=np.zeros(n),
        predicted_label=random.choice(labels, n),
        score=random.choice([0.1, 0.5, 0.9, np.nan, 1.2, 0.0, 1.0], n),
        predicted_value=np.full(n, np.nan),
        label=random.choice(labels, n),
        value=np.full(n, np.nan),
    )
    said, truth = keys_of(joined.predicted_label.tolist()), keys_of(joined.label.tolist())
    positive = np.full(n, keys_of(["yes"])[0])
    absorb_pairs(tally, np.full(n, row), Pairs(said, truth, positive, joined.score))
    part = Accuracy().measure(joined, against)
    head = tally.arrays["head"][row]
    assert head[[t.PAIRS, t.CORRECT]].tolist() == part["pairs"].tolist()
    assert head[t.TN : t.TP + 1].tolist() == part["confusion:yes"].tolist()
    assert tally.arrays["scores"][row].tolist() == part["scores:yes"].tolist()
    assert [head[t.SCORED], *tally.arrays["losses"][row]] == part["losses:yes"].tolist()


def test_without_a_reference_only_what_needs_none_is_counted() -> None:
    random = np.random.default_rng(3)
    tally = Tally(Schema())
    row = tally.claim(1)
    seen = frame(random, "m", 50)
    made = block([seen], random)
    zeros = np.zeros(50, dtype=np.int64)
    absorb_predictions(tally, References(Schema()), zeros + row, zeros, made)
    assert tally.arrays["head"][row[0], t.N] == 50
    assert tally.arrays["head"][row[0], t.MEASURED] == 0


def test_references_grow_with_the_categories_that_one_of_them_has() -> None:
    random = np.random.default_rng(5)
    few, many = profile(random, "few"), profile(random, "many")
    words = tuple(f"w{i:02d}" for i in range(40))
    grown = tuple(
        replace(each, categories=words, counts=tuple(range(1, 41))) for each in many.categorical
    )
    many = replace(many, categorical=grown)
    alone, both = References(Schema.of(few)), References(Schema.of(few))
    one, other = alone.add(few), both.add(few)
    last = both.add(many)
    seen = block([frame(random, "few", 90, 30.0)], random)
    tallies = Tally(alone.schema), Tally(alone.schema)
    zeros = np.zeros(90, dtype=np.int64)

    absorb_predictions(tallies[0], alone, zeros + tallies[0].claim(1), zeros + one, seen)
    absorb_predictions(tallies[1], both, zeros + tallies[1].claim(1), zeros + other, seen)

    assert tallies[0].arrays["texts"].tolist() == tallies[1].arrays["texts"].tolist()
    assert both.arrays["c_counts"][last, 0, :40].tolist() == list(range(1, 41))
    assert both.arrays["c_counts"][other, 0, -1] == alone.arrays["c_counts"][one, 0, -1]
