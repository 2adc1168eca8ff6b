"""What commands share: the configuration, the store, and commands left for the daemon."""

from __future__ import annotations

import getpass
import os
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from watchkeeper.daemon.cli.outcome import (
    Globals,
    Misconfigured,
    Refused,
    Temporary,
    Unavailable,
)

if TYPE_CHECKING:
    from watchkeeper.daemon.config import Config, Loaded
    from watchkeeper.daemon.storage.store import Store
    from watchkeeper.detectors.types import Scalar

NO_CONFIG = """\
No configuration: neither ./watchkeeper.toml nor /etc/watchkeeper/watchkeeper.toml is there.
Two ways on:
  watchkeeper demo                          try it: a simulated fleet, nothing to configure
  watchkeeper config init watchkeeper.toml  write a commented configuration to start from"""

Verb = Literal["approve", "reject", "ack", "resolve", "profile", "rebaseline"]
_LOOK_EVERY_S = 0.1


def load(options: Globals, *, required: bool = False) -> Loaded:
    """The configuration. With `required`, a file or at least one variable must say something."""
    from watchkeeper.daemon.config import ConfigError, find_files, load_with_origins

    _must_be_folder(options.config_dir)
    files = find_files(options.config, options.config_dir)
    told = any(n.startswith("WATCHKEEPER_") and "__" in n for n in os.environ)
    if required and not files and not told:
        raise Misconfigured(NO_CONFIG)
    try:
        return load_with_origins(files, os.environ, options.overrides)
    except ConfigError as error:
        count = len(error.problems)
        plural = "" if count == 1 else "s"
        raise Misconfigured(f"{error}\n{count} problem{plural} in the configuration") from error


def log_aside(config: Config) -> None:
    """Sends what parts of the daemon log to the standard error: the standard output is the answer's
    alone."""
    from watchkeeper.daemon import logs

    logs.configure(config.daemon.log_level, config.daemon.log_format, config.secrets())


def _must_be_folder(directory: Path | None) -> None:
    if directory is not None and not directory.is_dir():
        raise Misconfigured(f"{directory}: no such folder, but --config-dir names it")


@contextmanager
def opened(config: Config) -> Iterator[Store]:
    """The store of a daemon that has run at least once; faults of the database end the command."""
    from watchkeeper.daemon.config.secrets import masked
    from watchkeeper.daemon.storage.faults import DatabaseFault, StorageError
    from watchkeeper.daemon.storage.store import Store

    url = config.database.url
    path = Path(url.removeprefix("sqlite:///"))
    if url.startswith("sqlite:///") and not path.exists():
        raise Unavailable(f"no database {path}: `watchkeeper run` or `watchkeeper db upgrade`")
    try:
        store = Store(url)
    except StorageError as error:
        raise Misconfigured(f"database.url: {error}") from error
    try:
        yield store
    except (DatabaseFault, StorageError) as error:
        reason = str(error).partition("\n")[0]
        hint = "`watchkeeper db current` shows its layout, `watchkeeper doctor` checks all else"
        raise Unavailable(f"database {masked(url)}: {reason}\n{hint}") from error
    finally:
        store.close()


def order(
    store: Store,
    verb: Verb,
    target: str,
    model: str,
    reason: str,
    actor: str,
    wait_s: float,
    args: Mapping[str, Scalar] | None = None,
) -> str:
    """Leaves a command for the daemon and waits for its answer; 0 does not wait.

    Raises Refused for a no, Temporary when nobody answered.
    """
    from watchkeeper.detectors.types import Command

    now = datetime.now(UTC)
    left = Command(
        id=f"cli-{uuid.uuid4().hex}",
        time=now,
        command=verb,
        target=target,
        model_name=model,
        actor=actor or _user(),
        reason=reason,
        args=dict(args or {}),
    )
    store.inbox.put(left, now.timestamp())
    if not wait_s:
        return f"left for the daemon: {verb} {target}"
    answer = _answer(store, left.id, wait_s)
    if answer is None:
        raise Temporary(
            f"no answer within {wait_s:g} s: is `watchkeeper run` up? "
            f"{verb} {target} stays waiting for it"
        )
    if not answer.startswith("done"):
        raise Refused(answer)
    return answer


def _answer(store: Store, command_id: str, wait_s: float) -> str | None:
    end = time.monotonic() + wait_s
    pause = threading.Event()
    while (answer := store.inbox.answer(command_id)) is None and time.monotonic() < end:
        pause.wait(_LOOK_EVERY_S)
    return answer


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        return f"uid {os.getuid()}"


def globals_of(ctx: click.Context) -> Globals:
    """The options before the command."""
    options = ctx.find_object(Globals)
    return options if options is not None else Globals()
