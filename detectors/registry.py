"""Detectors by name: ours by file name, plugins by entry point; only the one asked for loads."""

from __future__ import annotations

import difflib
import functools
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

import watchkeeper.detectors
from watchkeeper.detectors.types import Detector, Scalar, Severity

GROUP = "watchkeeper.detectors"

# Files of this folder that hold no detector; every other one holds the class of its name.
_OTHER_FILES = frozenset(
    {
        "blocks",
        "budget",
        "budgeting",
        "checks",
        "column_profiles",
        "cut_detector",
        "each_sample",
        "events",
        "fast",
        "findings",
        "frames",
        "gathered",
        "histograms",
        "keys",
        "level_detector",
        "profile",
        "profiling",
        "protocols",
        "registry",
        "river_detector",
        "roster",
        "run_length",
        "samples",
        "score_detector",
        "scores",
        "setting",
        "suite",
        "texts",
        "types",
        "windows",
    }
)
_INHERITED = {"min_n": "events a window must have to be judged"}


class UnknownName(LookupError):
    """There is no detector of this name."""


class BadSetting(ValueError):
    """A detector has no such setting, or it does not take this value."""


class Setting(NamedTuple):
    """One setting of a detector: its name, type, default and meaning."""

    name: str
    type: str
    default: Scalar
    doc: str


def detector_names() -> list[str]:
    """The names of all detectors, ours and those of plugins, in order."""
    return sorted(_ours() | {each.name for each in _plugins()})


def make(name: str, settings: Mapping[str, Scalar], severity: Severity) -> Detector:
    """A detector without a past. Raises `UnknownName` or `BadSetting`."""
    kind = detector_class(name)
    known = _settings(name)
    taken = {key: _checked(name, known, key, value) for key, value in settings.items()}
    detector: Detector = kind(severity=severity, **taken)
    return detector


def settings_of(name: str) -> list[Setting]:
    """The settings of a detector, for the docs and `config check`. Raises `UnknownName`."""
    found = []
    for setting, (hint, declared) in _settings(name).items():
        default = None if declared.default is MISSING else declared.default
        doc = declared.metadata.get("doc") or _INHERITED.get(setting, "")
        found.append(Setting(setting, _readable(hint), default, doc))
    return found


def detector_class(name: str) -> type[Any]:
    """The class of a detector; only its own file is imported. Raises `UnknownName`."""
    if name in _ours():
        return _our_class(name)
    for each in _plugins():
        if each.name == name:
            loaded: type[Any] = each.load()
            return loaded
    raise UnknownName(_missed("detector", name, detector_names()))


def needs_calibration(name: str) -> bool:
    """Whether nothing is known of how often it is wrong: its run length must be measured on a
    model's own history before it may page. So of plugins, and of ours that say `measured_first`.
    Raises `UnknownName`."""
    return name not in _ours() or getattr(detector_class(name), "measured_first", False)


@functools.cache
def _our_class(name: str) -> type[Any]:
    module = import_module(f"{watchkeeper.detectors.__name__}.{name}")
    kind: type[Any] = getattr(module, "".join(part.capitalize() for part in name.split("_")))
    return kind


@functools.cache
def _ours() -> frozenset[str]:
    found = pkgutil.iter_modules(watchkeeper.detectors.__path__)
    return frozenset(m.name for m in found if not m.ispkg and m.name not in _OTHER_FILES)


def _plugins() -> Iterator[EntryPoint]:
    yield from entry_points(group=GROUP)


@functools.cache
def _settings(name: str) -> dict[str, tuple[Any, Field[Any]]]:
    kind = detector_class(name)
    hints = get_type_hints(kind, include_extras=True)
    public = (f for f in fields(kind) if not f.name.startswith("_") and f.name != "severity")
    return {f.name: (hints[f.name], f) for f in public}


def _checked(
    detector: str, known: Mapping[str, tuple[Any, Field[Any]]], setting: str, value: Scalar
) -> Scalar:
    if setting not in known:
        raise BadSetting(f"{detector}: {_missed('setting', setting, sorted(known))}")
    try:
        taken: Scalar = msgspec.convert(value, known[setting][0])
    except msgspec.ValidationError as error:
        raise BadSetting(f"{detector}: {setting} = {value!r}: {error}") from error
    if taken != taken:
        raise BadSetting(f"{detector}: {setting} is not a number")
    return taken


def _missed(what: str, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
    return f"no {what} {name!r}; {hint}"


def _readable(hint: Any) -> str:
    if get_origin(hint) is Annotated:
        base, meta = get_args(hint)[:2]
        bounds = [(">=", meta.ge), (">", meta.gt), ("<=", meta.le), ("<", meta.lt)]
        return " ".join([base.__name__, *(f"{sign} {b:g}" for sign, b in bounds if b is not None)])
    if get_args(hint):
        return " | ".join(str(choice) for choice in get_args(hint))
    return str(getattr(hint, "__name__", hint))
