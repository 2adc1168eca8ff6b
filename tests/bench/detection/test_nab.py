"""The bench of series anomalies: its readers, its rules beside ours, and the figures."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from tests.bench.detection.nab import anchors, measure, outside_range, refractory, series_of
from watchkeeper.detectors.anomalies import Rules


def written(folder: Path) -> Path:
    """A folder of the benchmark's layout with one series and one window."""
    place = folder / "nab" / "realSome"
    place.mkdir(parents=True)
    random = np.random.default_rng(1)
    values = random.normal(10, 1, 700)
    values[500:505] = 40.0
    lines = ["timestamp,value"]
    for i, value in enumerate(values.tolist()):
        lines.append(f"2020-01-{1 + i // 288:02d} {i // 12 % 24:02d}:{i % 12 * 5:02d}:00,{value}")
    with gzip.open(place / "one.csv.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(lines))
    windows = {"realSome/one.csv": [["2020-01-02 16:40:00.000000", "2020-01-02 19:10:00.000000"]]}
    (folder / "nab" / "windows.json").write_text(json.dumps(windows), encoding="utf-8")
    return folder


def test_series_and_windows_are_read(tmp_path: Path) -> None:
    (series,) = series_of(written(tmp_path))

    assert series.name == "realSome/one.csv"
    assert series.category == "realSome"
    assert len(series.value) == 700
    assert series.windows == [(488, 518)]
    assert np.diff(series.start).tolist() == [300.0] * 699


def test_a_folder_without_series_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        series_of(tmp_path)


def test_all_figures_are_measured_on_other_data(tmp_path: Path) -> None:
    found = measure(written(tmp_path), quick=True)

    assert found["nab_standard"] == pytest.approx(90.0, abs=10.0)
    assert {key for key, _, _ in anchors()} <= set(found)


def test_outside_of_the_range_is_measured_by_the_range() -> None:
    values = np.array([0.0, 1.0, 0.5, 2.0, -1.0])

    assert outside_range(values)[2:].tolist() == [0.0, 1.0, 0.5]


def test_the_refractory_is_ours() -> None:
    scores = np.zeros(400)
    scores[[10, 20, 30, 200, 250]] = [1.0, 1.2, 1.4, 0.5, 0.5]

    (found,) = refractory([scores], Rules(quiet=120, worse=1.25))

    assert np.flatnonzero(found).tolist() == [10, 30, 200]
