from __future__ import annotations

import numpy as np
import pytest

from watchkeeper.daemon.demo.models import Category, Numeric, SimulatedModel, fleet_models

N = 20_000
MODELS = {model.name: model for model in fleet_models()}


def accuracy(model: SimulatedModel, version: str) -> float:
    rng = np.random.default_rng(1)
    inputs = model.draw(rng, N, evening=0.0)
    truth = model.true(rng, inputs)
    return float(np.mean((model.answer(version, inputs) > 0.5) == (truth > 0.5)))


@pytest.mark.parametrize("name", ["fraud", "churn", "image"])
def test_a_classifier_is_good_but_not_perfect(name: str) -> None:
    got = accuracy(MODELS[name], MODELS[name].version)

    assert 0.87 < got < 0.97


def test_the_regressor_errs_about_as_much_as_nature_does() -> None:
    model = MODELS["demand"]
    rng = np.random.default_rng(1)
    inputs = model.draw(rng, N, evening=0.0)
    truth = model.true(rng, inputs)

    error = np.sqrt(np.mean((model.answer("v4", inputs) - truth) ** 2))

    assert model.noise <= error < 1.1 * model.noise
    assert np.std(truth) > 3 * error


def test_swapped_inputs_cost_accuracy_but_hardly_change_how_often_fraud_is_said() -> None:
    fraud = MODELS["fraud"]
    inputs = fraud.draw(np.random.default_rng(2), N, evening=0.0)
    said = {v: float(np.mean(fraud.answer(v, inputs) > 0.5)) for v in ("v1", "v2")}

    assert accuracy(fraud, "v1") - accuracy(fraud, "v2") > 0.15
    assert abs(said["v1"] - said["v2"]) < 0.03


def test_evening_changes_the_mix_of_demand_but_not_its_error() -> None:
    model = MODELS["demand"]
    errors, city = [], []
    for evening in (0.0, 1.0):
        rng = np.random.default_rng(3)
        inputs = model.draw(rng, N, evening)
        gap = model.answer("v4", inputs) - model.true(rng, inputs)
        errors.append(float(np.sqrt(np.mean(gap**2))))
        city.append(float(np.mean(inputs.categorical["store"] == "city")))

    assert city[1] - city[0] > 0.05
    assert abs(errors[1] / errors[0] - 1) < 0.05


@pytest.mark.parametrize(
    "column",
    [
        Numeric("x", "normal", 5.0, 2.0),
        Numeric("x", "lognormal", 5.0, 0.7),
        Numeric("x", "gamma", 3.0, 10.0),
        Numeric("x", "poisson", 4.0),
        Numeric("x", "flag", 0.4),
    ],
    ids=lambda column: column.shape,
)
def test_a_standardised_input_is_centred_and_a_missing_one_is_typical(column: Numeric) -> None:
    values = column.draw(np.random.default_rng(4), N, 0.0)

    standard = column.standard(values)

    assert abs(float(standard.mean())) < 0.03
    assert column.standard(np.array([np.nan])) == 0.0


def test_levels_come_with_their_shares() -> None:
    column = Category("c", {"a": 0.7, "b": 0.2, "c": 0.1})

    values = column.draw(np.random.default_rng(5), N, 0.0)

    for level, share in column.levels.items():
        assert abs(float(np.mean(values == level)) - share) < 0.02
