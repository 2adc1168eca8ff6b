"""A configuration file, what is wrong with it, and every setting there is."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from watchkeeper.daemon.config import ConfigError, Problem, load
from watchkeeper.daemon.config.describe import (
    Setting,
    groups,
)

HOME = {"HOME": "/home/someone"}


def written(folder: Path, text: str, name: str = "watchkeeper.toml") -> Path:
    """A file with this text."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def problems(
    folder: Path,
    text: str = "",
    environment: Mapping[str, str] = HOME,
    overrides: Mapping[str, Any] | None = None,
) -> list[Problem]:
    """What is wrong with a file of this text."""
    with pytest.raises(ConfigError) as caught:
        load([written(folder, text)], environment, overrides)
    return caught.value.problems


def all_settings() -> list[Setting]:
    """Every setting there is."""
    return list(itertools.chain.from_iterable(group.settings for group in groups()))
