"""The parts of the docs that are made from the code: metrics, signals, detectors and handlers."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any, get_args

from watchkeeper.daemon.config.models import ActionName
from watchkeeper.daemon.reporting import metric_names as listed
from watchkeeper.detectors.registry import detector_class, detector_names, settings_of
from watchkeeper.detectors.signals import DERIVED, SIGNALS
from watchkeeper.detectors.suite import DEFAULT_WATCHES, Watch
from watchkeeper.handlers.command import Command
from watchkeeper.handlers.notify import Notify
from watchkeeper.handlers.promote import Promote
from watchkeeper.handlers.retrain.retrain import Retrain
from watchkeeper.handlers.rollback import Rollback

HANDLERS: dict[str, type[Any]] = {
    each.name: each for each in (Rollback, Retrain, Promote, Command, Notify)
}
_METRIC = re.compile(r"^    # (\w+): (.+)\n    \"(\w+)\",$", re.MULTILINE)


def metric_names() -> tuple[str, ...]:
    """Every metric that is exposed."""
    return get_args(listed.Name)


def action_names() -> tuple[str, ...]:
    """Every kind of action."""
    return get_args(ActionName)


def metrics_page() -> str:
    """One row a metric."""
    rows = [(f"`{n}`", kind, f"{t}.") for kind, t, n in _METRIC.findall(inspect.getsource(listed))]
    return _table(("Metric", "Type", "What it is"), rows)


def detectors_page() -> str:
    """One entry a signal, a detector and a handler."""
    parts = ["## Signals\n"]
    kinds = {signal.name: type(signal) for signal in SIGNALS} | {d.name: d for d in DERIVED}
    for name in sorted(kinds):
        parts += _signal(name, _prose(kinds[name]))
    parts.append("## Detectors\n")
    for name in detector_names():
        parts += _detector(name)
    parts.append("## Handlers\n")
    for name in sorted(HANDLERS):
        parts += [f"### Handler `{name}`\n", _prose(HANDLERS[name]) + "\n"]
    return "\n".join(parts).rstrip() + "\n"


def _signal(name: str, prose: str) -> Iterator[str]:
    yield f"### Signal `{name}`\n"
    yield prose + "\n"
    watched = [_watch(each) for each in DEFAULT_WATCHES if each.signal == name]
    yield "Judged by default:\n"
    yield _table(("Target", "Detector", "Severity", "Settings"), watched)


def _watch(watch: Watch) -> tuple[str, ...]:
    settings = ", ".join(f"`{key} = {_toml(value)}`" for key, value in watch.settings.items())
    target = f"`{watch.target}`" if watch.target else '`""`'
    return target, f"`{watch.detector}`", watch.severity.value, settings


def _detector(name: str) -> Iterator[str]:
    yield f"### Detector `{name}`\n"
    yield _prose(detector_class(name)) + "\n"
    rows = [
        (f"`{s.name}`", s.type.replace("|", "or"), f"`{_toml(s.default)}`", s.doc)
        for s in settings_of(name)
    ]
    yield _table(("Setting", "Type", "Default", "What it is"), rows)


def _prose(kind: type[Any]) -> str:
    """The docstring without its examples."""
    return inspect.cleandoc(kind.__doc__ or "").partition("\n>>>")[0].strip()


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else f"{value}"
