"""The whole daemon, wired as it runs, over topics in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.daemon.storage.examples import T0
from watchkeeper.daemon.config import Config
from watchkeeper.daemon.config.sections import Daemon as Here
from watchkeeper.daemon.config.sections import Database
from watchkeeper.daemon.config.telling import Sentry
from watchkeeper.daemon.config.units import Duration, Secret
from watchkeeper.daemon.service import Daemon
from watchkeeper.daemon.topics import kinds_of
from watchkeeper.daemon.transport.memory import MemoryBroker, MemorySink, MemorySource


def made_in(folder: Path, broker: MemoryBroker, dsn: str = "", **settings: Any) -> Daemon:
    """A daemon that was built and not started; with a DSN it tells Sentry."""
    config = Config(
        daemon=Here(state_dir=str(folder), stop_timeout=Duration(3), **settings),
        database=Database(url=f"sqlite:///{folder}/w.db"),
        sentry=Sentry(dsn=Secret(dsn)),
    )
    source = MemorySource(broker, list(kinds_of(config)))
    return Daemon(config, source, MemorySink(broker), clock=lambda: T0)
