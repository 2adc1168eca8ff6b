"""Builds the configuration: built-in < files < environment < command line."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from watchkeeper.daemon.config import rules, secrets, units
from watchkeeper.daemon.config.check import Checked
from watchkeeper.daemon.config.config import Config
from watchkeeper.daemon.config.layers import (
    Key,
    Layer,
    from_environment,
    from_file,
    from_flags,
)
from watchkeeper.daemon.config.problems import ConfigError, Problem

BUILT_IN = "built-in"
SYSTEM_FILE = Path("/etc/watchkeeper/watchkeeper.toml")
LOCAL_FILE = Path("watchkeeper.toml")


@dataclass(frozen=True)
class Loaded:
    """A configuration and where each of its values came from."""

    config: Config
    layers: tuple[Layer, ...]

    def origin(self, key: Key) -> str:
        """The source of the value that holds: file:line, a variable, the command line, built-in."""
        layer = last_with(self.layers, key)
        return layer.origin(key) if layer else BUILT_IN


def find_files(config: Path | None, directory: Path | None) -> list[Path]:
    """The main file (given, or the first of the two usual places) and its drop-ins by name."""
    usual = [path for path in (LOCAL_FILE, SYSTEM_FILE) if path.is_file()]
    files = [config] if config else usual[:1]
    if directory is not None:
        files += sorted(directory.glob("*.toml"))
    return files


def load(
    paths: Sequence[Path],
    environment: Mapping[str, str],
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """The configuration of the files, in order, under the environment, under `overrides`, which
    go by dotted key. Raises ConfigError with every problem there is."""
    return load_with_origins(paths, environment, overrides).config


def load_with_origins(
    paths: Sequence[Path],
    environment: Mapping[str, str],
    overrides: Mapping[str, Any] | None = None,
) -> Loaded:
    """As `load`, and remembers where each value came from."""
    layers, problems = _read(paths, environment, overrides or {})
    checked = [Checked(layer, Config) for layer in layers]
    problems += [problem for each in checked for problem in each.problems]
    merged: dict[str, Any] = {}
    for each in checked:
        merged = _merge(merged, each.data)
    config = _typed(merged)
    config, unread = secrets.resolve(config, environment, layers)
    problems += unread
    config = _filled(config, environment)
    problems += rules.check(config, layers)
    if problems:
        raise ConfigError(problems)
    return Loaded(config, tuple(layers))


def _read(
    paths: Sequence[Path], environment: Mapping[str, str], overrides: Mapping[str, Any]
) -> tuple[list[Layer], list[Problem]]:
    read = [from_file(path) for path in paths]
    layers = [each for each in read if isinstance(each, Layer)]
    models: list[str] = []
    for layer in layers:
        named = layer.data.get("models")
        models += list(named) if isinstance(named, Mapping) else []
    layers += [from_environment(environment, models), from_flags(overrides)]
    return layers, [each for each in read if isinstance(each, Problem)]


def last_with(layers: Sequence[Layer], key: Key) -> Layer | None:
    """The layer whose value for a key holds."""
    for layer in reversed(layers):
        if _holds(layer.data, key):
            return layer
    return None


def _holds(value: object, key: Key) -> bool:
    if not key:
        return True
    part, rest = key[0], key[1:]
    if isinstance(part, int):
        return isinstance(value, list) and part < len(value) and _holds(value[part], rest)
    return isinstance(value, Mapping) and part in value and _holds(value[part], rest)


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged key by key; any other value replaces the one below it."""
    merged = dict(below)
    for name, value in above.items():
        old = merged.get(name)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            value = _merge(old, value)
        merged[name] = value
    return merged


def _typed(merged: Mapping[str, Any]) -> Config:
    """Lays the defaults under every model. Detectors and patterns of both hold."""
    defaults = merged.get("defaults", {})
    models = {}
    for name, own in merged.get("models", {}).items():
        whole = _merge(defaults, own)
        replaced = [_watched(each) for each in own.get("detectors", ())]
        kept = [d for d in defaults.get("detectors", ()) if _watched(d) not in replaced]
        whole["detectors"] = [*kept, *own.get("detectors", ())]
        whole["without"] = [*defaults.get("without", ()), *own.get("without", ())]
        models[name] = whole
    return msgspec.convert({**merged, "models": models}, Config, dec_hook=units.decode)


def _watched(detector: Mapping[str, Any]) -> tuple[str, str, str]:
    return detector["signal"], detector.get("target", "*"), detector["detector"]


def _filled(config: Config, environment: Mapping[str, str]) -> Config:
    """Fills in what depends on the host."""
    daemon = config.daemon
    state = daemon.state_dir or environment.get("STATE_DIRECTORY", "").partition(":")[0]
    if not state:
        home = Path(environment.get("HOME") or "/var/lib")
        base = environment.get("XDG_STATE_HOME") or str(home / ".local" / "state")
        state = str(Path(base) / "watchkeeper")
    daemon = msgspec.structs.replace(
        daemon, state_dir=state, instance=daemon.instance or socket.gethostname()
    )
    url = config.database.url or f"sqlite:///{Path(state).absolute() / 'watchkeeper.db'}"
    database = msgspec.structs.replace(config.database, url=url)
    return msgspec.structs.replace(config, daemon=daemon, database=database)
