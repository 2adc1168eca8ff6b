"""Where values come from: files, drop-ins, environment, flags; each a layer over the last."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from watchkeeper.daemon.config import lines
from watchkeeper.daemon.config.problems import Problem

ENVIRONMENT = "environment"
FLAGS = "command line"
PREFIX = "WATCHKEEPER_"
_LARGEST = 4_000_000

Key = tuple[str | int, ...]


@dataclass(frozen=True)
class Layer:
    """Values of one source. `loose` ones came as text and take the type their setting has."""

    source: str
    data: Mapping[str, Any]
    lines: Mapping[Key, int] = field(default_factory=dict)
    names: Mapping[Key, str] = field(default_factory=dict)
    loose: bool = False

    def line(self, key: Key) -> int:
        """The line of a key, or of the table around it; 0 where there are no lines."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 0)

    def origin(self, key: Key) -> str:
        """Where a value came from, for people."""
        if key in self.names:
            return self.names[key]
        line = self.line(key)
        return f"{self.source}:{line}" if line else self.source

    def problem(self, key: Key, message: str) -> Problem:
        """What is wrong with one key of this layer."""
        return Problem(self.source, self.line(key), self.names.get(key) or dotted(key), message)


def dotted(key: Key) -> str:
    """The written form of a key.

    >>> dotted(("models", "churn", "detectors", 0, "signal"))
    'models.churn.detectors[0].signal'
    """
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            plain = part.replace("-", "").replace("_", "").isalnum() and part.isascii()
            text += ("." if text else "") + (part if plain else f'"{part}"')
    return text


def from_file(path: Path) -> Layer | Problem:
    """A TOML file, or what keeps it from being read."""
    source = str(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        return Problem(source, 0, "", f"cannot be read: {error.strerror or error}")
    if len(raw) > _LARGEST:
        return Problem(source, 0, "", f"is larger than {_LARGEST // 1_000_000} MB")
    try:
        text = raw.decode("utf-8")
        return Layer(source, tomllib.loads(text), lines=lines.key_lines(text))
    except UnicodeDecodeError as error:
        return Problem(source, raw.count(b"\n", 0, error.start) + 1, "", "is not UTF-8")
    except tomllib.TOMLDecodeError as error:
        return Problem(source, _line_of(str(error), text), "", f"is not TOML: {error}")
    except RecursionError:
        return Problem(source, 0, "", "is nested too deeply")


def _line_of(message: str, text: str) -> int:
    """tomllib says "(at line 3, column 5)" or "(at end of document)"."""
    _, found, rest = message.rpartition("(at line ")
    if not found:
        return text.count("\n") + 1
    return int(rest.split(",", 1)[0])


def from_environment(environment: Mapping[str, str], models: Sequence[str]) -> Layer:
    """`WATCHKEEPER_KAFKA__GROUP_ID` and so on: two underscores part a section from its key.

    Variables have no lower case: a model's name is taken from `models` where it is there.
    """
    data: dict[str, Any] = {}
    names: dict[Key, str] = {}
    known = {name.upper(): name for name in models}
    for variable in sorted(environment):
        if not variable.startswith(PREFIX) or "__" not in variable:
            continue
        parts = variable.removeprefix(PREFIX).split("__")
        key = [part.lower() for part in parts]
        if key[0] == "models" and len(parts) > 1:
            key[1] = known.get(parts[1], key[1])
        _set(data, key, environment[variable])
        names[tuple(key)] = "$" + variable
    return Layer(ENVIRONMENT, data, names=names, loose=True)


def from_flags(overrides: Mapping[str, Any]) -> Layer:
    """Values by dotted key, as the command line gives them."""
    data: dict[str, Any] = {}
    for key, value in overrides.items():
        _set(data, key.split("."), value)
    return Layer(FLAGS, data)


def _set(data: dict[str, Any], key: Sequence[str], value: object) -> None:
    *tables, last = key
    for part in tables:
        inner = data.get(part)
        if not isinstance(inner, dict):
            inner = data[part] = {}
        data = inner
    data[last] = value
