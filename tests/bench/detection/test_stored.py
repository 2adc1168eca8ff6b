"""What detection is worth must not get worse: the quick figures against stored ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from tests.bench.detection.__main__ import KEYS, PARTS, Measured, data_folder, measured
from tests.bench.detection.census import anchors

_STORED = Path(__file__).with_name("stored.json")


class Stored(msgspec.Struct):
    """A figure as it was, and how much worse it may be; one that neither more nor less of is
    better may be off by the tolerance either way."""

    value: float
    tolerance: float
    better: Literal["more", "less", "about"]

    def worse(self, now: float) -> bool:
        """Whether the figure is worse than it may be."""
        more = now - self.value
        loss = {"more": -more, "less": more, "about": abs(more)}[self.better]
        return not loss <= self.tolerance


@pytest.fixture(scope="module")
def quick() -> Measured:
    if not data_folder().is_dir():
        pytest.skip(f"no labelled data in {data_folder()}: set WATCHKEEPER_DATA")
    return measured([*PARTS], data_folder(), quick=True)


def _figure(found: dict[str, Any], path: str) -> float:
    value: Any = found
    for name in path.split("/"):
        value = value[int(name) if isinstance(value, list | tuple) else name]
    return float(value)


def test_a_figure_may_be_worse_by_its_tolerance_and_better_by_anything() -> None:
    score, delay = Stored(70.0, 1.0, "more"), Stored(100.0, 5.0, "less")

    assert [score.worse(v) for v in (68.9, 69.1, 99.0)] == [True, False, False]
    assert [delay.worse(v) for v in (105.1, 104.9, 1.0)] == [True, False, False]


def test_a_figure_that_must_stay_may_move_neither_way() -> None:
    ratio = Stored(1.25, 0.25, "about")

    assert [ratio.worse(v) for v in (0.9, 1.0, 1.5, 1.6)] == [True, False, False, True]
    assert ratio.worse(float("nan"))


def test_a_figure_in_a_list_is_found_by_its_place() -> None:
    assert _figure({"delay": {"of": (3.0, 5.0)}}, "delay/of/1") == 5.0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_figure_is_worse_than_it_was(quick: Measured) -> None:
    stored = msgspec.json.decode(_STORED.read_bytes(), type=dict[str, Stored])
    found = {path: _figure(quick.found, path) for path in stored}

    assert not quick.missing
    assert {p: found[p] for p, each in stored.items() if each.worse(found[p])} == {}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_figure_is_measured_and_stands_beside_its_goal(quick: Measured) -> None:
    assert set(KEYS) <= quick.found.keys()
    assert set(KEYS) - quick.anchors.keys() == set()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_estimates_keep_to_their_goals(quick: Measured) -> None:
    found = quick.found
    if "census" in quick.missing:
        pytest.skip(quick.missing["census"])

    error = found["estimate_error"]
    assert isinstance(error, dict)
    assert error["accuracy"] <= 0.75
    assert error["auc"] <= 0.66
    assert error["f1"] <= 1.00
    figures = {key: value for key, value in found.items() if isinstance(value, float)}
    assert 0.90 <= figures["estimate_coverage"] <= 0.97
    assert figures["harm_precision"] >= 0.8
    assert figures["harm_recall"] >= 0.8
    assert figures["harm_page_precision"] >= 0.8
    assert figures["harm_page_recall"] >= 0.8
    assert {key for key, _, _ in anchors()} <= found.keys()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_series_anomalies_keep_to_their_goals(quick: Measured) -> None:
    if "nab" in quick.missing:
        pytest.skip(quick.missing["nab"])

    assert quick.found["nab_standard"] >= 72.0
    assert quick.found["nab_low_fp"] >= 62.0
    assert quick.found["nab_low_fn"] >= 77.0
