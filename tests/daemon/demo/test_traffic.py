from __future__ import annotations

import numpy as np
import pytest

from watchkeeper.daemon.demo.faults import Effects
from watchkeeper.daemon.demo.models import SimulatedModel, fleet_models
from watchkeeper.daemon.demo.traffic import PROBING_CLIENT, SLOT, Requests, requests
from watchkeeper.detectors.types import OK, TIMEOUT

BEGIN = 1_772_463_600.0
MODELS = {model.name: model for model in fleet_models()}


def many(model: SimulatedModel, effects: Effects, slots: int = 40) -> list[Requests]:
    return [
        requests(model, model.version, effects, BEGIN, np.random.default_rng([7, i]), f"r{i}")
        for i in range(slots)
    ]


def share(batches: list[Requests], column: str, value: object) -> float:
    return float(np.mean(np.concatenate([getattr(b, column) for b in batches]) == value))


def test_quiet_requests_lie_in_their_slot_in_order_and_hardly_fail() -> None:
    batches = many(MODELS["image"], Effects())
    total = sum(len(b) for b in batches)

    assert abs(total / 40 * 60 / SLOT - MODELS["image"].per_minute) < 25
    assert share(batches, "status", OK) > 0.985
    for batch in batches:
        assert np.all(np.diff(batch.at) >= 0)
        assert batch.at[0] >= BEGIN
        assert batch.at[-1] < BEGIN + SLOT


def test_nulls_blank_their_share_of_one_feature_and_nothing_else() -> None:
    batches = many(MODELS["fraud"], Effects(nulls={"merchant_age": 0.45}))
    missing = np.concatenate([np.isnan(b.inputs.numeric["merchant_age"]) for b in batches])
    others = [np.isnan(b.inputs.numeric["amount"]).any() for b in batches]

    assert abs(float(missing.mean()) - 0.45) < 0.04
    assert not any(others)


def test_a_null_is_published_as_null() -> None:
    batch = many(MODELS["fraud"], Effects(nulls={"merchant_age": 1.0}), slots=1)[0]

    event = next(batch.predictions())

    assert event.features["merchant_age"] is None
    assert isinstance(event.features["card_present"], bool)
    assert isinstance(event.features["channel"], str)


def test_slow_and_timed_out_requests_have_no_answer_and_no_label() -> None:
    batches = many(MODELS["image"], Effects(latency=5.0, timeouts=0.15))
    slow = float(np.median(np.concatenate([b.duration_s for b in batches])))

    assert slow > 4 * MODELS["image"].latency
    assert 0.1 < share(batches, "status", TIMEOUT) < 0.25
    for batch in batches:
        assert np.isnan(batch.label_at[batch.status != OK]).all()
        for event in batch.predictions():
            assert (event.status == "ok") == (event.prediction.score is not None)


def test_probes_come_from_one_client_as_near_duplicates_without_labels() -> None:
    batches = many(MODELS["churn"], Effects(probes=0.35))

    assert abs(share(batches, "entity", PROBING_CLIENT) - 0.35) < 0.04
    for batch in batches:
        probe = batch.entity == PROBING_CLIENT
        assert np.isnan(batch.label_at[probe]).all()
        usage = batch.inputs.numeric["usage_gb"]
        assert np.std(usage[probe]) < 0.1 * np.std(usage[~probe])
        assert np.all(np.abs(batch.answer[probe] - 0.5) < 0.35)


def test_no_client_stands_out_on_a_quiet_day() -> None:
    batch = many(MODELS["churn"], Effects(), slots=1)[0]
    _, counts = np.unique(batch.entity.astype(str), return_counts=True)

    assert counts.max() <= 3


def test_labels_are_late_carry_the_truth_and_cover_their_share() -> None:
    model = MODELS["churn"]
    batches = many(model, Effects())
    delays = np.concatenate([(b.label_at - b.at)[np.isfinite(b.label_at)] for b in batches])
    covered = np.concatenate([np.isfinite(b.label_at) for b in batches])

    assert abs(float(np.median(delays)) / model.label_delay - 1) < 0.1
    assert abs(float(covered.mean()) - model.coverage) < 0.05
    for batch in batches[:3]:
        truth = dict(zip(batch.ids, batch.truth.tolist(), strict=True))
        for _, label in batch.labels():
            assert label.label == ("churn" if truth[label.request_id] else "stay")


@pytest.mark.parametrize("name", sorted(MODELS))
def test_answers_are_those_of_the_version_on_what_it_saw(name: str) -> None:
    model = MODELS[name]
    batch = many(model, Effects(), slots=1)[0]

    again = model.answer(batch.version, batch.inputs)

    assert np.allclose(again, batch.answer, rtol=1e-2, atol=1e-2)
