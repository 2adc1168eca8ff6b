"""TOML to Config, with all problems at once."""

from watchkeeper.daemon.config.config import Config
from watchkeeper.daemon.config.load import Loaded, find_files, load, load_with_origins
from watchkeeper.daemon.config.problems import ConfigError, Problem

__all__ = [
    "Config",
    "ConfigError",
    "Loaded",
    "Problem",
    "find_files",
    "load",
    "load_with_origins",
]
