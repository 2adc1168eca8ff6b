"""Looks at everything the daemon needs, and says what would help."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import watchkeeper
from watchkeeper.daemon import packages
from watchkeeper.daemon.config import Config
from watchkeeper.daemon.config.secrets import masked
from watchkeeper.daemon.config.topics import READ
from watchkeeper.daemon.storage import migrate
from watchkeeper.daemon.storage.faults import DatabaseFault, StorageError
from watchkeeper.daemon.transport.ports import SourceError
from watchkeeper.daemon.transport.topics import reach

_LOW_BYTES = 1_000_000_000
_FULL_BYTES = 100_000_000
_EXTRAS = {
    "train": ("sklearn", "skl2onnx", "onnx"),
    "postgres": ("psycopg",),
    "parquet": ("pyarrow",),
    "fast": ("numba",),
}


@dataclass(frozen=True)
class Check:
    """What one look found: `ok`, `warning` (may stay so) or `bad` (the daemon cannot work)."""

    name: str
    state: Literal["ok", "warning", "bad"]
    message: str


def examine(config: Config) -> list[Check]:
    """All checks. Asks the brokers and the database, and waits for them some seconds at most."""
    return [
        _versions(),
        *_codecs(),
        *_extras(config),
        _kafka(config),
        _reading(config),
        _database(config),
        _sentry(config),
        _disk(config),
        _clock(),
    ]


def _versions() -> Check:
    names = ("kafka-python", "numpy", "river", "sqlalchemy", "sentry-sdk")
    installed = ", ".join(f"{name} {_version(name)}" for name in names)
    python = platform.python_version()
    return Check("versions", "ok", f"watchkeeper {watchkeeper.__version__}, {python}, {installed}")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _codecs() -> Iterator[Check]:
    absent = packages.missing()
    for module, loss in packages.NEEDED.items():
        name = module.partition(".")[0]
        if module in absent:
            yield Check(name, "bad", f"missing: {loss}; {packages.FIX}")
        else:
            yield Check(name, "ok", "installed")


def _extras(config: Config) -> Iterator[Check]:
    needed = {"postgres"} if config.database.url.startswith("postgresql") else set()
    for extra, modules in _EXTRAS.items():
        name = f"extra {extra}"
        if all(find_spec(module) for module in modules):
            yield Check(name, "ok", "installed")
        else:
            state: Literal["bad", "warning"] = "bad" if extra in needed else "warning"
            yield Check(name, state, f"missing: pip install 'watchkeeper[{extra}]'")


def _kafka(config: Config) -> Check:
    between = [config.topics.name("partials")] if config.spreads else []
    topics = config.topics.everything() + between
    found = reach(config.kafka_settings(), topics)
    servers = ",".join(config.kafka.bootstrap_servers)
    if found.error:
        return Check("kafka", "bad", f"{servers}: {found.error}")
    if found.missing:
        missing = ", ".join(found.missing)
        return Check("kafka", "bad", f"no topics {missing}: `watchkeeper topics create` makes them")
    warning = unequal_partitions(config, found.partitions) or idle_workers(config, found.partitions)
    if warning:
        return Check("kafka", "warning", warning)
    return Check("kafka", "ok", f"{servers}: {found.brokers} brokers, {len(topics)} topics")


def _reading(config: Config) -> Check:
    absent = packages.missing()
    if absent:
        return Check("kafka reading", "bad", packages.told(absent))
    from watchkeeper.daemon.transport import kafka_guard  # these need the packages
    from watchkeeper.daemon.transport.kafka_reading import way

    try:
        kafka_guard.prepare()
        chosen = way(config.kafka_settings())
    except SourceError as error:
        return Check("kafka reading", "bad", f"{error}")
    if chosen.reading == "batches":
        return Check("kafka reading", "ok", "whole record batches")
    slower = f"record by record, which takes more CPU time: {chosen.reason}"
    return Check("kafka reading", "warning", slower)


def unequal_partitions(config: Config, partitions: Mapping[str, int]) -> str:
    """What is wrong with the numbers of partitions of the topics that are read; "" if nothing.

    A model's events have one number in all topics only where all have as many.
    """
    read = [*READ, "partials"] if config.spreads else [*READ]
    counts = {name: n for each in read if (n := partitions.get(name := config.topics.name(each)))}
    if len(set(counts.values())) < 2:
        return ""
    told = ", ".join(f"{name} ({n})" for name, n in counts.items())
    return f"topics {told} have different partition counts: run one instance"


def idle_workers(config: Config, partitions: Mapping[str, int]) -> str:
    """Which workers would have nothing to read; "" if all have."""
    workers, most = config.daemon.workers, max(partitions.values(), default=0)
    if not 0 < most < workers:
        return ""
    return f"daemon.workers is {workers}, but no topic has more than {most} partitions"


def _database(config: Config) -> Check:
    url = config.database.url
    path = Path(url.removeprefix("sqlite:///"))
    if url.startswith("sqlite:///") and not path.exists():
        return Check("database", "warning", f"no {path} yet: `watchkeeper run` makes it")
    try:
        here, newest = migrate.current(url), migrate.head()
    except (DatabaseFault, StorageError, ImportError) as error:
        reason = str(error).strip().partition("\n")[0]
        return Check("database", "bad", f"{masked(url)}: {reason}")
    if here != newest:
        return Check("database", "bad", f"layout {here}, not {newest}: `watchkeeper db upgrade`")
    return Check("database", "ok", f"{masked(url)}: layout {here}")


def _sentry(config: Config) -> Check:
    if not config.sentry.dsn:
        return Check("sentry", "warning", "no DSN (sentry.dsn_file): nobody will be paged")
    return Check("sentry", "ok", f"environment {config.sentry.environment}")


def _disk(config: Config) -> Check:
    folder = Path(config.daemon.state_dir)
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if not os.access(folder, os.W_OK):
        return Check("disk", "bad", f"{folder} cannot be written to")
    said = f"{free / 1e9:.1f} GB free at {folder}"
    return Check("disk", "bad" if free < _FULL_BYTES else _low(free), said)


def _low(free: int) -> Literal["ok", "warning"]:
    return "warning" if free < _LOW_BYTES else "ok"


def _clock() -> Check:
    """A clock that is behind the newest of our own files cannot be right."""
    installed = Path(watchkeeper.__file__).stat().st_mtime
    now = time.time()
    if now < installed - 1:
        behind = (installed - now) / 3_600
        return Check("clock", "bad", f"{behind:.1f} hours before this program was installed")
    return Check("clock", "ok", time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(now)))
