"""Detectors by name."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from watchkeeper.detectors import registry
from watchkeeper.detectors.registry import (
    BadSetting,
    UnknownName,
    detector_class,
    detector_names,
    make,
    settings_of,
)
from watchkeeper.detectors.types import Detector, Scalar, Severity


def test_every_file_of_a_detector_is_a_name() -> None:
    assert {"threshold", "robust_z", "adwin", "psi", "silence"} <= set(detector_names())
    assert not {"types", "registry", "suite", "checks"} & set(detector_names())


@pytest.mark.parametrize("name", detector_names())
def test_a_name_gives_the_detector_of_that_name(name: str) -> None:
    detector = make(name, {}, Severity.WARNING)

    assert isinstance(detector, Detector)
    assert detector.name == name
    assert detector.severity is Severity.WARNING


def test_settings_are_taken() -> None:
    detector = make("threshold", {"above": 3, "for_windows": 2}, Severity.INFO)

    assert (detector.above, detector.for_windows) == (3.0, 2)  # type: ignore[attr-defined]


def test_an_unknown_name_gives_the_nearest() -> None:
    with pytest.raises(UnknownName, match="no detector 'robustz'; did you mean 'robust_z'"):
        make("robustz", {}, Severity.INFO)


def test_an_unknown_setting_gives_the_nearest() -> None:
    with pytest.raises(BadSetting, match=r"robust_z: no setting 'treshold'.*'threshold'"):
        make("robust_z", {"treshold": 3.0}, Severity.INFO)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("threshold", "high"),
        ("threshold", 0.0),
        ("threshold", float("nan")),
        ("threshold", None),
        ("for_windows", 0),
        ("for_windows", 1.5),
        ("for_windows", True),
        ("direction", "sideways"),
        ("share", 1),
        ("min_change", -1.0),
        ("min_n", "many"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_setting(setting: str, value: Scalar) -> None:
    with pytest.raises(BadSetting, match=f"robust_z: {setting} = "):
        make("robust_z", {setting: value}, Severity.INFO)


@pytest.mark.parametrize("hidden", ["_past", "severity", "name"])
def test_what_is_no_setting_cannot_be_set(hidden: str) -> None:
    with pytest.raises(BadSetting):
        make("robust_z", {hidden: 1}, Severity.INFO)


@pytest.mark.parametrize("name", detector_names())
def test_settings_are_described(name: str) -> None:
    for setting in settings_of(name):
        assert setting.doc
        assert setting.type
        assert setting.default is not None


def test_bounds_and_choices_are_told() -> None:
    told = {setting.name: setting for setting in settings_of("robust_z")}

    assert told["threshold"].type == "float > 0"
    assert told["for_windows"].type == "int >= 1"
    assert told["direction"].type == "up | down | either"


def test_a_plugin_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = EntryPoint("mine", "watchkeeper.detectors.threshold:Threshold", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: EntryPoints([plugin]))

    assert "mine" in detector_names()
    assert detector_class("mine") is detector_class("threshold")


def test_ours_come_before_a_plugin_of_the_same_name(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = EntryPoint("psi", "watchkeeper.detectors.threshold:Threshold", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: EntryPoints([plugin]))

    assert detector_class("psi").name == "psi"


def test_names_and_the_default_suite_import_neither_river_nor_scipy() -> None:
    code = (
        "import sys, watchkeeper.detectors.suite as s, watchkeeper.detectors.registry as r;"
        "r.detector_names();"
        "[r.make(w.detector, w.settings, w.severity) for w in s.DEFAULT_WATCHES];"
        "sys.exit(bool({'river', 'scipy'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
