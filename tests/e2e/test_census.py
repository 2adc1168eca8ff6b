"""The figures that the end-to-end tests rest on, measured on the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.e2e.census import CLASSES, Census, Columns, Versions, later_years, relabelled
from tests.e2e.serving import Served


@pytest.fixture(scope="module")
def census(data_dir: Path, trained: Versions) -> Census:
    """The years in which the application runs."""
    return later_years(data_dir)


def _accuracy(file: Path, columns: Columns, truth: npt.NDArray[np.int64]) -> float:
    labels, _ = Served(file).answer(columns)
    return float(np.mean(np.array(labels) == np.array(CLASSES)[truth]))


def test_healthy_version_is_right_in_four_of_five_cases(trained: Versions, census: Census) -> None:
    assert _accuracy(trained.healthy, census.columns, census.employed) > 0.81


def test_mistake_costs_more_than_eight_points(trained: Versions, census: Census) -> None:
    healthy = _accuracy(trained.healthy, census.columns, census.employed)
    mistaken = _accuracy(trained.mistaken, census.columns, census.employed)

    assert healthy - mistaken > 0.08


def test_age_that_is_missing_costs_accuracy(trained: Versions, census: Census) -> None:
    nulled = {**census.columns, "AGEP": np.full(len(census), np.nan)}

    healthy = _accuracy(trained.healthy, census.columns, census.employed)

    assert healthy - _accuracy(trained.healthy, nulled, census.employed) > 0.04


def test_new_rule_of_the_labels_makes_the_healthy_version_wrong(
    trained: Versions, census: Census
) -> None:
    healthy = _accuracy(trained.healthy, census.columns, census.employed)

    assert healthy - _accuracy(trained.healthy, census.columns, relabelled(census)) > 0.08
